"""Committers for tests, what they wrote, and connections that break when a test says so."""

# asyncpg's functions carry no annotations.
# mypy: allow-untyped-calls

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import asyncpg

from modeltrail.commands import models, versions
from modeltrail.commands.committing.batch import Outcome
from modeltrail.commands.committing.committer import Committer
from modeltrail.commands.decision import Command
from modeltrail.domain.ids import ModelId, ProjectId, VersionId
from modeltrail.domain.model_version_messages import RegisterVersion
from modeltrail.domain.registered_model_messages import RegisterModel
from modeltrail.eventlog import chain
from modeltrail.eventlog.codec import Codec
from modeltrail.eventlog.log import lock_log, read_after, recorded_from
from modeltrail.eventlog.record import Context, Recorded
from modeltrail.postgres.connect import DatabaseAddress, writer
from modeltrail.projections.catalogue import INLINE
from support.database import Database
from support.samples import ARTIFACT, PROJECT

WHOLE_LOG = 1_000_000  # events; no test writes as many

Connect = Callable[[], Awaitable[asyncpg.Connection]]


def address_of(database: Database) -> DatabaseAddress:
    return DatabaseAddress(database.host, database.port, database.user, database.password, database.name)


def connect_to(database: Database) -> Connect:
    return writer(address_of(database))


@asynccontextmanager
async def connected(database: Database) -> AsyncIterator[asyncpg.Connection]:
    """A connection that reads the log as modeltrail does."""
    connection = await connect_to(database)()
    try:
        yield connection
    finally:
        await connection.close()


async def await_writers(database: Database) -> None:
    """Wait until no session has the log's lock: PostgreSQL may still commit what a killed process sent it last."""
    async with connected(database) as connection:
        await lock_log(connection, held=False)


def context(project: ProjectId = PROJECT, command_id: UUID | None = None) -> Context:
    return Context(project, command_id or uuid4(), "req-1")


def register(name: str, model: ModelId | None = None, project: ProjectId = PROJECT) -> models.Register:
    return models.Register(RegisterModel(model_id=model or ModelId(uuid4()), project_id=project, name=name))


def register_version(
    name: str,
    model: ModelId,
    version: VersionId | None = None,
    *,
    is_default: bool = False,
    project: ProjectId = PROJECT,
) -> versions.Register:
    wish = RegisterVersion(project_id=project, registered_model_id=model, name=name, artifact=ARTIFACT)
    return versions.Register(version_id=version or VersionId(uuid4()), wish=wish, is_default=is_default)


def rename(model: ModelId, name: str, project: ProjectId = PROJECT) -> models.Revise:
    return models.Revise(project_id=project, model_id=model, name=name)


async def submit_together(committer: Committer, *commands: Command) -> list[Outcome | BaseException]:
    """What came of commands that arrive at the same moment, and so share a batch."""
    return await asyncio.gather(*(committer.submit(command, context()) for command in commands), return_exceptions=True)


async def read_rows(database: Database) -> list[asyncpg.Record]:
    """The rows of the log, oldest first."""
    async with connected(database) as connection:
        return await read_after(connection, 0, WHOLE_LOG)


async def read_log(database: Database) -> list[Recorded]:
    """The events of the log, oldest first."""
    async with connected(database) as connection:
        return await read_log_over(connection)


async def read_log_over(connection: asyncpg.Connection, codec: Codec | None = None) -> list[Recorded]:
    """The events of the log, oldest first. Without a `codec`, people's addresses stay sealed."""
    codec = codec or Codec()
    return [recorded_from(row, codec) for row in await read_after(connection, 0, WHOLE_LOG)]


def broken_link(rows: list[asyncpg.Record]) -> int | None:
    """The position of the first row whose hash is not what it must be, if the first row is the first of the log."""
    previous = chain.GENESIS
    for row in rows:
        previous = chain.link(
            previous,
            position=row["notification_id"],
            stream=row["originator_id"],
            version=row["originator_version"],
            topic=row["topic"],
            state=row["state"],
            project=row["project_id"],
            recorded_at=row["recorded_at"],
            actor=row["actor"],
            request_id=row["request_id"],
            command_id=row["command_id"],
            causation_id=row["causation_id"],
        )
        if previous != row["hash"]:
            return int(row["notification_id"])
    return None


Sabotage = Callable[["Fragile", str], Awaitable[None]]


class Fragile:
    """A connection that lets a test step in before and after each statement."""

    def __init__(self, connection: asyncpg.Connection, before: Sabotage, after: Sabotage) -> None:
        self.connection = connection
        self._before = before
        self._after = after

    def __getattr__(self, name: str) -> Any:  # Any: whatever a connection has
        return getattr(self.connection, name)

    async def execute(self, statement: str, *arguments: Any) -> Any:  # Any: as asyncpg takes and gives them
        return await self._run(self.connection.execute, statement, *arguments)

    async def executemany(self, statement: str, *arguments: Any) -> Any:  # Any: the same
        return await self._run(self.connection.executemany, statement, *arguments)

    async def fetch(self, statement: str, *arguments: Any) -> Any:  # Any: the same
        return await self._run(self.connection.fetch, statement, *arguments)

    async def fetchrow(self, statement: str, *arguments: Any) -> Any:  # Any: the same
        return await self._run(self.connection.fetchrow, statement, *arguments)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """As asyncpg's own, in statements that a test can step into."""
        await self.execute("BEGIN")
        try:
            yield
        except BaseException:
            if not self.connection.is_closed():
                await self.execute("ROLLBACK")
            raise
        await self.execute("COMMIT")

    async def _run(
        self, method: Callable[..., Awaitable[Any]], statement: str, *arguments: Any
    ) -> Any:  # Any: the same
        await self._before(self, statement)
        answer = await method(statement, *arguments)
        await self._after(self, statement)
        return answer

    def lose(self) -> None:
        """Cut the connection, as a network does: without a word to the server. Raises what a caller then sees."""
        self.connection.terminate()
        raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")


async def let_be(_connection: Fragile, _statement: str) -> None:
    """No sabotage."""


def fragile(connect: Connect, *, before: Sabotage = let_be, after: Sabotage = let_be) -> Connect:
    """A `connect` whose connections break as the test says."""

    async def connect_fragile() -> Any:  # Any: as good as a connection
        return Fragile(await connect(), before, after)

    return connect_fragile


def committer_on(connect: Connect, **options: Any) -> Committer:  # Any: the committer's own options
    return Committer(connect, INLINE, **options)


async def two_wait_for_the_log(database: Database) -> bool:
    """Whether two sessions of this database wait for its lock, or another advisory one, as yet in vain."""
    async with connected(database) as connection:
        waiting: int = await connection.fetchval(
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'advisory'"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
    return waiting == 2


async def somebody_waits_for_a_lock(database: Database) -> bool:
    """Whether one of this database's sessions does, as yet in vain."""
    async with connected(database) as connection:
        waiting: bool = await connection.fetchval(
            "SELECT EXISTS (SELECT FROM pg_locks JOIN pg_database AS d ON d.oid = database"
            " WHERE NOT granted AND d.datname = current_database())"
        )
    return waiting
