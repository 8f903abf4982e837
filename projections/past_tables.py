"""Rows that were folded, as the tables that today's statements read."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from asyncpg import Pool, Record

from modeltrail.postgres.arguments import Arguments
from modeltrail.postgres.connect import STATEMENT_SECONDS
from modeltrail.projections.fold import FoldedRows
from modeltrail.projections.list_reader import Asked, Page, columns, pages_in
from modeltrail.projections.projection import Projection
from modeltrail.projections.table import Table


class PastTables:
    """Folded rows, as tables: a statement that names one of them reads these, not those that there are now."""

    def __init__(self, pool: Pool, folded: Sequence[FoldedRows]) -> None:
        self._pool = pool
        self._folded = folded

    @property
    def rows(self) -> dict[UUID, Any]:  # Any: rows of any kind
        """Those of the only table."""
        (folded,) = self._folded
        return folded.rows

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
