"""The read tables as they were at a moment of the past: folded from the log by the projections' own code, and read by
the very statements that read them now."""

import asyncio
import re
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from heapq import merge
from typing import Any
from uuid import UUID

import msgspec
from asyncpg import Pool
from msgspec import Struct, structs

from modeltrail.domain.ids import ProjectId
from modeltrail.domain.person import EVERYWHERE, PersonErased
from modeltrail.eventlog.codec import topic_of
from modeltrail.eventlog.keys import KeyRing
from modeltrail.eventlog.log import LOCK, read_head
from modeltrail.eventlog.record import Context, Recorded
from modeltrail.eventlog.selection import SQL as LOG
from modeltrail.eventlog.selection import Selection, position_until, query
from modeltrail.postgres.connect import Reads
from modeltrail.projections.catalogue import ALL
from modeltrail.projections.documents import Document, read_documents
from modeltrail.projections.fold import Fold, FoldedRows
from modeltrail.projections.history import History
from modeltrail.projections.list_reader import Page
from modeltrail.projections.lists import Listing, Slice
from modeltrail.projections.past_streams import HOLDERS, SQL, PastStreams, topics_of
from modeltrail.projections.past_tables import PastTables
from modeltrail.projections.projection import Projection
from modeltrail.projections.serve_models import SERVE_MODELS

# Events that are folded in one go, while nothing else is served: some milliseconds.
AT_ONCE = 500
# Events for one answer. Measured: 100,000 that each make a row take 3 s; a process has others to serve.
MOST = 200_000

# Seconds for which others' answers of that kind are waited for. Who has left waits like everybody else.
PATIENCE = 10.0

# How often, and how far apart, it is looked whether what was under way at a moment is written.
LOOKS, LOOK_SECONDS = 100, 0.02

_ALL = 2**63 - 1  # rows: what PostgreSQL counts to

_COMMENT = re.compile(r"--.*")
_WORD = re.compile(r"\w+")

ReadPage = Callable[[PastTables, int, int], Awaitable[Page]]
"""Reads a page of these tables, given its limit and offset."""


class UnknownPastError(Exception):
    """There is no answer for that moment; the message says why."""


class NotYetError(UnknownPastError):
    """Nobody knows yet what will be then."""


class UnsettledError(NotYetError):
    """Somebody still writes what happened by then."""


class BusyPastError(UnknownPastError):
    """Others ask about so much of the past that this has to wait."""


class TooMuchPastError(UnknownPastError):
    """It would keep a process too busy."""


class _Item(Struct):
    """What every item of a page says of itself."""

    id: UUID


_read_items = msgspec.json.Decoder(list[_Item]).decode


async def position_at(reads: Reads, moment: int | datetime) -> int:
    """The position of the last event at a moment, which is one itself or a time. Raises NotYetError."""
    if isinstance(moment, int):
        end = (await read_head(reads)).position
        if moment > end:
            raise NotYetError(f"the log ends at position {end}")
        return moment
    ((is_over,),) = await reads.fetch(LOG.is_over, moment)
    if not is_over:
        raise NotYetError("that time is still to come")
    await _await_writers(reads, moment)
    return await position_until(reads, moment)


async def _await_writers(reads: Reads, moment: datetime) -> None:
    """Return when nothing that happened by then can be added any more. Raises UnsettledError when that takes too long.

    Events are dated under the writers' lock, and none before the newest, but they are seen only when they are
    committed, up to some seconds later.
    """
    for _ in range(LOOKS):
        if (await read_head(reads)).recorded_at >= moment:
            return
        ((nobody_writes,),) = await reads.fetch(LOG.nobody_writes, LOCK)
        if nobody_writes:
            return
        await asyncio.sleep(LOOK_SECONDS)
    raise UnsettledError("what happened then is still being written")


class Past:
    """A project's resources as they were after the event at `position`."""

    def __init__(self, log: "PastReader", project: ProjectId, position: int) -> None:
        self._log = log
        self._project = project
        self.position = position

    async def document(self, projection: Projection[Any], id_: UUID) -> Document | None:  # Any: rows of any kind
        """The resource, or None when there was none then."""
        async with self._parts(projection.get_documents, {"id": id_}) as parts:
            async for tables in parts:
                document = (await read_documents(tables, projection, [id_])).get(id_)
                if document is not None:
                    return document
        return None

    async def page(self, listing: Listing, having: Mapping[str, object], part: Slice, name_part: str = "") -> Page:
        """The rows that held all the values of `having`, by column, and `name_part` in their name, in any case."""
        statement, _ = listing.page_query(having, part, name_part)

        async def read(tables: PastTables, limit: int, offset: int) -> Page:
            wanted = structs.replace(part, limit=limit, offset=offset)
            return await listing.page(tables, having, wanted, name_part)

        return await self.first(statement, having, read, part.limit, part.offset)

    async def first(
        self, statement: str, having: Mapping[str, object], read: ReadPage, limit: int, offset: int
    ) -> Page:
        """The page that `read` gives of the one table that `statement` names, a part of which is in memory at a time.

        What a part adds to the page is among its own first rows: they are kept, and judged with those of the next part.
        """
        total, first = 0, FoldedRows(_named(statement)[0])
        async with self._parts(statement, having) as parts:
            async for tables in parts:
                rows = tables.rows
                rows |= first.rows
                page = await read(tables, min(limit + offset, _ALL), 0)
                total += page.total - len(first.rows)
                first.rows = {item.id: rows[item.id] for item in _read_items(b"[%b]" % page.items)}
        page = await read(self._log.tables_of([first]), limit, offset)
        return Page(page.items, page.returned, total)

    async def newest(self, listing: Listing, having: Mapping[str, object]) -> UUID | None:
        """The id of the newest row that held all the values of `having`, by column."""
        statement, _ = listing.newest_query(having)
        newest: UUID | None = None
        found: dict[UUID, Any] = {}  # Any: rows of any kind
        async with self._parts(statement, having) as parts:
            async for tables in parts:
                rows = tables.rows
                rows |= found
                newest = await listing.newest(tables, having)
                found = {} if newest is None else {newest: rows[newest]}
        return newest

    async def tables(self, statement: str, having: Mapping[str, object]) -> PastTables:
        """The tables that `statement` names, with at least those of their rows that held these values, by column.

        All of these are in memory: it is for values that few rows hold. Raises TooMuchPastError.
        """
        return await self._log.fold(_named(statement), await self._selection(statement, having))

    @asynccontextmanager
    async def _parts(
        self, statement: str, having: Mapping[str, object]
    ) -> AsyncGenerator[AsyncIterator[PastTables], None]:
        """The same, one part of the rows after the other. Raises TooMuchPastError when that takes too many events."""
        selection = await self._selection(statement, having)
        async with self._log.parts(_named(statement), selection) as parts:
            yield parts

    async def _selection(self, statement: str, having: Mapping[str, object]) -> Selection:
        read = _named(statement)
        known = next(((column, value) for column in HOLDERS if isinstance(value := having.get(column), UUID)), None)
        streams = None if known is None else await self._log.streams.holding(*known)
        if known is not None and streams is None and SERVE_MODELS not in read:
            streams = ()
        topics = topics_of({kind for projection in read for kind in projection.targets})
        return Selection(project=self._project, streams=streams, topics=topics, until=self.position)


