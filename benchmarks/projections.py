"""Events a second through `modeltrail projections rebuild`, its memory, and the slowest read while it runs and swaps.

The rebuild is a process of its own, as an operator's is. MODELTRAIL_BENCH_EVENTS sets the size of the log.
"""

import asyncio
import os
import re
import resource
import sys
import time
from base64 import b64encode
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from uuid import UUID

from asyncpg import Connection

from benchmarks import library_projection
from benchmarks.database import fresh_database
from benchmarks.figures import Figure
from benchmarks.histories import History, registrations, trainings, write
from modeltrail.postgres.connect import DatabaseAddress, open_pool, opened, writer
from modeltrail.postgres.embedded import EmbeddedPostgres
from modeltrail.projections.documents import DocumentReader
from modeltrail.projections.models import MODELS

EVENTS = int(os.environ.get("MODELTRAIL_BENCH_EVENTS", "100000"))
AIM = 100_000
LIBRARY_EVENTS = 5_000  # the first ones of the same log
_PATIENTLY = "SET statement_timeout = 0; SET idle_session_timeout = 0"
RATE = re.compile(r"\(([\d,]+)/s\)")


async def run(server: EmbeddedPostgres) -> list[Figure]:
    """A log in which each event makes rows of its own, and one of models that are trained each night.

    The first is rebuilt with nobody beside it, and once more while a model is read without a pause.
    """
    async with _log(server, "bench_projections", registrations()) as (address, connection):
        rate = await _rebuild(address)
        model = await connection.fetchval("SELECT id FROM models LIMIT 1")
        await library_projection.prepare_table(connection, address.database)
    rebuilding = asyncio.create_task(_rebuild(address))
    slowest, reads = await _read_until(rebuilding, address, model)
    meanwhile = await rebuilding
    library = await asyncio.to_thread(library_projection.events_a_second, address, LIBRARY_EVENTS)
    async with _log(server, "bench_trainings", trainings()) as (nightly, _):
        trained = await _rebuild(nightly)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return [
        Figure(f"rebuild, {EVENTS:,} events", f"{rate:,.0f} events/s", f"{AIM:,} events/s, the aim", rate / AIM, 1.0),
        Figure(
            "rebuild, and another runner",
            f"{rate:,.0f} events/s",
            f"{library:,.0f} events/s, eventsourcing's projection runner",
            rate / library,
            wanted=40.0,
        ),
        Figure(
            f"rebuild, {EVENTS:,} of nightly models",
            f"{trained:,.0f} events/s",
            f"{AIM:,} events/s, the aim",
            trained / AIM,
            1.0,
        ),
        Figure(f"rebuild, memory for {EVENTS:,} rows", f"{peak:,.0f} MB at the peak"),
        Figure(
            "slowest of the reads meanwhile",
            f"{slowest * 1000:.1f} ms",
            f"{reads:,} reads, while {meanwhile:,.0f} events/s",
        ),
    ]


@asynccontextmanager
async def _log(
    server: EmbeddedPostgres, database: str, history: History
) -> AsyncGenerator[tuple[DatabaseAddress, Connection], None]:
    """A database with nothing but a log, and a connection to it for the block."""
    address = await fresh_database(server, database)
    async with opened(writer(address, statement_seconds=None), _PATIENTLY) as connection:
        await write(connection, history, EVENTS)
        yield address, connection


async def _rebuild(address: DatabaseAddress) -> float:
    environment = os.environ | {
        "DATABASE_HOST": address.host,
        "DATABASE_PORT": str(address.port),
        "DATABASE_USER": address.user,
        "DATABASE_DBNAME": address.database,
        "MODELTRAIL_SECRET_KEYS": "bench:" + b64encode(bytes(32)).decode(),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "modeltrail", "projections", "rebuild", "--all", env=environment,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, _ = await process.communicate()
    found = RATE.search(out.decode())
    if process.returncode or found is None:
        raise RuntimeError(f"the rebuild failed: {out.decode()}")
    return float(found[1].replace(",", ""))


async def _read_until(rebuilding: asyncio.Task[float], address: DatabaseAddress, model: UUID) -> tuple[float, int]:
    pool = await open_pool(address)
    documents = DocumentReader(pool)
    slowest, reads = 0.0, 0
    try:
        while not rebuilding.done():
            at = time.perf_counter()
            if await documents.get(MODELS, model) is None:
                raise RuntimeError("a model was not there while its table was rebuilt")
            slowest, reads = max(slowest, time.perf_counter() - at), reads + 1
    finally:
        await pool.close()
    return slowest, reads
