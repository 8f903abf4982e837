"""The one place that writes to the log: many commands per batch, one batch at a time.

Commands that arrive while a batch is being written form the next batch, so a lone command waits for nobody and a
crowd shares one lock and one flush to disk. Under the lock every decision is made on the newest state, so there are
no conflicts to retry, and positions are commit order. How batches follow each other is in `pipeline`, and what
happens when one fails in `rescue`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from types import TracebackType
from typing import Any

from asyncpg import Connection

from modeltrail.commands.committing.batch import Outcome, Pending
from modeltrail.commands.committing.pipeline import Pipeline
from modeltrail.commands.committing.queue import Queue
from modeltrail.commands.committing.rescue import Rescue, fail
from modeltrail.commands.committing.session import LogUnavailableError, Session
from modeltrail.commands.decision import Command
from modeltrail.eventlog.record import Context
from modeltrail.projections.projection import Projection
from modeltrail.projections.table import Table

__all__ = ["Committer", "LogUnavailableError"]

MAX_BATCH = 256
MAX_QUEUE = 10_000
RECONNECT_SECONDS = 15.0


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
        answer_seconds: float | None = None,
    ) -> None:
        """With `answer_seconds` a caller waits no longer than that, whatever becomes of the command."""
        tables = tuple(Table(projection) for projection in projections)
        self._max_queue = max_queue
        self._answer_seconds = answer_seconds
        self._waiting = 0
        self._queue = Queue()
        self._session = Session(connect, self._queue.stir)
        rescue = Rescue(self._session, tables, reconnect_seconds)
        self._pipeline = Pipeline(self._session, tables, self._queue, rescue, max_batch)
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Committer":
        await self._session.writer()
        self._task = asyncio.create_task(self._run(), name="committer")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        for pending in await self._pipeline.abandon():
            fail([pending], LogUnavailableError("the service is stopping", unknown=pending.may_have_been_written))
        fail(self._queue.take(len(self._queue)), LogUnavailableError("the service is stopping"))
        await self._session.close()

    @property
    def waiting(self) -> int:
        """How many commands have not been answered yet, be they in the queue or in a batch."""
        return self._waiting

    async def submit(self, command: Command, context: Context) -> Outcome:
        """Decide and write `command`; the outcome comes when it is committed.

        Raises DomainError when the rules refuse it, and LogUnavailableError when the queue is full, the database
        stays away, or the committer is closed.
        """
        if self._task is None or self._task.done():
            raise LogUnavailableError("the service is stopping")
        if len(self._queue) >= self._max_queue:
            raise LogUnavailableError(f"{self._max_queue} commands are waiting already")
        loop = asyncio.get_running_loop()
        pending = Pending(command, context, loop.create_future())
        self._queue.put(pending)
        giving_up = None if self._answer_seconds is None else loop.call_later(self._answer_seconds, _give_up, pending)
        self._waiting += 1
        try:
            return await pending.done
        finally:
            self._waiting -= 1
            if giving_up is not None:
                giving_up.cancel()

    async def _run(self) -> None:
        while True:
            if not self._queue:
                await self._session.end_turn()
            while not self._queue:
                await self._queue.stirred()
            await self._pipeline.turn()


def _give_up(pending: Pending) -> None:
    """Tell a caller that the database does not answer. A command that is not decided by now never will be."""
    fail([pending], LogUnavailableError("the database does not answer", unknown=pending.may_yet_be_written))
