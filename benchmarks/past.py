"""What `?at=` takes on one resource of a long log, beside the same on a short one.

The model asked for has versions and a history of its own; all else in the log is of other models.
MODELTRAIL_BENCH_EVENTS sets the size of the long log.
"""

import os
import statistics
import time
from datetime import timedelta

from benchmarks.database import fresh_database
from benchmarks.figures import Figure
from benchmarks.histories import PROJECT, registrations, write
from modeltrail.commands import models, versions
from modeltrail.commands.committing.committer import Committer
from modeltrail.domain.ids import ModelId, VersionId
from modeltrail.domain.model_version_messages import Artifact, RegisterVersion
from modeltrail.domain.registered_model_messages import RegisterModel
from modeltrail.eventlog.keys import KeyRing
from modeltrail.eventlog.record import Context
from modeltrail.postgres.connect import DatabaseAddress, open_pool, writer
from modeltrail.postgres.embedded import EmbeddedPostgres
from modeltrail.postgres.ids import new_id
from modeltrail.projections.catalogue import INLINE
from modeltrail.projections.models import MODELS
from modeltrail.projections.past import PastReader

LONG = int(os.environ.get("MODELTRAIL_BENCH_EVENTS", "100000"))
SHORT = 1_000
VERSIONS = 10
ASKED = 200
AIM_MS = 10.0


async def run(server: EmbeddedPostgres) -> list[Figure]:
    """The median of some hundred answers of each, one after the other."""
    long = await _milliseconds(await fresh_database(server, "bench_past_long"), LONG)
    short = await _milliseconds(await fresh_database(server, "bench_past_short"), SHORT)
    return [
        Figure(f"?at= on a model, {LONG:,} events", f"{long:.1f} ms", f"{AIM_MS:g} ms, the aim", AIM_MS / long, 1.0),
        Figure("?at=, short log to long log", f"{long:.1f} ms", f"{short:.1f} ms, {SHORT:,} events", short / long, 0.5),
    ]


async def _milliseconds(address: DatabaseAddress, events: int) -> float:
    connection = await writer(address, statement_seconds=None)()
    try:
        await connection.execute("SET statement_timeout = 0")
        await write(connection, registrations(), events)
        model = await _model(address)
        then = await connection.fetchval("SELECT max(recorded_at) FROM stored_events")
    finally:
        await connection.close()
    pool = await open_pool(address, largest=1)
    try:
        past, taken = PastReader(pool, KeyRing([("bench", bytes(32))])), []
        for _ in range(ASKED):
            at = time.perf_counter()
            found = await (await past.at(PROJECT, then - timedelta(microseconds=1))).document(MODELS, model)
            taken.append(time.perf_counter() - at)
            assert found is not None
    finally:
        await pool.close()
    return statistics.median(taken) * 1000


async def _model(address: DatabaseAddress) -> ModelId:
    """A model with a history."""
    model = ModelId(new_id())
    async with Committer(writer(address), INLINE) as committer:
        wish = RegisterModel(model_id=model, project_id=PROJECT, name="asked for")
        await committer.submit(models.Register(wish), Context(PROJECT, new_id(), "benchmark"))
        for number in range(VERSIONS):
            version = RegisterVersion(
                project_id=PROJECT,
                registered_model_id=model,
                name=f"v{number}",
                artifact=Artifact("model-artifact", "sklearn", "1", "", "s3://models/asked-for"),
            )
            command = versions.Register(version_id=VersionId(new_id()), wish=version)
            await committer.submit(command, Context(PROJECT, new_id(), "benchmark"))
    return model
