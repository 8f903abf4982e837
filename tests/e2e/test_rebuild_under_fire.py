"""Rebuilds killed at random moments, one after the other, while two API processes serve writes and reads.

`make soak` raises the number: REBUILD_KILLS.
"""

import asyncio
import contextlib
import os
import random
import time
from pathlib import Path
from uuid import uuid4

import httpx

from modeltrail.commands import models
from modeltrail.domain.ids import ModelId
from modeltrail.domain.registered_model_messages import RegisterModel
from modeltrail.http.app import BASE_PATH
from modeltrail.projections.catalogue import INLINE
from support.api_process import api_process
from support.command_line import modeltrail
from support.committing import connected
from support.database import Database
from support.fold import differences
from support.rebuild_process import go_on_or_begin, rebuilding
from support.registry import Registry, registry

KILLS = int(os.environ.get("REBUILD_KILLS", "3"))
EXISTING = 2_000
CALLERS = 8
A_SECOND = 200  # writes, over all callers


class Traffic:
    """Callers who change a model through one process, and find the change in the other at once."""

    def __init__(self, urls: tuple[str, str]) -> None:
        self.headers = {"Project-ID": str(uuid4())}
        self.urls = urls
        self.writes = 0
        self.done = asyncio.Event()

    async def run(self) -> None:
        async with (
            httpx.AsyncClient(base_url=self.urls[0] + BASE_PATH, headers=self.headers, timeout=30) as one,
            httpx.AsyncClient(base_url=self.urls[1] + BASE_PATH, headers=self.headers, timeout=30) as other,
            asyncio.TaskGroup() as group,
        ):
            for number in range(CALLERS):
                here, there = (one, other) if number % 2 else (other, one)
                group.create_task(self._call(here, there, number))

    async def _call(self, here: httpx.AsyncClient, there: httpx.AsyncClient, number: int) -> None:
        model = (await here.post("/models", json={"name": f"model {number}"})).raise_for_status().json()["id"]
        count = 0
        while not self.done.is_set():
            at = time.monotonic()
            count += 1
            text = f"change {count}"
            (await here.patch(f"/models/{model}", json={"description": text})).raise_for_status()
            shown = (await there.get(f"/models/{model}")).raise_for_status().json()
            assert shown["description"] == text
            listed = (await there.get("/models", params={"search": f"model {number}"})).raise_for_status().json()
            assert [each["description"] for each in listed["items"]] == [text]
            body = {"name": f"v{count}", "model_framework": "sklearn", "model_framework_version": "1", "uri": "s3://x"}
            version = (await here.post(f"/models/{model}/versions", json=body)).raise_for_status().json()["id"]
            shown = (await there.get(f"/models/{model}")).raise_for_status().json()
            assert (shown["version_count"], shown["latest_version"]["id"]) == (count, version)
            versions = (await there.get(f"/models/{model}/versions", params={"limit": 1})).raise_for_status().json()
            assert (versions["total"], versions["items"][0]["id"]) == (count, version)
            self.writes += 2
            await asyncio.sleep(max(0.0, 2 * CALLERS / A_SECOND - (time.monotonic() - at)))


async def fill(world: Registry) -> None:
    async def register(number: int) -> None:
        wish = RegisterModel(model_id=ModelId(uuid4()), project_id=world.project, name=f"existing {number}")
        await world.submit(models.Register(wish))

    await asyncio.gather(*map(register, range(EXISTING)))


async def killed_after(seconds: float, database: Database) -> int | None:
    """A rebuild, which goes on with one that was stopped; its exit code, negative when it was killed."""
    async with rebuilding(database, await go_on_or_begin(database)) as run:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(run.process.wait(), seconds)
    return run.process.returncode


async def test_rebuilds_killed_at_random_moments_harm_neither_readers_nor_writers(
    database: Database, tmp_path: Path
) -> None:
    async with registry(database) as world:
        await fill(world)
    moments = random.Random(13)
    with (
        api_process(database, tmp_path, KSERVE_ENABLED="false") as one,
        api_process(database, tmp_path, KSERVE_ENABLED="false") as other,
    ):
        traffic = Traffic((one, other))
        running = asyncio.create_task(traffic.run())
        for _ in range(KILLS):
            assert await killed_after(moments.uniform(0.2, 2.0), database) in (0, -9)
            assert not running.done(), running.exception()
        code, _, err = await modeltrail(database, "projections", "rebuild", "--resume")
        assert code == 0, err
        traffic.done.set()
        await running

    assert traffic.writes > 0
    assert await differences(database, *INLINE) == []
    async with connected(database) as connection:
        assert await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'modeltrail_rebuild'") == 0
    code, out, err = await modeltrail(database, "projections", "verify")
    assert code == 0, out + err
