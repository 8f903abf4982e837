"""Health over HTTP, with a database that answers, one that is away, and one that hangs."""

import asyncio
import time
from dataclasses import replace

import pytest

from modeltrail.postgres.connect import DatabaseAddress, open_pool
from support.api import Api, client_of
from support.cluster import eventually


async def test_the_service_is_healthy_while_the_database_answers(api: Api) -> None:
    answer = await api.client.get("/healthz")

    assert (answer.status_code, answer.text) == (200, '{"status":"ok"}')
    assert answer.headers["x-request-id"]


async def test_the_service_is_unhealthy_when_the_database_is_away(api: Api) -> None:
    await api.pool.close()

    answer = await api.client.get("/healthz")

    assert (answer.status_code, answer.text) == (503, '{"status":"unhealthy"}')


async def test_the_process_is_alive_when_the_database_is_away(api: Api) -> None:
    await api.pool.close()

    answer = await api.client.get("/livez")

    assert (answer.status_code, answer.text) == (200, '{"status":"ok"}')


@pytest.mark.parametrize("busy", [0, 1])
async def test_the_service_says_so_within_two_seconds_when_the_database_hangs(api: Api, busy: int) -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    silent = await asyncio.start_server(hang, "127.0.0.1", 0)
    port: int = silent.sockets[0].getsockname()[1]
    pool = await open_pool(DatabaseAddress("127.0.0.1", port, "u", "p", "d"), smallest=0, largest=1)
    waiting = [asyncio.create_task(pool.fetchval("SELECT 1")) for _ in range(busy)]
    try:
        async with client_of(replace(api.services, pool=pool)) as hanging:
            started = time.monotonic()
            answer = await hanging.client.get("/healthz")
            took = time.monotonic() - started
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        pool.terminate()
        silent.close()

    assert (answer.status_code, answer.text) == (503, '{"status":"unhealthy"}')
    assert took < 2.0


async def test_a_query_that_hangs_gives_its_connection_up(api: Api) -> None:
    """A connection that hangs must not stay in the pool, or the pool would be used up by those who ask."""
    async with api.pool.acquire() as blocker, blocker.transaction():
        held = [await api.pool.acquire() for _ in range(3)]
        answer = await api.client.get("/healthz")
        assert answer.status_code == 503
        for connection in held:
            await api.pool.release(connection)

    async def healthy() -> bool:
        return (await api.client.get("/healthz")).status_code == 200

    assert await eventually(healthy)
