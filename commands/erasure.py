"""Erasing a person: the key to the address goes, and every copy in the clear with it, while the log stays as it was.

Answers kept for retries need nothing: each opens only for who sends the same request, address included, again.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any, get_args
from uuid import UUID

import msgspec
from asyncpg import Connection
from msgspec import UNSET, Struct, structs

from modeltrail.commands.working_set import TICK
from modeltrail.domain.event import Event
from modeltrail.domain.ids import ProjectId
from modeltrail.domain.person import PersonErased
from modeltrail.domain.personal import Personal
from modeltrail.eventlog.codec import EVENT_TYPES
from modeltrail.eventlog.log import CHANNEL, Head, columns_of, lock_log, read_head, unlock_log
from modeltrail.eventlog.log import SQL as LOG
from modeltrail.eventlog.people import folded
from modeltrail.eventlog.record import Context, Recorded, System
from modeltrail.eventlog.upcasting import UPCASTERS
from modeltrail.postgres.ids import new_id
from modeltrail.postgres.statements import Statements
from modeltrail.projections.model_versions import MODEL_VERSIONS
from modeltrail.projections.models import MODELS
from modeltrail.projections.one_rebuild import forget_stopped_rebuild
from modeltrail.projections.projection import Projection
from modeltrail.projections.table import Table

SQL = Statements("modeltrail.commands", "erasure.sql")
SHOWING_PEOPLE: tuple[Projection[Any], ...] = (MODELS, MODEL_VERSIONS)  # Any: each has rows of its own
ClearedRows = dict[Projection[Any], dict[UUID, Any]]  # Any: each projection's rows, by id
EVERYWHERE = ProjectId(UUID(int=0))  # people belong to no project


class Traces(Struct, frozen=True):
    """Where a person is: how many events they asked for, how many name them, and the rows that show the address."""

    acts: int
    events: int
    rows: dict[str, list[UUID]]


async def find_traces(connection: Connection, person: UUID, address: str) -> Traces:
    """What an erasure would touch. Reads the payloads of all events that may name people."""
    named = await _naming(connection, person)
    return await _traces(connection, person, named, await _cleared_rows(connection, address, named))


async def _traces(connection: Connection, person: UUID, named: dict[int, UUID], cleared: ClearedRows) -> Traces:
    rows = {projection.name: list(rows) for projection, rows in cleared.items()}
    return Traces(await connection.fetchval(SQL.count_acts, str(person)), len(named), rows)


async def erase(connection: Connection, person: UUID, address: str, request_id: str, now: datetime) -> Traces:
    """Make the person's address unreadable, and record that, all at once or not at all; what was touched.

    `now` is when. Nobody writes to the log meanwhile, so no writer puts back a row that it read before.
    """
    before = await read_head(connection)
    named = await _naming(connection, person)  # takes long, so it is done while others still write
    head = await lock_log(connection, held=False)
    try:
        async with connection.transaction():
            named |= await _naming(connection, person, before.position)
            cleared = await _cleared_rows(connection, address, named)
            traces = await _traces(connection, person, named, cleared)
            await _save(connection, cleared)
            await connection.execute(SQL.delete_person, person)
            await forget_stopped_rebuild(connection)
            await _record(connection, head, person, request_id, now)
    finally:
        await unlock_log(connection)
    return traces


async def _naming(connection: Connection, person: UUID, after: int = 0) -> dict[int, UUID]:
    """The streams of the events whose payload names the person, by position."""
    mark = f'"person":"{person}"'.encode()
    rows = await connection.fetch(SQL.list_events_naming, _topics_with_people(), mark, after)
    return {row["notification_id"]: row["originator_id"] for row in rows}


def _topics_with_people() -> list[str]:
    """All events that hold an address, and those of old shapes, which may."""
    return [*(tag for tag, kind in EVENT_TYPES.items() if _names_people(kind)), *UPCASTERS]


def _names_people(kind: type[Event]) -> bool:
    return any(Personal in (field.type, *get_args(field.type)) for field in structs.fields(kind))


async def _cleared_rows(connection: Connection, address: str, named: dict[int, UUID]) -> ClearedRows:
    """The rows that show the address, as they are without it."""
    streams = set(named.values())
    return {projection: await _cleared(connection, projection, address, streams) for projection in SHOWING_PEOPLE}


async def _cleared(
    connection: Connection,
    projection: Projection[Any],  # Any: of any kind
    address: str,
    streams: Collection[UUID],
) -> dict[UUID, Any]:  # Any: its rows
    found = {}
    for id_, row in (await Table(projection).load(connection, streams)).items():
        shown = {
            name: UNSET
            for name, value in structs.asdict(row.body).items()
            if name.endswith("_email") and isinstance(value, str) and folded(value) == folded(address)
        }
        if shown:
            found[id_] = msgspec.structs.replace(row, body=msgspec.structs.replace(row.body, **shown))
    return found


async def _save(connection: Connection, cleared: ClearedRows) -> None:
    for projection, rows in cleared.items():
        if rows:
            table = Table(projection)
            await connection.execute(table.save_statement, *table.columns_of(list(rows.values())))


async def _record(connection: Connection, head: Head, person: UUID, request_id: str, now: datetime) -> None:
    context = Context(EVERYWHERE, new_id(), request_id, System("erase"))
    at = max(now, head.recorded_at + TICK)
    columns, end = columns_of(head, [Recorded(head.position + 1, person, 1, PersonErased(), at, context)])
    await connection.execute(LOG.insert_events, *columns)
    await connection.execute(SQL.notify, CHANNEL, str(end.position))
