"""Whether the read tables are what the log says: both at one position, row by row."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any
from uuid import UUID

from asyncpg import Connection, Record
from msgspec import Struct

from modeltrail.eventlog.keys import KeyRing
from modeltrail.eventlog.log import read_head
from modeltrail.postgres.statements import Statements
from modeltrail.projections.fold import Fold, FoldedRows
from modeltrail.projections.history import History
from modeltrail.projections.projection import Projection

SQL = Statements("modeltrail.projections", "rebuild.sql")
SHOWN = 100  # differences that are kept to be shown; all are counted
ROWS_A_FETCH = 2_000
A_ROW, MISSING = "a row", "no row"


class Difference(Struct, frozen=True):
    """A column in which a table is not what it must be. For a whole row `column` is empty."""

    table: str
    id: str
    column: str
    expected: str
    found: str


class Compared(Struct, frozen=True):
    """What was compared at which position, how many differences there are, and the first of them."""

    position: int
    rows: int
    differences: int
    first: list[Difference]


class Differences:
    """Counts all, keeps the first."""

    def __init__(self) -> None:
        self.count = 0
        self.first: list[Difference] = []

    def add(self, table: str, id_: object, column: str, expected: object, found: object) -> None:
        """One more."""
        self.count += 1
        if len(self.first) < SHOWN:
            self.first.append(Difference(table, str(id_), column, str(expected), str(found)))


async def verify_tables(
    connection: Connection,
    ring: KeyRing,
    projections: Sequence[Projection[Any]],  # Any: each has rows of its own
    on_progress: Callable[[int, int], None],
) -> Compared:
    """Fold the log with the projections' own code, and compare. Reads and writes go on meanwhile.

    One that follows the log by itself is compared as of its checkpoint. Memory grows with the rows of the largest of
    them: they are folded one after the other. Raises UnreadableEventError.
    """
    found, rows, position = Differences(), 0, 0
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        end = (await read_head(connection)).position
        reached = {row["name"]: row["position"] for row in await connection.fetch(SQL.list_projections)}
        for number, projection in enumerate(projections):
            fold = Fold([projection])
            async for page in History(connection, ring).pages(until=reached.get(projection.name)):
                fold.take(page)
                on_progress(number * end + fold.position, len(projections) * end)
            position = max(position, fold.position)
            rows += len(fold.tables[0].rows)
            if (checkpoint := reached.get(projection.name)) is not None and checkpoint > end:
                # It would pass over what is still to come.
                found.add("projections", projection.name, "position", f"at most {end}", checkpoint)
            await _compare_counts(connection, fold.tables[0], found)
            await _compare_rows(connection, fold.tables[0], found)
    return Compared(position, rows, found.count, found.first)


async def compare_with_shadow(
    connection: Connection,
    projection: Projection[Any],  # Any: of any kind
    live: str,
    shadow: str,
    found: Differences,
) -> None:
    """Compare the table `live` with `shadow`, which holds what is expected. Only rows that differ leave the database.

    Looks for as many rows as are shown.
    """
    names = _comparable(projection)
    old, new = (", ".join(f"{alias}.{name}" for name in names) for alias in ("o", "n"))
    rows = await connection.fetch(
        f"SELECT coalesce(o.id, n.id) AS id, {_texts('o', names)} AS found, {_texts('n', names)} AS expected"  # noqa: S608
        f" FROM {live} AS o FULL JOIN {shadow} AS n ON o.id = n.id"
        f" WHERE o.id IS NULL OR n.id IS NULL OR ({old}) IS DISTINCT FROM ({new}) LIMIT {SHOWN}"
    )
    for row in rows:
        _add_row(found, projection, row["id"], row["expected"], row["found"])
    counts = await connection.fetch(SQL.compare_counts_with_shadow, projection.name, shadow, SHOWN)
    _add_counts(found, projection, counts)


def _texts(alias: str, names: Sequence[str]) -> str:
    """A row's values as texts; null where there is no row."""
    values = ", ".join(f"{alias}.{name}::text" for name in names)
    return f"CASE WHEN {alias}.id IS NOT NULL THEN ARRAY[{values}] END"


def _add_row(
    found: Differences,
    projection: Projection[Any],  # Any: the same
    id_: UUID,
    expected: Iterable[object] | None,
    stored: Iterable[object] | None,
) -> None:
    """Add the columns in which two rows differ, or that one of the two is not there."""
    if expected is None:
        found.add(projection.name, id_, "", MISSING, A_ROW)
    elif stored is None:
        found.add(projection.name, id_, "", A_ROW, MISSING)
    else:
        for column, wanted, value in zip(projection.all_columns, expected, stored, strict=True):
            if value != wanted:
                found.add(projection.name, id_, column.name, wanted, value)


def _comparable(projection: Projection[Any]) -> list[str]:  # Any: the same
    """The columns in SQL, in a form that knows equality, which JSON does not."""
    return [f"{column.name}::text" if column.type == "json" else column.name for column in projection.all_columns]


async def _compare_rows(connection: Connection, table: FoldedRows, found: Differences) -> None:
    """Compare, and forget each row after that."""
    projection = table.projection
    names = ", ".join(_comparable(projection))
    async for stored in connection.cursor(f"SELECT {names} FROM {projection.name}", prefetch=ROWS_A_FETCH):  # noqa: S608
        row = table.rows.pop(stored["id"], None)
        expected = None if row is None else [_as_read(column.value(row)) for column in projection.all_columns]
        _add_row(found, projection, stored["id"], expected, stored)
    for id_ in table.rows:
        _add_row(found, projection, id_, (), None)


def _as_read(value: object) -> object:
    return value.decode() if isinstance(value, bytes) else value


async def _compare_counts(connection: Connection, table: FoldedRows, found: Differences) -> None:
    projection = table.projection
    if projection.counted is None:
        return
    values = {column.name: column.value for column in projection.all_columns}
    counted = [values[name] for name in projection.counted]
    expected = Counter((row.project_id, *(value(row) for value in counted)) for row in table.rows.values())
    texts = [[str(key[number]) for key in expected] for number in range(1, len(counted) + 1)]
    facets = ", ".join(f"facet(f{number})" for number in range(len(texts)))
    names = "".join(f", f{number}" for number in range(len(texts)))
    arrays = "".join(f", ${number}::text[]" for number in range(4, len(texts) + 4))
    statement = SQL.compare_counts.format(facets=facets, names=names, arrays=arrays)
    keys = [key[0] for key in expected]
    _add_counts(
        found, projection, await connection.fetch(statement, projection.name, keys, list(expected.values()), *texts)
    )


def _add_counts(found: Differences, projection: Projection[Any], rows: Iterable[Record]) -> None:  # Any: the same
    for row in rows:
        facet = " ".join(row["facets"])
        found.add("row_counts", row["project_id"], f"{projection.name} {facet}".strip(), row["expected"], row["found"])
