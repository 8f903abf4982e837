"""Loading a stream of many events, as each command does whose stream is not in memory, beside one of ten.

MODELTRAIL_BENCH_STREAM sets the length of the long one.
"""

import asyncio
import os
import statistics
import time
from uuid import UUID

from asyncpg import Connection

from benchmarks.database import fresh_database
from benchmarks.figures import Figure
from modeltrail.commands import models
from modeltrail.commands.committing.committer import Committer
from modeltrail.domain.decider import REGISTERED_MODEL
from modeltrail.domain.ids import ModelId, ProjectId
from modeltrail.domain.registered_model_messages import RegisterModel
from modeltrail.eventlog.record import Context
from modeltrail.eventlog.streams import load_streams
from modeltrail.postgres.connect import DatabaseAddress, writer
from modeltrail.postgres.embedded import EmbeddedPostgres
from modeltrail.postgres.ids import new_id
from modeltrail.projections.catalogue import INLINE

LONG = int(os.environ.get("MODELTRAIL_BENCH_STREAM", "20000"))
SHORT = 10
AT_ONCE = 256
ASKED = 200
PROJECT = ProjectId(new_id())


async def run(server: EmbeddedPostgres) -> list[Figure]:
    """Both streams are in one log, and are loaded in turns."""
    address = await fresh_database(server, "bench_snapshots")
    # Half way between two snapshots, and so of average cost.
    long, short = await _model(address, LONG + 50), await _model(address, SHORT)
    connection = await writer(address)()
    try:
        await connection.execute("VACUUM ANALYZE stored_events")
        taken: dict[UUID, list[float]] = {long: [], short: []}
        for _ in range(ASKED):
            for stream, times in taken.items():
                times.append(await _load(connection, stream))
    finally:
        await connection.close()
    slow, fast = (statistics.median(taken[stream]) * 1000 for stream in (long, short))
    return [Figure(f"loading {LONG:,} events", f"{slow:.2f} ms", f"{fast:.2f} ms, {SHORT} events", fast / slow, 0.5)]


async def _load(connection: Connection, stream: UUID) -> float:
    at = time.perf_counter()
    loaded = await load_streams(connection, {stream: REGISTERED_MODEL})
    assert loaded[stream].version >= SHORT
    return time.perf_counter() - at


async def _model(address: DatabaseAddress, events: int) -> ModelId:
    """A model that was changed so often that its stream holds this many events."""
    model = ModelId(new_id())
    async with Committer(writer(address), INLINE) as committer:
        wish = RegisterModel(model_id=model, project_id=PROJECT, name=str(model))
        await committer.submit(models.Register(wish), Context(PROJECT, new_id(), "benchmark"))
        numbers = iter(range(1, events))

        async def change() -> None:
            for number in numbers:
                wish = models.Revise(project_id=PROJECT, model_id=model, description=f"the {number}th")
                await committer.submit(wish, Context(PROJECT, new_id(), "benchmark"))

        await asyncio.gather(*(change() for _ in range(AT_ONCE)))
    return model
