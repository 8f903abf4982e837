"""Projections folded in memory, from the first event on. Memory grows with the rows there are, not with the log."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from modeltrail.domain.event import Event
from modeltrail.eventlog.record import Recorded
from modeltrail.projections.projection import Projection, Row, RowsWhere, Target, next_revision, stamped


class FoldedRows:
    """The rows of one projection, by id."""

    def __init__(self, projection: Projection[Any]) -> None:  # Any: rows of any kind
        self.projection = projection
        self.rows: dict[UUID, Any] = {}  # Any: the same
        self._values = {column.name: column.value for column in projection.all_columns}
        self._holders: dict[str, dict[object, dict[UUID, None]]] = {}  # ids by value, of columns that were asked for

    def take(self, targets: Iterable[Target], recorded: Recorded) -> None:
        """Change the rows that the event touches."""
        for target in targets:
            if isinstance(target, RowsWhere):
                for id_ in self._where(target):
                    self._put(id_, recorded)
            else:
                self._put(target.id, recorded)

    def _put(self, id_: UUID, recorded: Recorded) -> None:
        before: Row | None = self.rows.get(id_)
        after = self.projection.apply(before, recorded)
        if after is not None:
            self.rows[id_] = after = stamped(before, after, next_revision(before, after), recorded.position)
        elif before is not None:
            del self.rows[id_]
        for column, holders in self._holders.items():
            value = self._values[column]
            if before is not None:
                holders[value(before)].pop(id_, None)
            if after is not None:
                holders[value(after)][id_] = None

    def _where(self, target: RowsWhere) -> list[UUID]:
        if target.column not in self._holders:
            holders: dict[object, dict[UUID, None]] = defaultdict(dict)
            value = self._values[target.column]
            for id_, row in self.rows.items():
                holders[value(row)][id_] = None
            self._holders[target.column] = holders
        return list(self._holders[target.column].get(target.value, ()))


class Fold:
    """Several projections, folded over the same events."""

    def __init__(self, projections: Sequence[Projection[Any]]) -> None:  # Any: each has rows of its own
        self.tables = [FoldedRows(projection) for projection in projections]
        self.position = 0
        self._takers: dict[type[Event], list[FoldedRows]] = {}

    def take(self, events: Iterable[Recorded]) -> None:
        """Fold `events`, which follow those before, oldest first."""
        for recorded in events:
            kind = type(recorded.event)
            takers = self._takers.get(kind)
            if takers is None:
                takers = self._takers[kind] = [table for table in self.tables if kind in table.projection.targets]
            for table in takers:
                table.take(table.projection.touched_by(recorded), recorded)
            self.position = recorded.position
