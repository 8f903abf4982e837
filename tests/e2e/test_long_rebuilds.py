"""Rebuilds of a long log, killed at random moments, cut off, doubled, out of room, and read from meanwhile.

`make soak` raises the numbers: REBUILD_EVENTS and REBUILD_KILLS.
"""

import asyncio
import os
import random
import re
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest

from modeltrail.http.app import BASE_PATH
from modeltrail.projections.catalogue import ALL
from support.api import ARTIFACT, Json, made, running_api
from support.api_process import api_process
from support.command_line import modeltrail
from support.database import Database
from support.fold import differences
from support.long_log import lengthen
from support.rebuild_process import go_on_or_begin, rebuilding

EVENTS = int(os.environ.get("REBUILD_EVENTS", "22000"))
KILLS = int(os.environ.get("REBUILD_KILLS", "3"))
DONE = re.compile(r"as of position (\d+): (\d+) events")
SHOWN = ("/models", "/model?name=model%201", "/model_versions")
MARKS = [
    f"UPDATE {table} SET {column} = jsonb_set({column}::jsonb, '{{description}}', '\"OLD\"') WHERE project_id = $1"
    for table, column in (("models", "body"), ("models", "latest_version"), ("model_versions", "body"))
]
CUT = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'modeltrail rebuild'
"""


async def left_over(connection: asyncpg.Connection) -> int:
    """What a rebuild has made beside the read tables."""
    shadows = "SELECT count(*) FROM pg_tables WHERE schemaname = 'modeltrail_rebuild'"
    counts = "SELECT count(*) FROM row_counts WHERE source LIKE 'modeltrail_rebuild%'"
    return int(await connection.fetchval(f"SELECT ({shadows}) + ({counts})"))


async def test_rebuilds_killed_at_random_moments_end_with_what_the_log_says(
    database: Database, connection: asyncpg.Connection
) -> None:
    moments = random.Random(21)
    total = await lengthen(database, EVENTS)
    async with rebuilding(database, "--all") as whole:
        await whole.reached("true")
        began = time.monotonic()
        assert (await whole.result())[0] == 0
        lasted = time.monotonic() - began
    rows = await connection.fetchval("SELECT count(*) FROM models")

    positions = [0]
    for _ in range(KILLS):
        async with rebuilding(database, await go_on_or_begin(database)) as run:
            await run.reached("true")
            await asyncio.sleep(moments.uniform(0, lasted))  # the moment is what is random here
            if not run.is_over:
                run.process.kill()
        assert await connection.fetchval("SELECT count(*) FROM models") == rows
        stored = await connection.fetchval("SELECT position FROM projection_rebuild")
        positions = [0] if stored is None else [*positions, stored]
        assert positions == sorted(positions), "one that was stopped went back"
    async with rebuilding(database, await go_on_or_begin(database)) as last:
        code, out, err = await last.result()

    assert (code, err) == (0, "")
    assert f"as of position {total}" in out
    assert await differences(database, *ALL) == []
    assert await left_over(connection) == 0


async def test_one_that_lost_its_connection_says_so_and_goes_on_where_it_was(
    database: Database, connection: asyncpg.Connection
) -> None:
    total = await lengthen(database, EVENTS)
    async with rebuilding(database, "--all") as run:
        await run.reached("position > 0")
        run.process.send_signal(signal.SIGSTOP)
        assert await connection.fetchval(CUT) == 2
        run.process.send_signal(signal.SIGCONT)
        code, _, err = await run.result()

    assert (code, err.count("\n")) == (1, 1)
    assert "was lost; the read tables are whole" in err
    async with rebuilding(database, "--resume") as again:
        code, out, err = await again.result()
    assert (code, err) == (0, "")
    found = DONE.search(out)
    assert found is not None
    assert int(found[1]) == total
    assert int(found[2]) < total
    assert await differences(database, *ALL) == []


async def test_a_second_one_says_who_runs_the_first_which_goes_on(database: Database) -> None:
    await lengthen(database, 1_000)
    async with rebuilding(database, "--all") as first:
        await first.reached("true")
        first.process.send_signal(signal.SIGSTOP)
        for arguments in (["--all"], ["--resume"]):
            async with rebuilding(database, *arguments) as second:
                code, _, err = await second.result()
            assert (code, err.count("\n")) == (1, 1)
            assert f"process {first.process.pid} on {socket.gethostname()} rebuilds models, " in err
        first.process.send_signal(signal.SIGCONT)
        code, _, err = await first.result()

    assert (code, err) == (0, "")
    assert await differences(database, *ALL) == []


async def test_one_that_was_killed_before_it_heard_of_an_erasure_does_not_keep_the_address(
    database: Database, connection: asyncpg.Connection
) -> None:
    async with running_api(database) as api:
        await api.project().model("iris", owner_email="ann@example.org")
    await lengthen(database, EVENTS)
    async with rebuilding(database, "--all") as run:
        await run.reached("position > 0")
        run.process.send_signal(signal.SIGSTOP)
        erased = await modeltrail(database, "erase", "--email", "ann@example.org", "--yes")
        assert erased[0] == 0
        assert await connection.fetchval("SELECT position FROM projection_rebuild") > 0

    async with rebuilding(database, "--resume") as again:
        code, _, err = await again.result()

    assert (code, err) == (0, "")
    assert await connection.fetchval("SELECT count(*) FROM models WHERE body::text LIKE '%ann@%'") == 0
    assert await differences(database, *ALL) == []


async def test_one_that_runs_out_of_disk_says_so_and_goes_on_once_there_is_room(
    database: Database, connection: asyncpg.Connection
) -> None:
    total = await lengthen(database, EVENTS // 3)
    with small_disk(Path(await connection.fetchval("SHOW data_directory"))) as disk:
        await connection.execute(f"CREATE TABLESPACE {disk.name} LOCATION '{disk}'")
        await connection.execute(f"ALTER DATABASE {database.name} SET default_tablespace = '{disk.name}'")
        try:
            async with rebuilding(database, "--all") as run:
                code, _, err = await run.result()
            assert (code, err.count("\n")) == (1, 1)
            assert "No space left on device" in err
            assert "the read tables are whole" in err

            assert mount("-o", "remount,size=1g", str(disk)) == 0
            async with rebuilding(database, "--resume") as again:
                code, out, err = await again.result()
            assert (code, err) == (0, "")
            assert f"as of position {total}" in out
            assert await differences(database, *ALL) == []
        finally:
            await connection.execute(f"ALTER DATABASE {database.name} RESET default_tablespace")
            for kind in ("TABLE", "INDEX"):
                await connection.execute(f"ALTER {kind} ALL IN TABLESPACE {disk.name} SET TABLESPACE pg_default")
            await connection.execute(f"DROP TABLESPACE {disk.name}")


async def test_readers_see_all_rows_as_they_were_and_then_all_rows_anew(
    database: Database, connection: asyncpg.Connection, tmp_path: Path
) -> None:
    await lengthen(database, EVENTS // 3)
    with (
        api_process(database, _folder(tmp_path / "one")) as one,
        api_process(database, _folder(tmp_path / "two")) as two,
    ):
        async with client_of_process(one) as here, client_of_process(two) as there:
            project = uuid4()
            for number in range(5):
                model = await created(here, project, "/models", {"name": f"model {number}"})
                await created(here, project, f"/models/{model['id']}/versions", {"name": "v1", **ARTIFACT})
            for mark in MARKS:
                await connection.execute(mark, project)
            done = asyncio.Event()
            readers = [asyncio.create_task(read_until(done, client, project)) for client in (here, there)]
            async with rebuilding(database, "--all") as run:
                code, _, err = await run.result()
            assert (code, err) == (0, "")
            assert [await is_old(client, project, path) for client in (here, there) for path in SHOWN] == [False] * 6
            done.set()
            await asyncio.gather(*readers)

    assert await differences(database, *ALL) == []


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def client_of_process(url: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=url + BASE_PATH, timeout=30)


async def created(client: httpx.AsyncClient, project: UUID, path: str, body: Json) -> Json:
    return made(await client.post(path, json=body, headers={"Project-ID": str(project)}))


async def read_until(done: asyncio.Event, client: httpx.AsyncClient, project: UUID) -> None:
    """See all rows as they were before the rebuild, and then all as they are after it."""
    seen = []
    while not done.is_set():
        seen += [await is_old(client, project, path) for path in SHOWN]
    assert seen == sorted(seen, reverse=True)
    assert set(seen) == {True, False}


async def is_old(client: httpx.AsyncClient, project: UUID, path: str) -> bool:
    """Whether an answer shows the marks, which all that it shows has, or nothing."""
    answer = made(await client.get(path, headers={"Project-ID": str(project)}), 200)
    items = answer.get("items", [answer])
    found = {item["description"] for item in items} | {
        item["latest_version"]["description"] for item in items if "latest_version" in item
    }
    assert len(found) == 1, f"a mix of old and new: {found}"
    return found == {"OLD"}


@contextmanager
def small_disk(database_folder: Path) -> Iterator[Path]:
    """An empty disk of 1 MB that the server may write to. Skips where nobody may make one."""
    if os.geteuid() != 0 or not database_folder.exists():
        pytest.skip("only root, beside the server, can give it a disk that is full")
    owner = database_folder.stat()
    folder = Path(tempfile.mkdtemp(prefix="modeltrail_small_disk_"))
    try:
        options = f"size=1m,uid={owner.st_uid},gid={owner.st_gid},mode=700"
        if mount("-t", "tmpfs", "-o", options, "tmpfs", str(folder)):
            pytest.skip("this machine lets nobody mount a disk")
        try:
            yield folder
        finally:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
    finally:
        folder.rmdir()


def mount(*arguments: str) -> int:
    """The exit code."""
    return subprocess.run(["mount", *arguments], check=False).returncode
