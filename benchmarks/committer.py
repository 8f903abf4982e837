"""Commands a second through the committer, beside events a second through the `eventsourcing` library's recorder.

A command of ours decides on a unique name, appends its event with metadata and hash, writes a read row and reads the
answer back; the library's appends the event, and that is all. Both wait for the disk.

Models have names such as teams give them. What searches cost is in writing, too: each name goes into an index of its
parts, and one of 36 random characters has more of them that no other has; the last figure says how much that is.
"""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

from eventsourcing.persistence import StoredEvent
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore

from benchmarks.database import empty_database, fresh_database
from benchmarks.figures import Figure
from modeltrail.commands import models
from modeltrail.commands.committing.committer import Committer
from modeltrail.domain.ids import ModelId, ProjectId
from modeltrail.domain.registered_model_messages import RegisterModel
from modeltrail.eventlog.record import Context
from modeltrail.postgres.connect import DatabaseAddress, writer
from modeltrail.postgres.embedded import EmbeddedPostgres
from modeltrail.postgres.ids import new_id
from modeltrail.projections.catalogue import INLINE

CALLERS = (1, 8, 32, 128)
ROUNDS = 3
SECONDS = 1.5
COMPARED = 32
WORDS = (
    ("churn", "fraud", "demand", "pricing", "ranking", "search", "basket", "credit", "claims", "routing", "energy"),
    ("forecast", "detector", "classifier", "ranker", "embedding", "regressor", "summary", "baseline", "ensemble"),
    ("eu", "us", "apac", "global", "berlin", "mobile", "web", "retail"),
)
PAYLOAD = b"x" * 300  # about the size of our event of a registered model


async def run(server: EmbeddedPostgres) -> list[Figure]:
    """Alternate ours and the library's, so that both see the same weather, and take each one's median round."""
    ours = await fresh_database(server, "bench_committer")
    recorder = _recorder(server, await empty_database(server, "bench_library"))
    rates: dict[tuple[str, int], list[float]] = {}
    project = ProjectId(new_id())
    async with Committer(writer(ours), INLINE) as committer:

        async def register(name: Callable[[], str] = _name) -> None:
            wish = RegisterModel(model_id=ModelId(new_id()), project_id=project, name=name())
            await committer.submit(models.Register(wish), Context(project, new_id(), "benchmark"))

        async def register_unspeakable() -> None:
            await register(lambda: str(new_id()))

        await commands_a_second(register, 32, 0.5)
        for _ in range(ROUNDS):
            for callers in CALLERS:
                rates.setdefault(("ours", callers), []).append(await commands_a_second(register, callers, SECONDS))
                theirs = await asyncio.to_thread(_library_rate, recorder, callers, SECONDS)
                rates.setdefault(("library", callers), []).append(theirs)
            random = await commands_a_second(register_unspeakable, COMPARED, SECONDS)
            rates.setdefault(("random", COMPARED), []).append(random)
    recorder.datastore.close()
    median = {key: sorted(values)[len(values) // 2] for key, values in rates.items()}
    return [
        Figure(
            f"committer, {callers} callers",
            f"{median['ours', callers]:,.0f} commands/s",
            f"{median['library', callers]:,.0f} events/s, eventsourcing's recorder",
            median["ours", callers] / median["library", callers],
            wanted=10.0 if callers == COMPARED else None,
        )
        for callers in CALLERS
    ] + [
        Figure(
            f"{COMPARED} callers, random names",
            f"{median['random', COMPARED]:,.0f} commands/s",
            f"{median['library', COMPARED]:,.0f} events/s, eventsourcing's recorder",
            median["random", COMPARED] / median["library", COMPARED],
        )
    ]


_numbers = itertools.count(1)


def _name() -> str:
    """One that no other model has."""
    number = next(_numbers)
    what, how, where = (words[number * step % len(words)] for words, step in zip(WORDS, (1, 3, 7), strict=True))
    return f"{what}-{how}-{where}-{number}"


async def commands_a_second(call: Callable[[], Awaitable[None]], callers: int, seconds: float) -> float:
    """How often a second `call` is done when so many callers call it again and again."""
    done = 0
    end = time.perf_counter() + seconds

    async def caller() -> None:
        nonlocal done
        while time.perf_counter() < end:
            await call()
            done += 1

    await asyncio.gather(*(caller() for _ in range(callers)))
    return done / seconds


def _recorder(server: EmbeddedPostgres, address: DatabaseAddress) -> PostgresApplicationRecorder:
    datastore = PostgresDatastore(
        dbname=address.database,
        host=address.host,
        port=str(server.port),
        user=address.user,
        password="",
        pool_size=32,
        max_overflow=8,
    )
    recorder = PostgresApplicationRecorder(datastore, events_table_name="their_events")
    recorder.create_table()
    return recorder


def _library_rate(recorder: PostgresApplicationRecorder, callers: int, seconds: float) -> float:
    end = time.perf_counter() + seconds

    def caller() -> int:
        done = 0
        while time.perf_counter() < end:
            recorder.insert_events([StoredEvent(new_id(), 1, "registered_model.registered", PAYLOAD)])
            done += 1
        return done

    with ThreadPoolExecutor(callers) as pool:
        return sum(pool.map(lambda _: caller(), range(callers))) / seconds
