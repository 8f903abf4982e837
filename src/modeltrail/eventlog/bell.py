"""Word of new events, for many who wait in one process: over one connection, and only while somebody waits.

The connection is its own: one of the pool would be missing there for as long as somebody waits.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator

import structlog
from asyncpg import Connection

from modeltrail.eventlog.log import CHANNEL
from modeltrail.failures import causes_of
from modeltrail.postgres.connect import is_passing, opened

_log = structlog.get_logger(__name__)

PAUSE_SECONDS = 1.0  # before a lost connection is replaced
SETTINGS = "SET application_name = 'modeltrail event streams'; SET idle_session_timeout = 0"


class Bell:
    """Sets the events of all who wait when something is appended to the log, and now and then without need."""

    def __init__(self, connect: Callable[[], Awaitable[Connection]]) -> None:
        self._connect = connect
        self._waiting: set[asyncio.Event] = set()
        self._listening: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def heard(self) -> Iterator[asyncio.Event]:
        """An event that is set as soon as there may be news. Whoever waits clears it before looking."""
        event = asyncio.Event()
        self._waiting.add(event)
        if self._listening is None:
            self._listening = asyncio.create_task(self._listen(), name="bell")
        try:
            yield event
        finally:
            self._waiting.discard(event)
            if not self._waiting and self._listening is not None:
                self._listening.cancel()
                self._listening = None

    def ring(self, *_notification: object) -> None:
        """Let all who wait look."""
        for event in self._waiting:
            event.set()

    async def _listen(self) -> None:
        while True:
            try:
                await self._listen_once()
            except Exception as error:
                if not is_passing(error):
                    raise
                _log.warning("news of the log come late until the database answers", cause=causes_of(error))
            await asyncio.sleep(PAUSE_SECONDS)

    async def _listen_once(self) -> None:
        """Until the connection is lost."""
        lost = asyncio.Event()

        def end(_connection: object) -> None:
            lost.set()

        async with opened(self._connect, SETTINGS) as connection:
            connection.add_termination_listener(end)
            await connection.add_listener(CHANNEL, self.ring)
            self.ring()  # what was appended before we listened
            await lost.wait()
