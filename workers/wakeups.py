"""Being told of new events: LISTEN for speed, a timer for truth."""

import asyncio

from asyncpg import Connection

from modeltrail.eventlog.log import CHANNEL

POLL_SECONDS = 1.0


class Wakeups:
    """Wakes a consumer when something was appended to the log, and every second in case it was not told."""

    def __init__(self, connection: Connection) -> None:
        """Use `connection`, which must not be shared with others that listen."""
        self._connection = connection
        self._rung = asyncio.Event()

    async def start(self) -> None:
        """Begin to listen."""
        await self._connection.add_listener(CHANNEL, self._ring)

    def _ring(self, *_notification: object) -> None:
        self._rung.set()

    async def next(self) -> None:
        """Wait for an append since the last call, at most a second. Raises ConnectionError once none can be heard."""
        if self._connection.is_closed():
            raise ConnectionError("the connection that listens for new events was lost")
        try:
            async with asyncio.timeout(POLL_SECONDS):
                await self._rung.wait()
        except TimeoutError:
            pass
        self._rung.clear()
