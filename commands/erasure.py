"""Erasing a person: the key to the address goes, and every copy in the clear with it, while the log stays as it was.

Answers kept for retries need nothing: each opens only for who sends the same request, address included, again.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from asyncpg import Connection
from msgspec import Struct

from modeltrail.commands.committing.working_set import TICK
from modeltrail.domain.person import EVERYWHERE, PersonErased
from modeltrail.domain.personal import personal_fields
from modeltrail.eventlog.codec import EVENT_TYPES
from modeltrail.eventlog.log import CHANNEL, Head, columns_of, lock_log, read_head, unlock_log
from modeltrail.eventlog.log import SQL as LOG
from modeltrail.eventlog.record import Context, Recorded, System
from modeltrail.eventlog.upcasting import UPCASTERS
from modeltrail.postgres.ids import new_id
from modeltrail.postgres.statements import Statements
from modeltrail.projections.catalogue import INLINE
from modeltrail.projections.following import follow
from modeltrail.projections.one_rebuild import forget_stopped_rebuild
from modeltrail.projections.projection import Projection, RowsWhere
from modeltrail.projections.projection_status import require_same_code
from modeltrail.projections.table import Table

SQL = Statements("modeltrail.commands", "erasure.sql")
# Any: each has rows of its own. Those that follow the log by themselves hear of an erasure there.
SHOWING_PEOPLE: tuple[Projection[Any], ...] = tuple(each for each in INLINE if PersonErased in each.targets)


class Traces(Struct, frozen=True):
    """Where a person is: how many events they asked for, how many name them, and the rows that show the address."""

    acts: int
    events: int
    rows: dict[str, list[UUID]]


def together(found: Sequence[Traces]) -> Traces | None:
    """Those of somebody whom older code may have taken for two; None for nobody."""
    if not found:
        return None
    rows = {
        table: list(dict.fromkeys(id_ for traces in found for id_ in traces.rows[table])) for table in found[0].rows
    }
    return Traces(sum(traces.acts for traces in found), sum(traces.events for traces in found), rows)


async def find_traces(connection: Connection, person: UUID) -> Traces:
    """What an erasure would touch. Reads the payloads of all events that may name people."""
    named = await _count_naming(connection, person, until=(await read_head(connection)).position)
    rows = {projection.name: await _rows_of(connection, projection, person) for projection in SHOWING_PEOPLE}
    return Traces(await _count_acts(connection, person), named, rows)


async def _rows_of(connection: Connection, projection: Projection[Any], person: UUID) -> list[UUID]:  # Any: the same
    """The rows that show the address."""
    found: dict[UUID, None] = {}
    for target in projection.targets[PersonErased](person, PersonErased()):
        if isinstance(target, RowsWhere):
            found |= dict.fromkeys(await Table(projection).where(connection, target.column, [target.value]))
    return list(found)


async def erase(connection: Connection, person: UUID, request_id: str) -> Traces | None:
    """Make the person's address unreadable, and record that, all at once or not at all; what was touched.

    None when somebody else has done so meanwhile. Raises OtherVersionError.

    Nobody writes to the log meanwhile, so no writer puts back a row that it read before.
    """
    before = (await read_head(connection)).position
    named = await _count_naming(connection, person, until=before)  # takes long, so it is done while others still write
    head = await lock_log(connection, held=False)
    try:
        require_same_code(head.filled_by, SHOWING_PEOPLE)
        async with connection.transaction():
            if not await connection.fetch(SQL.delete_person, person):
                return None
            named += await _count_naming(connection, person, after=before, until=head.position)
            acts = await _count_acts(connection, person)
            erased = await _record(connection, head, person, request_id)
            rows = await follow(connection, [Table(projection) for projection in SHOWING_PEOPLE], [erased])
            await forget_stopped_rebuild(connection)
    finally:
        await unlock_log(connection)
    return Traces(acts, named, rows)


async def _count_acts(connection: Connection, person: UUID) -> int:
    count: int = await connection.fetchval(SQL.count_acts, str(person))
    return count


async def _count_naming(connection: Connection, person: UUID, *, after: int = 0, until: int) -> int:
    """How many events between two positions have the person in their payload."""
    mark = f'"person":"{person}"'.encode()
    count: int = await connection.fetchval(SQL.count_events_naming, _topics_with_people(), mark, after, until)
    return count


def _topics_with_people() -> list[str]:
    """All events that hold an address, and those of old shapes, which may."""
    return [*(tag for tag, kind in EVENT_TYPES.items() if personal_fields(kind)), *UPCASTERS]


async def _record(connection: Connection, head: Head, person: UUID, request_id: str) -> Recorded:
    context = Context(EVERYWHERE, new_id(), request_id, System("erase"))
    at = max(datetime.now(UTC), head.recorded_at + TICK)  # under the lock, as writers date theirs
    erased = Recorded(head.position + 1, person, 1, PersonErased(), at, context)
    columns, end = columns_of(head, [erased])
    await connection.execute(LOG.insert_events, *columns)
    await connection.execute(SQL.notify, CHANNEL, str(end.position))
    return erased
