"""A part of the log: what an auditor asks for. Each condition has an index, so cost does not grow with the log."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from asyncpg import Record
from msgspec import Struct, structs

from modeltrail.domain.person import EVERYWHERE, PersonErased
from modeltrail.eventlog.codec import topic_of
from modeltrail.eventlog.log import read_head
from modeltrail.postgres.connect import Reads
from modeltrail.postgres.statements import Statements

SQL = Statements("modeltrail.eventlog", "selection.sql")
OF_NO_PROJECT = topic_of(PersonErased())
TICK = timedelta(microseconds=1)  # no two moments in the log are closer


class Selection(Struct, frozen=True, kw_only=True):
    """Events that fit everything given. `after` and `until` are positions; `until` is included.

    `streams` are those of one model and all that belongs to it, or one stream. `topics` are types as they are stored.
    `persons` are the actor: one, unless older code has taken that person for two.
    No `project` has the events of people.
    """

    project: UUID | None = None
    streams: tuple[UUID, ...] | None = None
    topics: tuple[str, ...] | None = None
    persons: tuple[UUID, ...] | None = None
    request_id: str | None = None
    causes: tuple[int, ...] | None = None
    after: int = 0
    until: int | None = None


async def streams_of_model(connection: Reads, model: UUID) -> tuple[UUID, ...]:
    """The model's own stream, and those of all its versions and inference services, deleted ones too."""
    return await streams_of_models(connection, [model])


async def streams_of_models(connection: Reads, models: Collection[UUID]) -> tuple[UUID, ...]:
    """The same of several."""
    rows = await connection.fetch(SQL.list_streams_of_models, [str(model) for model in models])
    return (*models, *(row["originator_id"] for row in rows))


async def position_before(connection: Reads, moment: datetime) -> int:
    """The position of the last event before `moment`; 0 when there is none. Some 20 look-ups by position."""
    position: int = (await connection.fetch(SQL.get_position_before, moment))[0]["low"]
    return position


async def position_until(connection: Reads, moment: datetime) -> int:
    """The position of the last event at `moment` or before; 0 when there is none."""
    return await position_before(connection, moment + TICK)


async def read_oldest(connection: Reads, selection: Selection, limit: int) -> list[Record]:
    """The first `limit` events, oldest first."""
    statement, arguments = query(selection, limit, "ASC")
    return list(await connection.fetch(statement, *arguments))


async def read_oldest_within(connection: Reads, selection: Selection, limit: int, size: int) -> list[Record]:
    """The first `limit` events, or as many of them as begin within `size` bytes: one at least. Oldest first."""
    statement, arguments = query(selection, limit, "ASC")
    within = SQL.list_events_within.format(events=statement, size=f"${len(arguments) + 1}")
    return list(await connection.fetch(within, *arguments, size))


async def read_newest(connection: Reads, selection: Selection, limit: int) -> list[Record]:
    """The last `limit` events, oldest first."""
    statement, arguments = query(selection, limit, "DESC")
    return list(reversed(await connection.fetch(statement, *arguments)))


def later_than(selection: Selection, position: int) -> Selection:
    """The same events, as far as they come after `position`."""
    return structs.replace(selection, after=max(position, selection.after))


def up_to(selection: Selection, position: int | None) -> Selection:
    """The same events, as far as they are at `position` or before it; None bounds nothing."""
    bounds = [each for each in (selection.until, position) if each is not None]
    return structs.replace(selection, until=min(bounds, default=None))


async def within_times(
    connection: Reads, selection: Selection, since: datetime | None, until: datetime | None
) -> Selection:
    """The same events, as far as they were recorded at `since` or later, and before `until`; None bounds nothing."""
    if since is not None:
        selection = later_than(selection, await position_before(connection, since))
    if until is not None:
        selection = up_to(selection, await position_before(connection, until))
    return selection


async def as_of_now(connection: Reads, selection: Selection) -> tuple[Selection, int]:
    """The same events, as far as the log goes by now; and the position where that is."""
    end = (await read_head(connection)).position
    end = end if selection.until is None else min(end, selection.until)
    return structs.replace(selection, until=end), end


async def count_events(connection: Reads, selection: Selection) -> int:
    """How many events there are."""
    _, conditions, arguments = _conditions(selection)
    (row,) = await connection.fetch(f"{SQL.count_events} WHERE {conditions}", *arguments)
    count: int = row["count"]
    return count


def query(selection: Selection, limit: int, order: str) -> tuple[str, Sequence[Any]]:  # Any: several types
    """The statement and its arguments. All its text is from here and from selection.sql."""
    position, conditions, arguments = _conditions(selection)
    statement = f"{SQL.list_events} WHERE {conditions}"
    return f"{statement} ORDER BY {position} {order} LIMIT ${len(arguments) + 1}", [*arguments, limit]


def _conditions(selection: Selection) -> tuple[str, str, list[Any]]:  # Any: the same
    """What stands for the position, the conditions, and their arguments."""
    # Of some streams all events are read and sorted. The planner, once it has stopped looking at the arguments, would
    # rather go through the log by position: measured, 2 ms at 100,000 events where this takes 0.2 at any size.
    position = "notification_id" if selection.streams is None else "notification_id + 0"
    # One topic comes from its index in the order of positions; several would have to be sorted.
    one_topic = selection.topics[0] if selection.topics and len(selection.topics) == 1 else None
    # The same of one person, which nearly everybody is: older code may have taken one for two.
    persons = None if selection.persons is None else [str(person) for person in selection.persons]
    one_person = persons[0] if persons and len(persons) == 1 else None
    conditions = [f"{position} > $1"]
    arguments: list[Any] = [selection.after]  # Any: the same
    for condition, value in (
        (f"{position} <= $", selection.until),
        ("project_id = $", selection.project),
        ("topic = $", one_topic),
        ("request_id <> '' AND request_id = $", selection.request_id),
        ("(actor->>'person') = $", one_person),
    ):
        if value is not None:
            arguments.append(value)
            conditions.append(f"{condition}{len(arguments)}")
    for column, values in (
        ("originator_id", selection.streams),
        ("topic", None if one_topic else selection.topics),
        ("causation_id", selection.causes),
        ("(actor->>'person')", None if one_person else persons),
    ):
        if values is not None:
            arguments.append(list(values))
            conditions.append(f"{column} = ANY(${len(arguments)})")
    if selection.project == EVERYWHERE:  # an id that callers may take for their project
        arguments.append(OF_NO_PROJECT)
        conditions.append(f"topic <> ${len(arguments)}")
    return position, " AND ".join(conditions), arguments
