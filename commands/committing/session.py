"""The committer's connections: one that has the log's lock and writes, and one that reads while the first is busy."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog
from asyncpg import Connection

from modeltrail.eventlog.turn import Turn
from modeltrail.postgres.connect import close

_log = structlog.get_logger(__name__)

PAUSE_SECONDS = 15.0  # before a second connection is tried again that could not be opened


class LogUnavailableError(Exception):
    """The log cannot be written to now. `unknown` says that the command may have been written all the same."""

    def __init__(self, message: str, *, unknown: bool = False) -> None:
        super().__init__(message)
        self.unknown = unknown


class Session:
    """Opens connections as they are needed. The second is a help, not a must: a database may have no room for it."""

    def __init__(self, connect: Callable[[], Awaitable[Connection]], opened: Callable[[], None]) -> None:
        """`opened` is called when the second connection is there."""
        self._connect = connect
        self._opened = opened
        self._writer: Connection | None = None
        self._turn: Turn | None = None
        self._reader: Connection | None = None
        self._opening: asyncio.Task[None] | None = None
        self._not_before = 0.0

    async def writer(self) -> tuple[Connection, Turn]:
        """The connection that writes, and the turn of those who write over it."""
        if self._writer is None or self._turn is None or self._writer.is_closed():
            self._writer = await self._connect()
            self._turn = Turn(self._writer, self._connect)
        return self._writer, self._turn

    def reader(self) -> Connection | None:
        """The connection that reads. None when there is none yet; it is then being opened, and `opened` called."""
        if self._reader is not None and not self._reader.is_closed():
            return self._reader
        if self._opening is None and asyncio.get_running_loop().time() >= self._not_before:
            self._opening = asyncio.create_task(self._open_reader(), name="committer's second connection")
        return None

    async def _open_reader(self) -> None:
        try:
            self._reader = await self._connect()
        except Exception as error:  # noqa: BLE001 - whatever it was, one connection will do
            self._not_before = asyncio.get_running_loop().time() + PAUSE_SECONDS
            _log.warning("there is no second connection for writing; going on with one", error=type(error).__name__)
        finally:
            self._opening = None
        self._opened()

    async def end_turn(self) -> None:
        """Let other processes write while there is nothing to do here."""
        if self._turn is None:
            return
        try:
            await self._turn.end()
        except Exception as error:  # noqa: BLE001 - whatever it was, the lock ends with the connection
            _log.warning("the log could not be unlocked; closing the connection", error=type(error).__name__)
            self.disconnect()

    def disconnect(self) -> None:
        """Give up the connections, and with them the lock."""
        for connection in (self._writer, self._reader):
            if connection is not None:
                connection.terminate()
        self._writer = self._turn = self._reader = None

    async def close(self) -> None:
        """Close all connections."""
        if self._opening is not None:
            self._opening.cancel()
            with suppress(asyncio.CancelledError):
                await self._opening
        for connection in (self._writer, self._reader):
            if connection is not None:
                await close(connection)
