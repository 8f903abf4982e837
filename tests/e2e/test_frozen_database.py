"""The API with a PostgreSQL that hangs: connections stay open, and nothing answers."""

# asyncpg's functions carry no annotations.
# mypy: allow-untyped-calls

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import httpx

from modeltrail.http.app import BASE_PATH
from modeltrail.postgres.asking import Asker
from modeltrail.postgres.connect import STATEMENT_SECONDS, open_pool
from modeltrail.postgres.embedded import EmbeddedPostgres
from modeltrail.postgres.server_processes import server_processes
from support.api_process import api_process
from support.committing import address_of, connected
from support.database import Database, migrate_as_the_command_does


@contextmanager
def frozen(server: EmbeddedPostgres) -> Iterator[None]:
    """None of the server's processes does anything inside the block."""
    processes = server_processes(server.folder / "cluster")
    try:
        for process in processes:
            os.kill(process, signal.SIGSTOP)
        yield
    finally:
        for process in processes:
            os.kill(process, signal.SIGCONT)


async def test_who_asks_a_database_that_hangs_is_told_so_and_answered_when_it_goes_on(
    embedded_server: EmbeddedPostgres, tmp_path: Path
) -> None:
    await embedded_server.ensure_database("models")
    database = Database.from_dsn(embedded_server.dsn("models"))
    await migrate_as_the_command_does(database.dsn)
    headers = {"Project-ID": str(uuid4()), "X-User-Email": "ada@example.com"}

    with api_process(database, tmp_path) as url:
        # Half of what a statement may take elsewhere is more than a caller waits here for anything.
        async with httpx.AsyncClient(
            base_url=url + BASE_PATH, headers=headers, timeout=STATEMENT_SECONDS / 2
        ) as client:
            model = (await client.post("/models", json={"name": "iris"})).json()["id"]

            def asked(name: str) -> list[tuple[str, str, object]]:
                return [
                    ("GET", f"/models/{model}", None),
                    ("GET", "/models", None),
                    ("GET", "/models?at=1", None),
                    ("GET", "/search?q=iris", None),
                    ("GET", "/events", None),
                    ("GET", "/events/stream?follow=false&after=0", None),
                    ("POST", "/models", {"name": name}),
                    ("PATCH", f"/models/{model}", {"description": name}),
                ]

            async def answers(name: str) -> list[httpx.Response]:
                # Twice each: the second waits for the first, or for a new connection.
                wanted = [request for request in asked(name) for _ in range(2)]
                return await asyncio.gather(*(client.request(verb, path, json=body) for verb, path, body in wanted))

            with frozen(embedded_server):
                refused = await answers("rose")
            served = await answers("lily")
            names = {each["name"] for each in (await client.get("/models")).json()["items"]}

    assert {(answer.status_code, answer.headers.get("retry-after")) for answer in refused} == {(503, "1")}
    assert sorted(answer.status_code for answer in served) == [200] * 14 + [201, 409]  # one of two has the name
    assert "rose" not in names or any("all the same" in answer.text for answer in refused)


async def test_who_asks_another_process_waits_no_longer_when_the_database_hangs_meanwhile(
    embedded_server: EmbeddedPostgres,
) -> None:
    database = Database.from_dsn(embedded_server.dsn("postgres"))
    heard = asyncio.Event()
    async with connected(database) as other, await open_pool(address_of(database), statement_seconds=600.0) as pool:
        await other.add_listener("questions", lambda *_: heard.set())
        asker = Asker(pool)
        asking = asyncio.create_task(asker.ask("questions", "anybody there?", 1.0))
        await heard.wait()
        with frozen(embedded_server):
            async with asyncio.timeout(STATEMENT_SECONDS):
                answer = await asking
        assert answer is None
        assert await pool.fetchval("SELECT true")