def _named(statement: str) -> list[Projection[Any]]:  # Any: rows of any kind
    """The projections whose tables a statement names."""
    names = set(_WORD.findall(_COMMENT.sub("", statement)))
    return [projection for projection in ALL if projection.name in names]


class PastReader:
    """Reads the past. What takes the events of a whole project is done for one caller at a time, in small steps, so
    that it slows down those who ask for the present, but does not stop them."""

    def __init__(self, pool: Pool, ring: KeyRing) -> None:
        self.streams = PastStreams(pool)
        self._pool = pool
        self._ring = ring
        self._large = asyncio.Semaphore(1)

    async def at(self, project: ProjectId, moment: int | datetime) -> Past:
        """The project after the event at a position, or at a time. Raises NotYetError."""
        return Past(self, project, await position_at(self._pool, moment))

    @asynccontextmanager
    async def parts(
        self,
        read: Sequence[Projection[Any]],  # Any: rows of any kind
        selection: Selection,
    ) -> AsyncGenerator[AsyncIterator[PastTables], None]:
        """The rows that the events of a selection make, a part after the other."""
        async with self._turn(selection):
            yield self._folded(read, selection)

    async def fold(self, read: Sequence[Projection[Any]], selection: Selection) -> PastTables:  # Any: the same
        """The rows that the events of a selection make, all together."""
        async with self._turn(selection):
            return await self._fold(read, selection)

    def tables_of(self, folded: Sequence[FoldedRows]) -> PastTables:
        """Rows that were folded before."""
        return PastTables(self._pool, folded)

    @asynccontextmanager
    async def _turn(self, selection: Selection) -> AsyncGenerator[None, None]:
        if selection.streams is not None:
            yield
            return
        async with self._alone():
            await self._check_size(selection)
            yield

    async def _folded(
        self,
        read: Sequence[Projection[Any]],  # Any: the same
        selection: Selection,
    ) -> AsyncIterator[PastTables]:
        async for part in self.streams.parts(read, selection):
            yield await self._fold(read, part)

    async def _fold(self, read: Sequence[Projection[Any]], selection: Selection) -> PastTables:  # Any: the same
        fold = Fold(read)
        if selection.streams is None or selection.streams:
            await self._take(fold, selection)
        return self.tables_of(fold.tables)

    @asynccontextmanager
    async def _alone(self) -> AsyncGenerator[None, None]:
        try:
            async with asyncio.timeout(PATIENCE):
                await self._large.acquire()
        except TimeoutError:
            raise BusyPastError("other questions about the past are being answered") from None
        try:
            yield
        finally:
            self._large.release()

    async def _check_size(self, selection: Selection) -> None:
        statement, arguments = query(selection, MOST + 1, "ASC")
        count = await self._pool.fetchval(SQL.count_events.format(events=statement), *arguments)
        if count > MOST:
            raise TooMuchPastError(
                f"this takes more than {MOST:,} events of the project's past; ask for one resource, or for what belongs"
                " to one model (/models/{id}/versions, registered_model_id=), or for an earlier time"
            )

    async def _take(self, fold: Fold, selection: Selection) -> None:
        erasures = await self._erasures(fold, selection.until)
        async for events in History(self._pool, self._ring).selected(selection, AT_ONCE):
            meanwhile: list[Recorded] = []
            while erasures and erasures[0].position < events[-1].position:
                meanwhile.append(erasures.popleft())
            fold.take(merge(events, meanwhile, key=lambda recorded: recorded.position))
        fold.take(erasures)

    async def _erasures(self, fold: Fold, until: int | None) -> deque[Recorded]:
        """Who was erased by then, of whatever project: people belong to none."""
        if not any(PersonErased in table.projection.targets for table in fold.tables):
            return deque()
        rows = await self._pool.fetch(SQL.list_erasures, topic_of(PersonErased()), until)
        return deque(
            Recorded(
                position=row["notification_id"],
                stream=row["originator_id"],
                version=row["originator_version"],
                event=PersonErased(),
                recorded_at=row["recorded_at"],
                context=Context(EVERYWHERE, row["command_id"], row["request_id"]),
            )
            for row in rows
        )
