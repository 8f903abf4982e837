"""Rows of one projection in memory while a writer works on them: what was loaded, and what has changed since."""

from collections import defaultdict
from collections.abc import Sequence, Set
from typing import Generic, TypeVar
from uuid import UUID

from asyncpg import Connection
from msgspec import Struct

from modeltrail.eventlog.record import Recorded
from modeltrail.projections.projection import NewRow, OneRow, Row, RowsWhere, Target, next_revision, stamped
from modeltrail.projections.table import Table

R = TypeVar("R", bound=Row)


class ChangedRows(Struct, Generic[R], frozen=True):
    """What is to be done to a table: which rows go, and which come or are replaced. `all_new` says that none is.

    `new` holds the ids of those that the table does not have.
    """

    table: Table[R]
    gone: list[UUID]
    kept: list[R]
    new: Set[UUID]
    all_new: bool


class WorkingRows(Generic[R]):
    """Knows a row's newest state, by id and by unique key. None stands for "known not to exist".

    What is known is never overwritten by what is loaded: a `load` may see the table as it was before the last changes
    were written, or after.
    """

    def __init__(self, table: Table[R]) -> None:
        self.table = table
        self._make = table.projection.apply
        self._has_keys = bool(table.projection.unique)
        self._rows: dict[UUID, R | None] = {}
        self._ids: dict[str, UUID | None] = {}
        self._complete: set[tuple[str, UUID]] = set()
        self._holders: dict[str, dict[object, dict[UUID, None]]] = {}  # ids by value, of columns that were asked for
        self._stored: set[UUID] = set()
        self._changed: dict[UUID, None] = {}  # a set that keeps its order
        self._wanted_ids: set[UUID] = set()
        self._wanted_keys: set[str] = set()
        self._wanted_where: set[tuple[str, UUID]] = set()

    @property
    def count(self) -> int:
        """How many rows are known, those included that do not exist."""
        return len(self._rows)

    def knows(self, id_: UUID) -> bool:
        """Whether `get` can answer."""
        return id_ in self._rows

    def get(self, id_: UUID) -> R | None:
        """The row, or None when there is none."""
        return self._rows[id_]

    def knows_key(self, key: str) -> bool:
        """Whether `find` can answer."""
        return key in self._ids

    def find(self, key: str) -> R | None:
        """The row with this unique key, or None when there is none."""
        id_ = self._ids[key]
        return None if id_ is None else self._rows[id_]

    def knows_where(self, column: str, value: UUID) -> bool:
        """Whether `where` can answer."""
        return (column, value) in self._complete

    def where(self, column: str, value: UUID) -> list[R]:
        """All rows that hold `value` in `column`."""
        if column not in self._holders:
            holders = self._holders[column] = defaultdict(dict)
            for id_, row in self._rows.items():
                if row is not None:
                    holders[self.table.value(row, column)][id_] = None
        found = (self._rows[id_] for id_ in self._holders[column][value])
        return [row for row in found if row is not None]

    def want(self, id_: UUID) -> None:
        """Ask for a row with the next `load`, unless it is known."""
        if id_ not in self._rows:
            self._wanted_ids.add(id_)

    def want_key(self, key: str) -> None:
        """Ask for the row with this unique key with the next `load`, unless it is known."""
        if key not in self._ids:
            self._wanted_keys.add(key)

    def want_where(self, column: str, value: UUID) -> None:
        """Ask for all rows that hold `value` in `column` with the next `load`, unless they are known."""
        if (column, value) not in self._complete:
            self._wanted_where.add((column, value))

    async def load(self, connection: Connection) -> None:
        """Find out everything that was asked for since the last `load`."""
        if self._wanted_ids:
            self._learn(await self.table.load(connection, self._wanted_ids))
            for id_ in self._wanted_ids:
                self._rows.setdefault(id_, None)
            self._wanted_ids.clear()
        if self._wanted_keys:
            self._learn(await self.table.find(connection, self._wanted_keys))
            for key in self._wanted_keys:
                self._ids.setdefault(key, None)
            self._wanted_keys.clear()
        for column in {column for column, _ in self._wanted_where}:
            values = [value for each, value in self._wanted_where if each == column]
            self._learn(await self.table.where(connection, column, values))
            self._complete.update((column, value) for value in values)
        self._wanted_where.clear()

    def _learn(self, loaded: dict[UUID, R]) -> None:
        for id_, row in loaded.items():
            if id_ in self._rows:
                continue  # known before, and perhaps changed since: newer than what was loaded
            self._rows[id_] = row
            self._stored.add(id_)
            self._index(id_, None, row)
            if self._has_keys:
                self._ids.setdefault(self.table.unique_key(row), id_)

    def want_for(self, target: Target) -> bool:
        """Ask for the rows that an event touches with the next `load`, unless they are known; whether they are not."""
        match target:
            case OneRow(id=id_):
                self.want(id_)
                return id_ in self._wanted_ids
            case NewRow(id=id_):
                self._rows.setdefault(id_, None)  # an event will make it: `load` need not look for it
                return False
            case RowsWhere(column=column, value=value):
                self.want_where(column, value)
                return (column, value) in self._wanted_where

    def apply(self, target: Target, recorded: Recorded) -> None:
        """Replace the rows that an event touches, which must be known, by what it makes of them."""
        match target:
            case OneRow(id=id_):
                self.put(id_, self._rows[id_], self._make(self._rows[id_], recorded), recorded.position)
            case NewRow(id=id_):
                self.put(id_, None, self._make(None, recorded), recorded.position)
            case RowsWhere(column=column, value=value):
                for before in self.where(column, value):
                    self.put(before.id, before, self._make(before, recorded), recorded.position)

    def fold(self, id_: UUID, events: Sequence[Recorded]) -> None:
        """Replace one row, which must be known, by what some events make of it, one after the other."""
        before = row = self._rows[id_]
        revision = 0 if row is None else row.revision
        for recorded in events:
            after = self._make(row, recorded)
            if after is not None:
                revision = next_revision(None, after) if row is None else revision + 1
            row = after
        self._keep(id_, before, row if row is None else stamped(before, row, revision, events[-1].position))

    def put(self, id_: UUID, before: R | None, after: R | None, position: int) -> None:
        """Replace a row by what an event made of it; None removes it."""
        if after is not None:
            after = stamped(before, after, next_revision(before, after), position)
        self._keep(id_, before, after)

    def _keep(self, id_: UUID, before: R | None, after: R | None) -> None:
        if before is None and after is None:
            self._rows.setdefault(id_, None)
            return
        if self._has_keys:
            if before is not None:
                self._ids[self.table.unique_key(before)] = None
            if after is not None:
                self._ids[self.table.unique_key(after)] = id_
        self._rows[id_] = after
        self._changed[id_] = None
        if self._holders:
            self._index(id_, before, after)

    def _index(self, id_: UUID, before: R | None, after: R | None) -> None:
        for column, holders in self._holders.items():
            if before is not None:
                holders[self.table.value(before, column)].pop(id_, None)
            if after is not None:
                holders[self.table.value(after, column)][id_] = None

    def take(self) -> ChangedRows[R] | None:
        """What has changed since the last `take`, which counts as stored from now on; None when nothing has.

        Rows are in the order of their first change: a name is freed before it is taken.
        """
        if not self._changed:
            return None
        gone = [id_ for id_ in self._changed if self._rows[id_] is None and id_ in self._stored]
        kept = [row for id_ in self._changed if (row := self._rows[id_]) is not None]
        new = self._changed.keys() - self._stored
        all_new = len(new) == len(self._changed)
        self._changed = {}
        self._stored.difference_update(gone)
        self._stored.update(row.id for row in kept)
        return ChangedRows(self.table, gone, kept, new, all_new)
