"""A writer's turn: the log's lock, held by a session over a few batches."""

from asyncpg import Connection

from modeltrail.eventlog.log import LOCK, SQL, Head, head_in
from modeltrail.postgres.connect import WRITER_SETTINGS

# For so long a process may stand still with the lock in hand: one that is frozen, or whose machine is. Then the server
# ends its session, and the next writer, who waits for ten seconds at most, goes on.
STILL = "5s"


class Turn:
    """Holds the lock for `connection`. While it does, nobody else appends, so the end of the log is known."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._held = False

    async def begin(self) -> Head:
        """Wait for the writers before, and tell where the log ends.

        One that has the lock still gives it up first, so that writers who wait are not kept out by a busy one.
        """
        held, self._held = self._held, True  # also when it fails: it may have failed with the lock in hand
        return head_in(await self._connection.fetchrow(SQL.begin_turn, LOCK, held, STILL))

    async def end(self) -> None:
        """Let the next writer in."""
        if self._held:
            await self._connection.execute(SQL.end_turn, WRITER_SETTINGS["idle_session_timeout"])
            self._held = False
