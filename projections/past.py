"""The read tables as they were at a moment of the past: folded from the log by the projections' own code, and read by
the very statements that read them now."""

import asyncio
import re
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from heapq import merge
from typing import Any
from uuid import UUID

import msgspec
from asyncpg import Pool, Record
from msgspec import Struct

from modeltrail.domain.ids import ProjectId
from modeltrail.domain.person import EVERYWHERE, PersonErased
from modeltrail.eventlog.codec import topic_of
from modeltrail.eventlog.keys import KeyRing
from modeltrail.eventlog.log import LOCK, read_head
from modeltrail.eventlog.record import Context, Recorded
from modeltrail.eventlog.selection import SQL as LOG
from modeltrail.eventlog.selection import Selection, position_until, query, streams_of_model
from modeltrail.eventlog.upcasting import tags_read_as
from modeltrail.postgres.arguments import Arguments
from modeltrail.postgres.connect import STATEMENT_SECONDS, Reads
from modeltrail.postgres.statements import Statements
from modeltrail.projections.catalogue import ALL
from modeltrail.projections.documents import Document, read_documents
from modeltrail.projections.fold import Fold, FoldedRows
from modeltrail.projections.history import History
from modeltrail.projections.list_reader import Asked, Page, columns, pages_in
from modeltrail.projections.lists import Listing, Slice
from modeltrail.projections.projection import Projection
from modeltrail.projections.serve_models import SERVE_MODELS
from modeltrail.projections.table import Table

SQL = Statements("modeltrail.projections", "past.sql")

# Events that are folded in one go, while nothing else is served: some milliseconds.
AT_ONCE = 500
# Events for one answer. Measured: 100,000 that each make a row take 5 s and 400 MB; a process has others to serve.
MOST = 200_000

# How often, and how far apart, it is looked whether what was under way at a moment is written.
LOOKS, LOOK_SECONDS = 100, 0.02

_COMMENT = re.compile(r"--.*")
_WORD = re.compile(r"\w+")
_HOLDERS = ("id", "registered_model_id", "model_version_id", "inference_service_id")
"""Columns whose value tells which streams made the row."""


class UnknownPastError(Exception):
    """There is no answer for that moment; the message says why."""


class NotYetError(UnknownPastError):
    """Nobody knows yet what will be then."""


class UnsettledError(NotYetError):
    """Somebody still writes what happened by then."""


class TooMuchPastError(UnknownPastError):
    """It would keep a process too busy."""


class _Beginning(Struct):
    """What the first event of a stream tells of others."""

    registered_model_id: UUID | None = None
    serving_environment_id: UUID | None = None


_read_beginning = msgspec.json.Decoder(_Beginning).decode


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


class PastTables:
    """Folded rows, as tables: a statement that names one of them reads these, not those that there are now."""

    def __init__(self, pool: Pool, folded: Sequence[FoldedRows]) -> None:
        self._pool = pool
        self._folded = folded

    async def fetch(self, query: str, *args: Any) -> list[Record]:  # noqa: ANN401 arguments of several types
        """The rows that a statement gives."""
        arguments = Arguments()
        asked = arguments.of(query, args)
        tables = []
        for folded in self._folded:
            table: Table[Any] = Table(folded.projection)  # Any: rows of any kind
            rows = arguments.of(table.as_query, table.columns_of(list(folded.rows.values())))
            tables.append(f"{folded.projection.name} AS ({rows})")
        counts = " UNION ALL ".join(_counted(folded.projection) for folded in self._folded)
        # A table of WITH goes before one of the database of the same name, for the statement and all parts of it.
        statement = f"WITH {', '.join(tables)}, row_counts AS ({counts}) SELECT * FROM ({asked}\n) AS answer"  # noqa: S608
        # Tables of many rows take longer than any other statement that a caller waits for.
        return list(await self._pool.fetch(statement, *arguments.values, timeout=STATEMENT_SECONDS))

    async def page(self, statement: str, asked: Asked) -> Page:
        """What the statement of a listing answers to this."""
        return pages_in(await self.fetch(statement, *columns([asked])), [asked])[asked]


def _counted(projection: Projection[Any]) -> str:  # Any: the same
    facets = ", ".join(f"facet({column})" for column in projection.counted or ())
    return (
        f"SELECT '{projection.name}'::text AS source, project_id, ARRAY[{facets}]::text[] AS facets,"  # noqa: S608
        f" count(*) AS count FROM {projection.name} GROUP BY 2, 3"
    )


