"""What commands would come to, without writing anything."""

import asyncio
from collections.abc import Sequence
from typing import Any, Self, TypeVar

from asyncpg import Connection

from modeltrail.commands.committing.batch import Pending, decide_all
from modeltrail.commands.committing.working_set import WorkingSet
from modeltrail.commands.decision import Command
from modeltrail.eventlog.log import read_head
from modeltrail.eventlog.record import Context
from modeltrail.projections.projection import Projection, Row
from modeltrail.projections.table import Table

R = TypeVar("R", bound=Row)


class Rehearsal:
    """Decides commands on what the database holds now and on what those before them decided."""

    def __init__(
        self, connection: Connection, tables: Sequence[Table[Any]], working: WorkingSet
    ) -> None:  # Any: of any kind
        self._connection = connection
        self._tables = tables
        self._working = working

    @classmethod
    async def begin(cls, connection: Connection, tables: Sequence[Table[Any]]) -> Self:  # Any: of any kind
        """With nothing decided yet."""
        return cls(connection, tables, WorkingSet(await read_head(connection), tables))

    async def begin_anew(self) -> None:
        """Forget what was decided: memory need not hold all that is rehearsed."""
        self._working = WorkingSet(await read_head(self._connection), self._tables)

    async def decide(self, commands: Sequence[tuple[Command, Context]]) -> list[int | Exception]:
        """For each, how many events it would add, or why it would be refused."""
        loop = asyncio.get_running_loop()
        pendings = [Pending(command, context, loop.create_future()) for command, context in commands]
        await decide_all(self._connection, self._working, pendings)
        return [pending.refusal or pending.events for pending in pendings]

    def rows_left(self, projection: Projection[R]) -> list[R]:
        """The rows that were decided on since this was asked last, as they would be in the end."""
        return self._working.changed_rows(projection)
