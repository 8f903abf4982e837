"""How far a projection has come that follows the log by itself: written in one transaction with its rows, so that no
event is left out, and none counts twice, whatever ends the process."""

from typing import Any

from asyncpg import Connection, Pool
from msgspec import Struct

from modeltrail.postgres.statements import Statements
from modeltrail.projections.following import follow
from modeltrail.projections.history import History
from modeltrail.projections.projection import Projection
from modeltrail.projections.table import Table

SQL = Statements("modeltrail.projections", "checkpoint.sql")
BATCH = 500  # events


class OtherVersionError(Exception):
    """The table was filled by other code than today's, which must not write to it."""


class Reach(Struct, frozen=True):
    """Up to which `position` of the log a table holds everything, and by how many events it is `behind`."""

    position: int
    behind: int


async def read_reach(database: Connection | Pool, projection: Projection[Any]) -> Reach:  # Any: of any kind
    """How far an async projection has come at least: read it before its rows."""
    row = await database.fetchrow(SQL.get_reach, projection.name)  # type: ignore[no-untyped-call] # asyncpg has none
    return Reach(row["position"], row["behind"] or 0)


class Checkpoint:
    """Moves one projection forward."""

    def __init__(self, connection: Connection, projection: Projection[Any]) -> None:  # Any: the same
        self._connection = connection
        self._projection = projection
        self._table = Table(projection)

    async def is_behind(self) -> bool:
        """Whether there are events that it has not taken."""
        behind: bool = await self._connection.fetchval(SQL.is_behind, self._projection.name)
        return behind

    async def step(self, limit: int) -> int:
        """Take up to `limit` events in one transaction; how many there were.

        The lock of the checkpoint's row lets nobody else take the same ones meanwhile, a rebuild's swap included.
        Raises OtherVersionError, and UnreadableEventError.
        """
        name = self._projection.name
        async with self._connection.transaction():
            row = await self._connection.fetchrow(SQL.lock_checkpoint, name)
            if row["version"] != self._projection.version:
                raise OtherVersionError(
                    f"{name} was filled by version {row['version']} of its code, and this is version"
                    f" {self._projection.version}: run `modeltrail migrate`, or the worker, of the newer release"
                )
            events = await History(self._connection, None).after(row["position"], limit)
            if not events:
                return 0
            await follow(self._connection, [self._table], events)
            await self._connection.execute(SQL.move_checkpoint, name, events[-1].position)
        return len(events)

    async def catch_up(self) -> None:
        """Take all there are, in batches. One that fails is divided, so that all before the event at fault are taken.

        Raises what that event raises.
        """
        limit = BATCH
        while True:
            try:
                taken = await self.step(limit)
            except OtherVersionError:
                raise
            except Exception:
                if limit == 1 or self._connection.is_closed():
                    raise
                limit //= 2
                continue
            if taken < limit:
                return
            limit = min(2 * limit, BATCH)

    async def save_failure(self, cause: str) -> int | None:
        """Write down why it stands still, for `modeltrail projections list`; at which position that is."""
        position: int | None = await self._connection.fetchval(SQL.save_failure, self._projection.name, cause)
        return position
