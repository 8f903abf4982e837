"""`Idempotency-Key` with API processes of their own: one that is killed before it answers, and two that race."""

# asyncpg's functions carry no annotations.
# mypy: allow-untyped-calls

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from uuid import uuid4

import asyncpg
import httpx
import pytest

from modeltrail.cli.ports import free_port
from modeltrail.eventlog.log import LOCK
from modeltrail.http.app import BASE_PATH
from support.api import running_api
from support.api_process import api_process
from support.cluster import eventually
from support.database import Database
from support.dying_api_process import HOST

SUPPORT = Path(__file__).parents[1] / "support"
ROUNDS, CALLERS = 10, 6


@asynccontextmanager
async def dying_process(database: Database) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """An API process that is killed behind its first write, and its URL."""
    port = free_port(HOST, 0)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(SUPPORT / "dying_api_process.py"),
        database.dsn,
        str(port),
        env=os.environ | {"PYTHONPATH": str(SUPPORT.parent)},
    )
    try:
        await eventually(partial(answers, f"http://{HOST}:{port}"), within=20)
        yield process, f"http://{HOST}:{port}"
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def both_wait(connection: asyncpg.Connection) -> bool:
    """Whether two processes wait to write the log of this database."""
    waiting: int = await connection.fetchval(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    return waiting == 2


async def answers(url: str) -> bool:
    async with httpx.AsyncClient() as client:
        try:
            return (await client.get(f"{url}/healthz")).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False


async def test_a_retry_after_a_kill_between_commit_and_answer_has_the_answer_that_never_came(
    database: Database, connection: asyncpg.Connection
) -> None:
    body = {"name": "iris", "owner_email": "ann@example.org"}
    headers = {"Project-ID": str(uuid4()), "Idempotency-Key": "order-17"}
    async with dying_process(database) as (process, url), httpx.AsyncClient(base_url=url + BASE_PATH) as client:
        with pytest.raises(httpx.TransportError):
            await client.post("/models", json=body, headers=headers)
        assert await process.wait() == -signal.SIGKILL
    assert await connection.fetchval("SELECT count(*) FROM stored_events") == 1

    async with running_api(database) as api:
        again, once_more = [await api.client.post(f"{BASE_PATH}/models", json=body, headers=headers) for _ in range(2)]
        shown = await api.client.get(f"{BASE_PATH}/models/{again.json()['id']}", headers=headers)

    assert (again.status_code, again.headers["idempotent-replayed"]) == (201, "true")
    assert again.content == once_more.content == shown.content
    assert again.headers["etag"] == shown.headers["etag"] == '"1"'
    assert await connection.fetchval("SELECT count(*) FROM stored_events") == 1


async def test_two_processes_asked_the_same_at_once_do_it_once_and_answer_the_same(
    database: Database, connection: asyncpg.Connection, tmp_path: Path
) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    with api_process(database, folders[0]) as one, api_process(database, folders[1]) as two:
        async with httpx.AsyncClient(headers={"Project-ID": str(uuid4())}) as client:
            for number in range(ROUNDS):
                # Nobody can write before both have the request.
                await connection.execute(f"SELECT pg_advisory_lock({LOCK})")
                sending = [
                    asyncio.ensure_future(
                        client.post(
                            f"{url}{BASE_PATH}/models",
                            json={"name": f"m{number}"},
                            headers={"Idempotency-Key": f"order-{number}"},
                        )
                    )
                    for url in (one, two) * (CALLERS // 2)
                ]
                await eventually(partial(both_wait, connection), within=10)
                await connection.execute(f"SELECT pg_advisory_unlock({LOCK})")
                got = await asyncio.gather(*sending)

                assert [answer.status_code for answer in got] == [201] * CALLERS
                assert len({(answer.content, answer.headers["etag"]) for answer in got}) == 1
                assert sum("idempotent-replayed" in answer.headers for answer in got) == CALLERS - 1

    assert await connection.fetchval("SELECT count(*) FROM stored_events") == ROUNDS
    assert await connection.fetchval("SELECT count(*) FROM models") == ROUNDS
