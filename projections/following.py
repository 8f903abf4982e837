"""Read tables that follow the log: what events make of their rows, many events at a time."""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from asyncpg import Connection

from modeltrail.eventlog.record import Recorded
from modeltrail.projections.rows import WorkingRows
from modeltrail.projections.table import Table
from modeltrail.projections.touched import Touched


async def follow(
    connection: Connection,
    tables: Iterable[Table[Any]],  # Any: rows of any kind
    events: Sequence[Recorded],
) -> dict[str, list[UUID]]:
    """Change the rows that `events` touch, which come after all that the tables hold. Belongs into a transaction.

    Returns the ids of those that have changed, or are gone, by table.
    """
    touched_ids: dict[str, list[UUID]] = {}
    for table in tables:
        rows = WorkingRows(table)
        touched = Touched(rows)
        for recorded in events:
            for target in table.projection.touched_by(recorded):
                touched.add(target, recorded)
        await touched.load(connection)
        deque(touched.apply(), maxlen=0)
        changed = rows.take()
        touched_ids[table.projection.name] = []
        if changed is None:
            continue
        touched_ids[table.projection.name] = [*changed.gone, *(row.id for row in changed.kept)]
        if changed.gone:
            await connection.execute(table.delete_statement, changed.gone)
        if changed.kept:
            await connection.execute(table.save_statement, *table.columns_of(changed.kept))
    return touched_ids
