"""Filling shadow tables from the log: reading, folding and writing overlap, and each batch is written with how far it
goes, so that whoever is stopped goes on from there.

Memory holds a batch and the rows that were touched last. It grows neither with the log nor with the tables.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from asyncpg import Connection

from modeltrail.domain.event import Event
from modeltrail.domain.person import PersonErased
from modeltrail.eventlog.keys import KeyRing
from modeltrail.eventlog.log import read_head
from modeltrail.eventlog.record import Recorded
from modeltrail.projections.history import PAGE, History
from modeltrail.projections.projection import Target
from modeltrail.projections.rows import ChangedRows, WorkingRows
from modeltrail.projections.table import Table
from modeltrail.projections.touched import Touched

BATCH = 20_000  # events that are written together
KEPT = 60_000  # rows of a table that are kept in memory, so as not to be loaded again when they are touched again
PATIENCE = 5.0  # seconds: for a page or a batch that is under way to come to its end

MoveTo = Callable[[int], Awaitable[None]]
Progress = Callable[[int, int], None]
Taker = tuple[Callable[[Target, Recorded], None], Callable[[Recorded], Iterable[Target]]]


class PersonWasErasedError(Exception):
    """The shadow tables may hold an address that nobody may read any more: they must be filled anew."""


def check_erasures(events: Sequence[Recorded], since: int) -> None:
    """Raise PersonWasErasedError when somebody was erased after `since`, where the log ended as the filling began."""
    for recorded in events:
        if isinstance(recorded.event, PersonErased) and recorded.position > since:
            raise PersonWasErasedError


class Filling:
    """Reads over one connection, writes over the other. `move_to` notes, in a batch's transaction, how far it goes."""

    def __init__(
        self,
        reads: Connection,
        writes: Connection,
        ring: KeyRing,
        tables: Sequence[Table[Any]],  # Any: each has rows of its own
        move_to: MoveTo,
    ) -> None:
        self._reads = reads
        self._writes = writes
        self._history = History(reads, ring)
        self._tables = tables
        self._move_to = move_to
        self._forget()

    async def run(self, position: int, erasures_since: int, on_progress: Progress) -> int:
        """Fold what comes after `position` into the tables, to the end of the log, which is given back.

        Raises PersonWasErasedError.
        """
        end = (await read_head(self._reads)).position
        written = position
        writing = asyncio.create_task(_nothing())
        reading = asyncio.create_task(self._history.after(position))
        try:
            while page := await reading:
                check_erasures(page, erasures_since)
                position = page[-1].position
                reading = asyncio.create_task(self._history.after(position))
                await self._fold(page, reading)
                if position - written >= BATCH:
                    await writing
                    writing = asyncio.create_task(self._write(self._changed(), position))
                    written = position
                    if any(rows.count > KEPT for rows in self._rows):
                        await writing  # before rows are forgotten: the next page may load them again
                        self._forget()
                on_progress(position, max(position, end))
                if len(page) < PAGE:
                    break
            await writing
            await self._write(self._changed(), position)
        finally:
            # A batch that is under way when somebody stops us need not be made again.
            await asyncio.wait((reading, writing), timeout=PATIENCE)
            for task in (reading, writing):
                task.cancel()
            await asyncio.gather(reading, writing, return_exceptions=True)
        return position

    async def _fold(self, page: Sequence[Recorded], reading: "asyncio.Task[list[Recorded]]") -> None:
        for recorded in page:
            for add, touched_by in self._takers_of(type(recorded.event)):
                for target in touched_by(recorded):
                    add(target, recorded)
        if any(touched.is_wanting for touched in self._touched):
            await asyncio.wait((reading,))  # it uses the same connection
        for touched in self._touched:
            await touched.load(self._reads)
            for number, _ in enumerate(touched.apply()):
                if number % 100 == 0:
                    await asyncio.sleep(0)  # so that reading and writing go on meanwhile

    def _takers_of(self, kind: type[Event]) -> list[Taker]:
        takers = self._takers.get(kind)
        if takers is None:
            takers = self._takers[kind] = [
                (touched.add, table.projection.toucher(kind))
                for touched, table in zip(self._touched, self._tables, strict=True)
                if kind in table.projection.targets
            ]
        return takers

    def _changed(self) -> list[ChangedRows[Any]]:  # Any: the same
        return [changed for rows in self._rows if (changed := rows.take()) is not None]

    async def _write(self, changes: Sequence[ChangedRows[Any]], position: int) -> None:  # Any: the same
        async with self._writes.transaction():
            for changed in changes:
                table, new = changed.table, changed.new
                if changed.gone:
                    await self._writes.execute(table.delete_statement, changed.gone)
                replaced = [row for row in changed.kept if row.id not in new]
                if replaced:
                    await self._writes.execute(table.save_statement, *table.columns_of(replaced))
                await table.copy_in(self._writes, (row for row in changed.kept if row.id in new))
            await self._move_to(position)

    def _forget(self) -> None:
        self._rows = [WorkingRows(table) for table in self._tables]
        self._touched = [Touched(rows) for rows in self._rows]
        self._takers: dict[type[Event], list[Taker]] = {}


async def _nothing() -> None:
    """A first task to wait for."""