class Past:
    """A project's resources as they were after the event at `position`."""

    def __init__(self, log: "PastReader", project: ProjectId, position: int) -> None:
        self._log = log
        self._project = project
        self.position = position

    async def document(self, projection: Projection[Any], id_: UUID) -> Document | None:  # Any: rows of any kind
        """The resource, or None when there was none then."""
        tables = await self.tables(projection.get_documents, {"id": id_})
        return (await read_documents(tables, projection, [id_])).get(id_)

    async def page(self, listing: Listing, having: Mapping[str, object], part: Slice, name_part: str = "") -> Page:
        """The rows that held all the values of `having`, by column, and `name_part` in their name, in any case."""
        statement, _ = listing.page_query(having, part, name_part)
        return await listing.page(await self.tables(statement, having), having, part, name_part)

    async def newest(self, listing: Listing, having: Mapping[str, object]) -> UUID | None:
        """The id of the newest row that held all the values of `having`, by column."""
        statement, _ = listing.newest_query(having)
        return await listing.newest(await self.tables(statement, having), having)

    async def tables(self, statement: str, having: Mapping[str, object]) -> PastTables:
        """The tables that `statement` names, with at least those of their rows that held these values, by column.

        Raises TooMuchPastError when that takes too many events.
        """
        names = set(_WORD.findall(_COMMENT.sub("", statement)))
        read = [projection for projection in ALL if projection.name in names]
        known = next(((column, value) for column in _HOLDERS if isinstance(value := having.get(column), UUID)), None)
        streams = None if known is None else await self._log.streams_holding(*known)
        if known is not None and streams is None and SERVE_MODELS not in read:
            streams = ()
        selection = Selection(project=self._project, streams=streams, topics=_topics(read), until=self.position)
        return await self._log.tables(read, selection)


def _topics(projections: Iterable[Projection[Any]]) -> tuple[str, ...]:  # Any: the same
    kinds = {kind for projection in projections for kind in projection.targets}
    return tuple(topic for kind in kinds for topic in tags_read_as(str(kind.__struct_config__.tag)))


class PastReader:
    """Reads the past. What takes the events of a whole project is done for one caller at a time, in small steps, so
    that it slows down those who ask for the present, but does not stop them."""

    def __init__(self, pool: Pool, ring: KeyRing) -> None:
        self._pool = pool
        self._ring = ring
        self._large = asyncio.Semaphore(1)

    async def at(self, project: ProjectId, moment: int | datetime) -> Past:
        """The project after the event at a position, or at a time. Raises NotYetError."""
        return Past(self, project, await position_at(self._pool, moment))

    async def tables(self, projections: Collection[Projection[Any]], selection: Selection) -> PastTables:  # Any: same
        """The rows that the events of a selection make."""
        fold = Fold(list(projections))
        if selection.streams is None:
            async with self._large:
                await self._check_size(selection)
                await self._take(fold, selection)
        elif selection.streams:
            await self._take(fold, selection)
        return PastTables(self._pool, fold.tables)

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

    async def streams_holding(self, column: str, value: UUID) -> tuple[UUID, ...] | None:
        """Those whose events made the rows that hold `value` in `column`, one of `_HOLDERS`; None when all might have.

        What shows a model or a version besides those themselves are inference services, which show their environment.
        """
        streams = await self.streams_about(value)
        if column not in {"registered_model_id", "model_version_id"} or streams is None:
            return streams
        model = value if column == "registered_model_id" else streams[-1]  # after a version's own stream, its model's
        family = await streams_of_model(self._pool, model)
        environments = await self._pool.fetch(SQL.list_environments_of, family)
        return (*family, *(row["serving_environment_id"] for row in environments))

    async def streams_about(self, id_: UUID) -> tuple[UUID, ...] | None:
        """Those whose events made the row with this id, or that of what belongs to it; None when all might have."""
        beginning = await self._pool.fetchrow(LOG.get_beginning, id_)
        if beginning is None:
            # Only serve models have no stream of their own.
            service = await self._pool.fetchval(SQL.get_service_of_serve_model, id_)
            return None if service is None else await self.streams_about(service)
        named = _read_beginning(beginning["state"])
        match beginning["topic"].partition(".")[0]:
            case "registered_model":
                return await streams_of_model(self._pool, id_)
            case "model_version" if named.registered_model_id:
                return (id_, named.registered_model_id)
            case "inference_service" if named.registered_model_id and named.serving_environment_id:
                family = await streams_of_model(self._pool, named.registered_model_id)
                return (*family, named.serving_environment_id)
            case "serving_environment":
                return (id_,)
            case _:
                return None
