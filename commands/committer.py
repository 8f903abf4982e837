"""The one place that writes to the log: many commands per batch, one batch at a time.

Commands that arrive while a batch is being written form the next batch, so a lone command waits for nobody and a
crowd shares one lock and one flush to disk. Under the lock every decision is made on the newest state, so there are
no conflicts to retry, and positions are commit order.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

import structlog
from asyncpg import Connection, LockNotAvailableError, QueryCanceledError, UniqueViolationError

from modeltrail.commands import batch
from modeltrail.commands.batch import Outcome, Pending
from modeltrail.commands.decision import Command
from modeltrail.commands.working_set import WorkingSet
from modeltrail.domain.errors import id_is_taken
from modeltrail.eventlog.log import committed_commands
from modeltrail.eventlog.record import Context
from modeltrail.eventlog.turn import Turn
from modeltrail.failures import causes_of, stack_of
from modeltrail.postgres.connect import close, is_lost
from modeltrail.projections.projection import Projection
from modeltrail.projections.table import Table

_log = structlog.get_logger(__name__)

MAX_BATCH = 256
MAX_QUEUE = 10_000
RECONNECT_SECONDS = 15.0
RECONNECT_PAUSE = 0.05
TIMEOUTS = (LockNotAvailableError, QueryCanceledError)


class LogUnavailableError(Exception):
    """The log cannot be written to now. `unknown` says that the command may have been written all the same."""

    def __init__(self, message: str, *, unknown: bool = False) -> None:
        super().__init__(message)
        self.unknown = unknown


class Committer:
    """Takes commands, gives outcomes. One per process; use it as an async context manager."""

    def __init__(
        self,
        connect: Callable[[], Awaitable[Connection]],
        projections: Iterable[Projection[Any]],  # Any: of any kind
        *,
        max_batch: int = MAX_BATCH,
        max_queue: int = MAX_QUEUE,
        reconnect_seconds: float = RECONNECT_SECONDS,
    ) -> None:
        self._connect = connect
        self._tables = tuple(Table(projection) for projection in projections)
        self._max_batch = max_batch
        self._max_queue = max_queue
        self._reconnect_seconds = reconnect_seconds
        self._queue: deque[Pending] = deque()
        self._arrived = asyncio.Event()
        self._connection: Connection | None = None
        self._turn: Turn | None = None
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Committer":
        await self._connected()
        self._task = asyncio.create_task(self._run(), name="committer")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        _fail(self._queue, LogUnavailableError("the service is stopping"))
        self._queue.clear()
        if self._connection is not None:
            await close(self._connection)

    async def submit(self, command: Command, context: Context) -> Outcome:
        """Decide and write `command`; the outcome comes when it is committed.

        Raises DomainError when the rules refuse it, and LogUnavailableError when the queue is full, the database
        stays away, or the committer is closed.
        """
        if self._task is None or self._task.done():
            raise LogUnavailableError("the service is stopping")
        if len(self._queue) >= self._max_queue:
            raise LogUnavailableError(f"{self._max_queue} commands are waiting already")
        pending = Pending(command, context, asyncio.get_running_loop().create_future())
        self._queue.append(pending)
        self._arrived.set()
        return await pending.done

    async def _run(self) -> None:
        while True:
            if not self._queue:
                await self._end_turn()
            await self._arrived.wait()
            taken = [self._queue.popleft() for _ in range(min(len(self._queue), self._max_batch))]
            if not self._queue:
                self._arrived.clear()
            waited_for = [pending for pending in taken if not pending.done.done()]
            try:
                if waited_for:
                    await self._write_for_sure(waited_for)
                # Callers who were just answered get their turn first, so that their next commands join the next batch.
                await asyncio.sleep(0)
            except asyncio.CancelledError:
                _fail(waited_for, LogUnavailableError("the service is stopping", unknown=True))
                raise

    async def _write_for_sure(self, taken: list[Pending]) -> None:
        """Write a batch; if it fails as a whole, each of its commands alone, so that one harms nobody else."""
        try:
            await self._write_through_losses(taken)
        except (LogUnavailableError, *TIMEOUTS) as error:
            _fail(taken, LogUnavailableError(str(error), unknown=_may_be_written(taken)))
        except Exception as error:  # noqa: BLE001 - whichever it was, each caller is told
            if len(taken) == 1:
                _fail(taken, _reason(error, taken[0]))
                return
            for pending in taken:
                await self._write_for_sure([pending])

    async def _write_through_losses(self, taken: list[Pending]) -> None:
        """Write a batch, over as many connections as it takes.

        A connection that is lost at commit leaves open whether the batch was written. The next try takes the lock,
        which waits for the lost one to end, and then looks for the batch's commands behind the old head.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._reconnect_seconds
        while True:
            try:
                await self._write(*await self._connected(), taken)
            except Exception as error:
                if not is_lost(error):
                    raise
                if loop.time() > deadline:
                    raise LogUnavailableError("the database cannot be reached") from error
                _log.warning("the database connection was lost; trying again", error=str(error))
                self._disconnect()
                await asyncio.sleep(RECONNECT_PAUSE)
            else:
                return

    async def _write(self, connection: Connection, turn: Turn, taken: list[Pending]) -> None:
        head = await turn.begin_batch()
        first_tried = [pending for pending in taken if pending.tried_behind is None]
        todo = await self._not_yet_written(connection, taken)
        for pending in todo:
            pending.reset()
        working = WorkingSet(head, self._tables, datetime.now(UTC))
        await batch.decide_all(connection, working, todo)
        for pending in first_tried:
            pending.tried_behind = head
        try:
            turn.end_batch(await batch.write_all(connection, head, working))
        except Exception as error:
            turn.doubt()
            if not is_lost(error):
                for pending in first_tried:
                    pending.tried_behind = None
            raise
        answers = await batch.read_answers(connection, working, taken)
        for pending in taken:
            if pending.done.done():
                continue
            if pending.decision is None:
                pending.done.set_exception(pending.refusal or RuntimeError("a command was not decided"))
            else:
                document = pending.remembered or answers.get(pending.decision.answer)
                pending.done.set_result(Outcome(document, pending.events))

    async def _end_turn(self) -> None:
        """Let other processes write while there is nothing to do here."""
        if self._turn is None:
            return
        try:
            await self._turn.end()
        except Exception as error:  # noqa: BLE001 - whatever it was, the lock ends with the connection
            _log.warning("the log could not be unlocked; closing the connection", error=type(error).__name__)
            self._disconnect()

    @staticmethod
    async def _not_yet_written(connection: Connection, taken: list[Pending]) -> list[Pending]:
        tried = {pending.context.command_id: pending.tried_behind for pending in taken if pending.tried_behind}
        if not tried:
            return taken
        behind = min(head.position for head in tried.values())
        written = await committed_commands(connection, behind, list(tried))
        return [pending for pending in taken if pending.context.command_id not in written]

    async def _connected(self) -> tuple[Connection, Turn]:
        if self._connection is None or self._turn is None or self._connection.is_closed():
            self._connection = await self._connect()
            self._turn = Turn(self._connection)
        return self._connection, self._turn

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
        self._connection = self._turn = None


def _reason(error: Exception, pending: Pending) -> Exception:
    """What the caller of a command is told that failed all alone."""
    if isinstance(error, UniqueViolationError) and getattr(error, "constraint_name", "") == "stored_events_pkey":
        return id_is_taken()
    kind = type(pending.command).__name__
    _log.error("a command could not be written", command=kind, cause=causes_of(error), stack=stack_of(error))
    if pending.tried_behind is not None:
        return LogUnavailableError("the command failed after a connection was lost", unknown=True)
    return error


def _may_be_written(taken: Iterable[Pending]) -> bool:
    return any(pending.tried_behind is not None for pending in taken)


def _fail(taken: Iterable[Pending], error: Exception) -> None:
    for pending in taken:
        if not pending.done.done():
            pending.done.set_exception(error)
