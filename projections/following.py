"""Read tables that follow the log: what events make of their rows, many events at a time."""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

from asyncpg import Connection

from modeltrail.eventlog.record import Recorded
from modeltrail.projections.rows import WorkingRows
from modeltrail.projections.table import Table
from modeltrail.projections.touched import Touched


async def follow(
    connection: Connection,
    tables: Iterable[Table[Any]],  # Any: rows of any kind
    events: Sequence[Recorded],
) -> None:
    """Change the rows that `events` touch, which come after all that the tables hold. Belongs into a transaction."""
    for table in tables:
        rows = WorkingRows(table)
        touched = Touched(rows)
        for recorded in events:
            for target in table.projection.touched_by(recorded):
                touched.add(target, recorded)
        await touched.load(connection)
        deque(touched.apply(), maxlen=0)
        changed = rows.take()
        if changed is None:
            continue
        if changed.gone:
            await connection.execute(table.delete_statement, changed.gone)
        if changed.kept:
            await connection.execute(table.save_statement, *table.columns_of(changed.kept))
