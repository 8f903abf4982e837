"""A writer's turn: the log's lock, held by a session over a few batches, and where the log ends meanwhile."""

from asyncpg import Connection

from modeltrail.eventlog.log import Head, lock_log, unlock_log

BATCHES = 8


class Turn:
    """Holds the lock for `connection`. While it does, nobody else appends, so the end of the log is known."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._held = False
        self._head: Head | None = None
        self._batches = 0

    async def begin_batch(self) -> Head:
        """Wait for the writers before, and tell where the log ends.

        After a few batches the lock is given up first, so that writers who wait are not kept out by a busy one.
        """
        if self._head is not None and self._batches < BATCHES:
            self._batches += 1
            return self._head
        self._head = None
        held, self._held = self._held, True  # also when it fails: it may have failed with the lock in hand
        head = await lock_log(self._connection, held=held)
        self._batches = 1
        return head

    def end_batch(self, head: Head) -> None:
        """Remember where the log ends after a batch that was committed."""
        self._head = head

    def doubt(self) -> None:
        """Ask the log again: a batch failed."""
        self._head = None

    async def end(self) -> None:
        """Let the next writer in."""
        if self._held:
            self._head = None
            await unlock_log(self._connection)
            self._held = False
