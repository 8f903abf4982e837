"""A writer's turn: the log's lock, held by a session over a few batches."""

from collections.abc import Awaitable, Callable

from asyncpg import Connection

from modeltrail.eventlog.log import Head, lock_log, unlock_log
from modeltrail.eventlog.standstill import Lookout


class Turn:
    """Holds the lock for `connection`. While it does, nobody else appends, so the end of the log is known."""

    def __init__(self, connection: Connection, connect: Callable[[], Awaitable[Connection]]) -> None:
        """`connect` opens another connection, for a wait that is long."""
        self._connection = connection
        self._lookout = Lookout(connect)
        self._held = False

    async def begin(self) -> Head:
        """Wait for the writers before, and tell where the log ends.

        One that has the lock still gives it up first, so that writers who wait are not kept out by a busy one.
        """
        held, self._held = self._held, True  # also when it fails: it may have failed with the lock in hand
        with self._lookout:
            return await lock_log(self._connection, held=held)

    async def end(self) -> None:
        """Let the next writer in."""
        if self._held:
            await unlock_log(self._connection)
            self._held = False
