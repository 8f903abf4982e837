"""Events a second through `modeltrail events verify`, beside a plain read of the same rows; and what chaining costs.

A plain read fetches every column through a cursor, in commit order, and looks at nothing.
"""

import statistics
import time
from itertools import islice

from asyncpg import Connection

from benchmarks.committer import commands_a_second
from benchmarks.database import fresh_database
from benchmarks.figures import Figure
from benchmarks.histories import PROJECT, recorded, registrations, write
from modeltrail.commands import models
from modeltrail.commands.committing.committer import Committer
from modeltrail.domain.ids import ModelId
from modeltrail.domain.registered_model_messages import RegisterModel
from modeltrail.eventlog import chain
from modeltrail.eventlog.codec import encode, encode_actor, topic_of
from modeltrail.eventlog.record import Context
from modeltrail.eventlog.verification import verify_log
from modeltrail.postgres.connect import DatabaseAddress, writer
from modeltrail.postgres.embedded import EmbeddedPostgres
from modeltrail.postgres.ids import new_id
from modeltrail.projections.catalogue import INLINE

EVENTS = 500_000
ROUNDS = 3
A_PAGE = 5_000
COLUMNS = "SELECT * FROM stored_events ORDER BY notification_id"


async def run(server: EmbeddedPostgres) -> list[Figure]:
    """The median round of each: verification and plain reads take turns."""
    connection = await writer(await fresh_database(server, "bench_verify"), statement_seconds=None)()
    try:
        await connection.execute("SET statement_timeout = 0")
        await write(connection, registrations(), EVENTS)
        rates: dict[str, list[float]] = {"verify": [], "read": []}
        for _ in range(ROUNDS):
            rates["verify"].append(EVENTS / await _verify(connection))
            rates["read"].append(EVENTS / await _read(connection))
    finally:
        await connection.close()
    verify, read = (statistics.median(rates[name]) for name in ("verify", "read"))
    share = _chaining() * await _commands_a_second(await fresh_database(server, "bench_chaining"))
    return [
        Figure(
            "verify, 500,000 events", f"{verify:,.0f} events/s", f"{read:,.0f} events/s, a plain read", verify / read
        ),
        Figure("chaining, of the time to append", f"{share:.1%}", "commands by 32 callers", share),
    ]


async def _verify(connection: Connection) -> float:
    at = time.perf_counter()
    verified = await verify_log(connection, lambda _done, _total: None)
    assert verified.finding is None
    assert verified.position == EVENTS
    return time.perf_counter() - at


async def _read(connection: Connection) -> float:
    at, rows = time.perf_counter(), 0
    async with connection.transaction():
        cursor = await connection.cursor(COLUMNS)
        while page := await cursor.fetch(A_PAGE):
            rows += len(page)
    assert rows == EVENTS
    return time.perf_counter() - at


async def _commands_a_second(address: DatabaseAddress) -> float:
    async with Committer(writer(address), INLINE) as committer:

        async def register() -> None:
            wish = RegisterModel(model_id=ModelId(new_id()), project_id=PROJECT, name=str(new_id()))
            await committer.submit(models.Register(wish), Context(PROJECT, new_id(), "benchmark"))

        await commands_a_second(register, 32, 0.5)
        return await commands_a_second(register, 32, 2.0)


def _chaining() -> float:
    """Seconds that hashing takes for one event."""
    events = [recorded(number, *event) for number, event in enumerate(islice(registrations(), 20_000), 1)]
    states = [(encode(each.event), encode_actor(each.context.actor), topic_of(each.event)) for each in events]
    previous, at = chain.GENESIS, time.perf_counter()
    for each, (state, actor, topic) in zip(events, states, strict=True):
        previous = chain.link(
            previous,
            position=each.position,
            stream=each.stream,
            version=each.version,
            topic=topic,
            state=state,
            project=each.context.project_id,
            recorded_at=each.recorded_at,
            actor=actor,
            request_id=each.context.request_id,
            command_id=each.context.command_id,
            causation_id=None,
        )
    return (time.perf_counter() - at) / len(events)
