"""The read tables as they must be: a fold of the log in memory, written independently of the committer."""

# asyncpg's functions carry no annotations.
# mypy: allow-untyped-calls

from collections import Counter
from collections.abc import Iterable
from typing import Any
from uuid import UUID

import asyncpg
from msgspec import structs

from modeltrail.eventlog.record import Recorded
from modeltrail.projections.catalogue import INLINE
from modeltrail.projections.projection import NewRow, OneRow, Projection, Row, RowsWhere, Target
from support.committing import broken_link, connected, read_log, read_rows
from support.database import Database


class Fold:
    """Some projections, folded over events one by one."""

    def __init__(self, *projections: Projection[Any]) -> None:  # Any: each has rows of its own
        self._rows: dict[Projection[Any], dict[UUID, Any]] = {projection: {} for projection in projections}

    def over(self, events: Iterable[Recorded]) -> "Fold":
        """Fold `events`, oldest first."""
        for recorded in events:
            for projection, rows in self._rows.items():
                for target in projection.touched_by(recorded):
                    for id_ in _touched(projection, rows, target):
                        _put(rows, id_, projection.apply(rows.get(id_), recorded), recorded.position)
        return self

    def rows(self, projection: Projection[Any]) -> dict[UUID, Any]:  # Any: the projection's rows
        """The rows of one projection, by id."""
        return self._rows[projection]

    def row(self, projection: Projection[Any], id_: UUID) -> Any:  # Any: the projection's row
        """The row with this id, or None."""
        return self._rows[projection].get(id_)

    async def differences(self, connection: asyncpg.Connection) -> list[str]:
        """Every column of every row in which the tables are not what they must be; JSON is compared as text."""
        found = []
        for projection, rows in self._rows.items():
            names = ", ".join(
                f"{column.name}::text" if column.type == "json" else column.name for column in projection.all_columns
            )
            stored = {
                row["id"]: tuple(row.values())
                for row in await connection.fetch(f"SELECT {names} FROM {projection.name}")
            }
            found += [f"{projection.name}: {id_} should not be there" for id_ in stored.keys() - rows.keys()]
            for id_, row in rows.items():
                if id_ not in stored:
                    found.append(f"{projection.name}: {id_} is missing")
                    continue
                for column, value in zip(projection.all_columns, stored[id_], strict=True):
                    expected = _as_stored(column.value(row))
                    if value != expected:
                        found.append(f"{projection.name}.{column.name} of {id_}: {value!r} instead of {expected!r}")
            found += await self._miscounts(connection, projection)
        return found

    async def _miscounts(self, connection: asyncpg.Connection, projection: Projection[Any]) -> list[str]:
        if projection.counted is None:
            return []
        columns = [column for name in projection.counted for column in projection.all_columns if column.name == name]
        expected = Counter(
            (row.project_id, tuple(column.value(row) for column in columns)) for row in self._rows[projection].values()
        )
        counted = {
            (row["project_id"], tuple(row["facets"])): row["count"]
            for row in await connection.fetch("SELECT * FROM row_counts WHERE source = $1", projection.name)
            if row["count"]
        }
        return [] if counted == expected else [f"{projection.name}: counted {counted} instead of {dict(expected)}"]


async def differences(database: Database, *projections: Projection[Any]) -> list[str]:  # Any: the same
    """In what the tables of these projections are not what a fold of the whole log says."""
    fold = Fold(*projections).over(await read_log(database))
    async with connected(database) as connection:  # only now: one that is idle while a long log is folded is cut off
        return await fold.differences(connection)


async def assert_sound(database: Database) -> None:
    """Positions have no gap, times do not go back, the chain holds, and the read tables are a fold of the log."""
    rows = await read_rows(database)
    assert [row["notification_id"] for row in rows] == list(range(1, len(rows) + 1))
    times = [row["recorded_at"] for row in rows]
    assert times == sorted(times)
    assert broken_link(rows) is None
    assert await differences(database, *INLINE) == []


def _touched(projection: Projection[Any], rows: dict[UUID, Any], target: Target) -> list[UUID]:
    match target:
        case NewRow(id=id_) | OneRow(id=id_):
            return [id_]
        case RowsWhere(column=name, value=value):
            (column,) = (column for column in projection.all_columns if column.name == name)
            return [id_ for id_, row in rows.items() if column.value(row) == value]


def _put(rows: dict[UUID, Any], id_: UUID, after: Row | None, position: int) -> None:
    before = rows.pop(id_, None)
    if after is not None:
        revision = (after.revision if before is None else before.revision) + 1
        rows[id_] = structs.replace(after, revision=revision, position=position)


def _as_stored(value: object) -> object:
    return value.decode() if isinstance(value, bytes) else value
