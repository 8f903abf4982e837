"""What a projection is: a table of rows, each a fold of events.

A projection is declared once and runs everywhere: in the writing transaction, in a rebuild, at a past moment. It is
pure: `targets` says which events it takes and which rows each touches, `apply` gives the row after the event. Whoever
runs it brings the rows and puts them away again.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Literal, TypeVar, get_args
from uuid import UUID

from asyncpg import Record
from msgspec import Struct, structs

from modeltrail.domain.event import Event
from modeltrail.eventlog.record import Recorded

R = TypeVar("R", bound="Row")


class Row(Struct, frozen=True, kw_only=True):
    """What every row has. `revision` counts its changes; `position` is the event that changed it last.

    An id whose row may go and come again must not have the same revision twice, which is its ETag: such a row begins at
    the position of the event that makes it, which is beyond all that were counted before.
    """

    id: UUID
    project_id: UUID
    created_at: datetime
    updated_at: datetime
    revision: int = 0
    position: int = 0


def next_revision(before: R | None, after: R) -> int:
    """The revision of `after`, which an event made of `before`. A new row says itself where it begins."""
    return (after if before is None else before).revision + 1


def stamped(before: R | None, after: R, revision: int, position: int) -> R:
    """`after`, which events made of `before`, with its revision and the position of the last of them."""
    if after is before:
        return structs.replace(after, revision=revision, position=position)
    # Nobody else has `after` yet, so it may be changed in place: a copy would take as long as `apply` itself.
    structs.force_setattr(after, "revision", revision)
    structs.force_setattr(after, "position", position)
    return after


class NewRow(Struct, frozen=True):
    """The event makes this row; there is none with this id yet."""

    id: UUID


class OneRow(Struct, frozen=True):
    """The event touches the row with this id, if there is one."""

    id: UUID


class RowsWhere(Struct, frozen=True):
    """The event touches all rows that hold this value in this column."""

    column: str
    value: UUID


Target = NewRow | OneRow | RowsWhere
Targets = Callable[[UUID, Any], Iterable[Target]]  # Any: each takes one type of event
"""Which rows an event on a stream touches."""


def new_row(stream: UUID, _event: object) -> tuple[Target]:
    """The event makes the row that its stream is about."""
    return (NewRow(stream),)


def own_row(stream: UUID, _event: object) -> tuple[Target]:
    """The event touches the row that its stream is about."""
    return (OneRow(stream),)


def types_in(union: object) -> tuple[type[Event], ...]:
    """The event types of a union such as `ModelEvent`."""
    return get_args(union)


@dataclass(frozen=True, slots=True)
class Column(Generic[R]):
    """A column of the table: its name, its PostgreSQL type, and how a row fills it."""

    name: str
    type: str
    value: Callable[[R], Any]  # Any: each column has its own type


def unique_key(scope: object, name: object) -> str:
    """The unique key of the row of this name in this scope, as `Projection.unique_expression` gives it in SQL."""
    return f"{scope} {name}"


def _body_of(record: Record) -> bytes:
    body: bytes = record["body"]
    return body


@dataclass(frozen=True, eq=False)
class Projection(Generic[R]):
    """A read table and the functions that fill it.

    `version` must be raised when rows made by today's code differ from those of yesterday's: a rebuild is due.
    `mode` is inline when the transaction that appends an event writes its rows, too, and async when they follow later.
    An async one may say by `rows_of` which rows an event of `targets` touches, where that takes more than the event.
    `unique` names the columns whose values, together, no two rows share. `counted` names those by whose values a
    project's rows are counted in `row_counts`; None when they are not. `get_documents` is the query of GET by ids
    (`$1::uuid[]`; it gives `id`, `project_id`, `revision` and what `document` needs), and `document` makes the answer
    from one of its rows, where that is not the body alone. `document_of` gives the same answer without the query, or
    None when it would take other rows than the given one. `parent_of` is what the resource belongs to, where a route
    names that.
    """

    name: str
    version: int
    columns: tuple[Column[R], ...]
    unique: tuple[str, ...]
    targets: Mapping[type[Event], Targets]
    apply: Callable[[R | None, Recorded], R | None]
    read: Callable[[Record], R]
    get_documents: str
    document_of: Callable[[R], bytes | None]
    mode: Literal["inline", "async"] = "inline"
    rows_of: Callable[[Recorded], Iterable[Target]] | None = None
    counted: tuple[str, ...] | None = None
    document: Callable[[Record], bytes] = _body_of
    parent_of: Callable[[R], UUID | None] = lambda _row: None

    def touched_by(self, recorded: Recorded) -> Iterable[Target]:
        """The rows that an event touches."""
        kind = type(recorded.event)
        return self.toucher(kind)(recorded) if kind in self.targets else ()

    def toucher(self, kind: type[Event]) -> Callable[[Recorded], Iterable[Target]]:
        """What says which rows an event touches, of a type that is one of `targets`."""
        if self.rows_of is not None:
            return self.rows_of
        targets = self.targets[kind]
        return lambda recorded: targets(recorded.stream, recorded.event)

    @property
    def unique_expression(self) -> str:
        """The unique key in SQL: word for word the expression of the table's unique index."""
        types = {column.name: column.type for column in self.all_columns}
        return " || ' ' || ".join(name if types[name] == "text" else f"{name}::text" for name in self.unique)

    @property
    def all_columns(self) -> tuple[Column[R], ...]:
        """The columns that every row has, then the projection's own."""
        return _COMMON + self.columns


_COMMON: tuple[Column[Any], ...] = (  # Any: any row has these
    Column("id", "uuid", lambda row: row.id),
    Column("project_id", "uuid", lambda row: row.project_id),
    Column("revision", "bigint", lambda row: row.revision),
    Column("position", "bigint", lambda row: row.position),
    Column("created_at", "timestamptz", lambda row: row.created_at),
    Column("updated_at", "timestamptz", lambda row: row.updated_at),
)


def common_fields(record: Record) -> dict[str, Any]:  # Any: the fields of `Row`, by name
    """What every row has, from a row of the table."""
    return {column.name: record[column.name] for column in _COMMON}
