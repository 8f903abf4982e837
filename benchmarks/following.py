"""Projections that follow the log: how fast they catch up, how far behind they are under writes; what a search takes.

The worker is a process of its own, as an operator's is. MODELTRAIL_BENCH_EVENTS sets the size of the log.
"""

import asyncio
import os
import statistics
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from asyncpg import Connection

from benchmarks.committer import commands_a_second
from benchmarks.database import fresh_database
from benchmarks.figures import Figure
from benchmarks.histories import PROJECT, registrations, write
from modeltrail.commands import models
from modeltrail.commands.committing.committer import Committer
from modeltrail.domain.ids import ModelId
from modeltrail.domain.registered_model_messages import RegisterModel
from modeltrail.eventlog.log import read_head
from modeltrail.eventlog.record import Context
from modeltrail.postgres.connect import DatabaseAddress, open_pool, writer
from modeltrail.postgres.embedded import EmbeddedPostgres
from modeltrail.postgres.ids import new_id
from modeltrail.projections.catalogue import ASYNC, INLINE
from modeltrail.projections.checkpoint import Checkpoint, read_reach
from modeltrail.projections.searching import Wanted, search

EVENTS = int(os.environ.get("MODELTRAIL_BENCH_EVENTS", "100000"))
WRITES_A_SECOND = 200
WRITES = 1_000
SEARCHES = 200
AIM_SECONDS = 1.0
AIM_MS = 10.0


async def run(server: EmbeddedPostgres) -> list[Figure]:
    """All on one database: first from the beginning of a long log, then at its end."""
    address = await fresh_database(server, "bench_following")
    connection = await writer(address, statement_seconds=None)()
    try:
        await connection.execute("SET statement_timeout = 0; SET synchronous_commit = off")
        await write(connection, registrations(), EVENTS)
        rates = {each.name: await _caught_up(Checkpoint(connection, each)) for each in ASYNC}
        await connection.execute("VACUUM ANALYZE search")
        async with Committer(writer(address), INLINE) as committer:
            written = await commands_a_second(lambda: _register(committer), 32, 2.0)
            async with _worker(address):
                await _level(connection)
                lags = await _lags(committer, connection)
        found = await _search_milliseconds(address)
    finally:
        await connection.close()
    median, slowest = statistics.median(lags), max(lags)
    return [
        *(
            Figure(
                f"{name}, catching up", f"{rate:,.0f} events/s", f"{written:,.0f} commands/s written", rate / written
            )
            for name, rate in rates.items()
        ),
        Figure(
            f"lag of all at {WRITES_A_SECOND} writes/s",
            f"{median * 1000:.0f} ms, {slowest * 1000:.0f} at most",
            f"{AIM_SECONDS:g} s, the aim",
            AIM_SECONDS / slowest,
            1.0,
        ),
        Figure(
            f"search, two words, {EVENTS:,} models", f"{found:.1f} ms", f"{AIM_MS:g} ms, the aim", AIM_MS / found, 1.0
        ),
    ]


async def _caught_up(checkpoint: Checkpoint) -> float:
    at = time.perf_counter()
    await checkpoint.catch_up()
    return EVENTS / (time.perf_counter() - at)


async def _register(committer: Committer) -> None:
    wish = RegisterModel(model_id=ModelId(new_id()), project_id=PROJECT, name=str(new_id()))
    await committer.submit(models.Register(wish), Context(PROJECT, new_id(), "benchmark"))


@asynccontextmanager
async def _worker(address: DatabaseAddress) -> AsyncGenerator[None, None]:
    environment = os.environ | {
        "DATABASE_HOST": address.host,
        "DATABASE_PORT": str(address.port),
        "DATABASE_USER": address.user,
        "DATABASE_DBNAME": address.database,
        "KSERVE_ENABLED": "false",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "modeltrail", "worker", env=environment,
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


async def _level(connection: Connection) -> None:
    while any([(await read_reach(connection, each)).behind for each in ASYNC]):  # noqa: ASYNC110 - by another process
        await asyncio.sleep(0.05)


async def _lags(committer: Committer, connection: Connection) -> list[float]:
    """Seconds from the answer to each write until the last of all projections had it."""
    waiting: dict[int, float] = {}
    lags: list[float] = []
    first = (await read_head(connection)).position + 1

    async def write(number: int) -> None:
        await _register(committer)
        waiting[first + number] = time.perf_counter()  # an event each, in the order of the calls

    async def write_all() -> None:
        start = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for number in range(WRITES):
                await asyncio.sleep(max(0.0, start + number / WRITES_A_SECOND - time.perf_counter()))
                group.create_task(write(number))

    writing = asyncio.create_task(write_all())
    while not writing.done() or waiting:
        reached = min([(await read_reach(connection, each)).position for each in ASYNC])
        now = time.perf_counter()
        lags += [now - waiting.pop(position) for position in sorted(waiting) if position <= reached]
        await asyncio.sleep(0.005)
    await writing
    return lags


async def _search_milliseconds(address: DatabaseAddress) -> float:
    """The median of many, one after the other, each for another model by the beginnings of two words."""
    pool = await open_pool(address, largest=1)
    taken = []
    try:
        for number in range(SEARCHES):
            at = time.perf_counter()
            page = await search(pool, PROJECT, Wanted(f"forec {EVENTS // SEARCHES * number + 1}", None, 20, 0))
            taken.append(time.perf_counter() - at)
            assert page.returned
    finally:
        await pool.close()
    return statistics.median(taken) * 1000
