"""A writer that stands still with the log's lock in hand: its process is frozen, or the machine that it runs on."""

# asyncpg's functions carry no annotations.
# mypy: allow-untyped-calls

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType

import structlog
from asyncpg import Connection

from modeltrail.eventlog.log import LOCK, SQL
from modeltrail.failures import causes_of

_log = structlog.get_logger(__name__)

# A writer that works asks something of the server every few milliseconds, and who waits for the lock does so for ten
# seconds at most.
STILL_SECONDS = 5.0
LOOK_SECONDS = 1.0


class Lookout:
    """While it is entered, sees to it that nobody keeps the lock who does nothing with it.

    Those who wait do so, rather than a setting of the holder's session, because that would have to be set and put back
    with each turn. Ending a session is safe at any moment: the server gives the lock to the next only when the session
    is gone, and whatever its last statement wrote is then there as a whole, or not at all.
    """

    def __init__(self, connect: Callable[[], Awaitable[Connection]]) -> None:
        """`connect` opens a connection to look over, which is done when the wait is long."""
        self._connect = connect
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    def __enter__(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(STILL_SECONDS, self._begin)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def _begin(self) -> None:
        self._task = asyncio.create_task(self._look(), name="lookout for writers that stand still")

    async def _look(self) -> None:
        try:
            connection = await self._connect()
            try:
                while True:
                    await _end_still_holders(connection)
                    await asyncio.sleep(LOOK_SECONDS)
            finally:
                connection.terminate()
        except Exception as error:  # noqa: BLE001 - whatever it was, the wait goes on without a lookout
            _log.warning("could not find out who holds the log's lock", cause=causes_of(error))


async def _end_still_holders(connection: Connection) -> None:
    for row in await connection.fetch(SQL.end_still_holders, LOCK, STILL_SECONDS):
        _log.warning("ended the session of a writer that stood still with the log's lock", backend=row["pid"])
