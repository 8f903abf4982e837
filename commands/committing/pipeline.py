"""A turn at the log: while one batch is being written, the next is decided on what that one will leave.

    batch 1   decide | write ........ | answer
    batch 2            decide ....... | write ........ | answer
    batch 3                             decide ....... | write ...

Nothing that a batch decides is told or written before the batches ahead of it are committed. So when one fails, those
after it were only a guess: they are given up with the state that they were decided on, and go the careful way.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any

from asyncpg import Connection

from modeltrail.commands.committing.batch import Batch, Pending, decide_all
from modeltrail.commands.committing.pace import CROWD, Pace
from modeltrail.commands.committing.queue import Queue
from modeltrail.commands.committing.rescue import NotWrittenError, Rescue
from modeltrail.commands.committing.session import Session
from modeltrail.commands.committing.working_set import WorkingSet
from modeltrail.projections.table import Table

BATCHES, SECONDS = 8, 0.025  # a turn ends when both are reached: other processes want to write, too


class Pipeline:
    """Writes what is in the queue, a turn at a time."""

    def __init__(
        self,
        session: Session,
        tables: Sequence[Table[Any]],  # Any: of any kind
        queue: Queue,
        rescue: Rescue,
        max_batch: int,
    ) -> None:
        self._session = session
        self._tables = tables
        self._queue = queue
        self._rescue = rescue
        self._max_batch = max_batch
        self._pace = Pace()
        self._in_flight: deque[Batch] = deque()  # those whose callers are not answered yet
        self._ready: deque[Batch] = deque()  # those of them that are still to be written
        self._writing: asyncio.Task[None] | None = None
        self._deciding: list[Pending] = []

    async def turn(self) -> None:
        """Take the lock and write batches as long as commands come, up to a number of batches."""
        try:
            await self._turn()
        except Exception as error:  # noqa: BLE001 - whatever it was, each caller is told
            await self._settle(error)

    async def abandon(self) -> list[Pending]:
        """Stop writing. The commands that were taken from the queue and whose callers may still wait."""
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.wait([self._writing])
        await asyncio.sleep(0)  # for `_land`, which is due for each batch that was written
        return [pending for batch in self._in_flight for pending in batch.commands] + self._deciding

    async def _turn(self) -> None:
        is_crowd = len(self._queue) >= CROWD
        self._deciding = undecided = self._take()
        if not undecided:
            return
        connection, turn = await self._session.writer()
        clock = asyncio.get_running_loop().time
        began = clock()
        working = await WorkingSet.begin(turn, self._tables)
        batches = commands = 0
        while batches < BATCHES or clock() < began + SECONDS:
            await self._decide(connection, working, undecided)
            if not self._deciding:
                break
            batches, commands = batches + 1, commands + len(self._deciding)
            self._send(connection, Batch(working, self._deciding))
            self._deciding, undecided = [], []
            await self._landing(1)
        await self._landing(0)
        if is_crowd and self._queue:
            self._pace.take_in(commands, clock() - began)

    async def _decide(self, connection: Connection, working: WorkingSet, undecided: Sequence[Pending]) -> None:
        """Decide what is there and what arrives, until it is worth a batch: at the latest when nothing is in flight."""
        while True:
            self._check()
            if not undecided:
                if self._is_due():
                    return
                undecided = self._take()
                self._deciding.extend(undecided)
                if not undecided and not self._in_flight:
                    return
            if undecided and (free := self._session.reader() if self._in_flight else connection) is not None:
                await decide_all(free, working, undecided)
                undecided = []
            else:
                await self._queue.stirred()  # there is nothing to decide, or nothing to read over until a batch lands

    def _take(self) -> list[Pending]:
        """Commands to decide now. Of a crowd that finds nothing in flight, half is left for the next batch."""
        waiting = len(self._queue)
        share = waiting if self._in_flight else self._pace.share(waiting)
        return self._queue.take(min(share, self._max_batch - len(self._deciding)))

    def _is_due(self) -> bool:
        """Whether to make the batch ready for the disk: a small one is left open as long as it has to wait."""
        if not self._in_flight:
            return bool(self._deciding)
        return len(self._deciding) >= max(len(self._in_flight[-1].commands), CROWD // 2)

    def _send(self, connection: Connection, batch: Batch) -> None:
        self._in_flight.append(batch)
        self._ready.append(batch)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write(connection), name="committer's batches")
            self._writing.add_done_callback(lambda _: self._queue.stir())

    async def _write(self, connection: Connection) -> None:
        """Write one batch after the other. Each sets off before the callers of the one ahead are told."""
        while self._ready:
            batch = self._ready.popleft()
            await batch.write(connection)
            asyncio.get_running_loop().call_soon(self._land, batch)

    def _land(self, batch: Batch) -> None:
        batch.answer()
        self._in_flight.popleft()
        self._queue.stir()

    async def _landing(self, most: int) -> None:
        """Wait until so many batches are in flight, at most."""
        self._check()
        while len(self._in_flight) > most:
            await self._queue.stirred()
            self._check()

    def _check(self) -> None:
        """Raise what kept a batch from being written."""
        if self._writing is not None and self._writing.done():
            self._writing.result()

    async def _settle(self, error: BaseException) -> None:
        """After `error`, see to it that all commands that were taken are written or refused, in their order."""
        if self._writing is not None:
            await asyncio.wait([self._writing])
            error = self._writing.exception() or error
            self._writing = None
        unwritten = [batch.commands for batch in self._in_flight if not batch.written] + [self._deciding]
        self._deciding = [pending for commands in unwritten for pending in commands]
        self._in_flight = deque(batch for batch in self._in_flight if batch.written)  # they are about to land
        self._ready.clear()
        for commands in unwritten:
            await self._rescue.after(error, commands)
            error = NotWrittenError()
        self._deciding = []
