"""What one batch adds to the log and the tables, and the statements that write it."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from asyncpg import Connection

from modeltrail.commands.decision import Credentials
from modeltrail.commands.remembered import SQL as REMEMBERED
from modeltrail.commands.remembered import Remembered
from modeltrail.commands.remembered import columns_of as columns_of_remembered
from modeltrail.domain.decider import Decider
from modeltrail.eventlog.first_mention import PersonKey
from modeltrail.eventlog.first_mention import columns_of as columns_of_keys
from modeltrail.eventlog.log import CHANNEL, Head, columns_of
from modeltrail.eventlog.log import SQL as LOG
from modeltrail.eventlog.people import SQL as PEOPLE
from modeltrail.eventlog.record import Recorded
from modeltrail.eventlog.streams import Loaded
from modeltrail.eventlog.streams import columns_of as columns_of_snapshots
from modeltrail.postgres.arguments import Arguments
from modeltrail.postgres.statements import Statements
from modeltrail.projections.rows import ChangedRows

SQL = Statements("modeltrail.commands.committing", "credentials.sql")

Statement = tuple[str, Sequence[Any]]  # Any: the arguments are of several types
"""SQL, and its arguments."""


class Entry:
    """Events and all that follows from them, written as a whole or not at all.

    The log ended at `behind` before it, and ends at `end` after it. The statements are made beforehand, so that nothing
    but sending them is left to do when the entry's turn has come.
    """

    def __init__(
        self,
        *,
        behind: Head,
        events: Sequence[Recorded],
        rows: Sequence[ChangedRows[Any]],  # Any: rows of several tables
        snapshots: Mapping[UUID, tuple[Decider[Any, Any, Any], Loaded]],  # Any: deciders of several kinds
        new_people: Sequence[PersonKey],
        credentials: Sequence[Credentials],
        forgotten: Sequence[UUID],
        remembered: Sequence[Remembered],
    ) -> None:
        self.behind = self.end = behind
        self._statements: list[Statement] = []
        if not events:
            self._only_remember(remembered)
            return
        self._statements += [(each.table.delete_statement, [each.gone]) for each in rows if each.gone]
        self._add_events_and_rows(events, rows, new_people, remembered)
        if snapshots:
            self._statements.append((LOG.save_snapshots, columns_of_snapshots(snapshots)))
        if credentials:
            self._statements.append((SQL.save_credentials, _columns_of_credentials(credentials)))
        if forgotten:  # last: a version may have come and gone in this batch
            self._statements.append((SQL.delete_credentials, [forgotten]))

    async def write(self, connection: Connection) -> None:
        """Write and commit it. The usual entry is one statement, which commits by itself: it saves two round trips."""
        if len(self._statements) == 1:
            await _execute(connection, self._statements[0])
        elif self._statements:
            async with connection.transaction():
                for statement in self._statements:
                    await _execute(connection, statement)

    def _only_remember(self, remembered: Sequence[Remembered]) -> None:
        """The commands changed nothing, but their answers may be wanted again."""
        if remembered:
            arguments = Arguments()
            save, delete = _keeping(remembered, arguments)
            self._statements.append((f"WITH part_0 AS ({save}) {delete}", arguments.values))

    def _add_events_and_rows(
        self,
        events: Sequence[Recorded],
        rows: Sequence[ChangedRows[Any]],
        new_people: Sequence[PersonKey],
        remembered: Sequence[Remembered],
    ) -> None:
        """The events, the keys of whom they name first, all changed rows and what is remembered, in one statement."""
        arguments = Arguments()
        columns, self.end = columns_of(self.behind, events)
        parts = [arguments.of(LOG.insert_events, _without_empty(columns))]
        for changed in rows:
            if changed.kept:
                statement = changed.table.insert_statement if changed.all_new else changed.table.save_statement
                parts.append(arguments.of(statement, _without_empty(changed.table.columns_of(changed.kept))))
        if new_people:
            parts.append(arguments.of(PEOPLE.insert_keys, columns_of_keys(new_people)))
        if remembered:
            parts.extend(_keeping(remembered, arguments))
        parts_by_name = ", ".join(f"part_{number} AS ({part})" for number, part in enumerate(parts))
        notify = arguments.of(f"SELECT pg_notify('{CHANNEL}', $1)", [str(self.end.position)])
        self._statements.append((f"WITH {parts_by_name} {notify}", arguments.values))


async def _execute(connection: Connection, statement: Statement) -> None:
    sql, arguments = statement
    await connection.execute(sql, *arguments)


def _keeping(remembered: Sequence[Remembered], arguments: Arguments) -> list[str]:
    """The statements that keep answers, and delete some that have expired."""
    columns = columns_of_remembered(remembered)
    return [arguments.of(statement, columns) for statement in (REMEMBERED.save_remembered, REMEMBERED.delete_expired)]


def _without_empty(columns: list[list[Any]]) -> list[list[Any] | None]:  # Any: columns of several types
    """The same to `unnest`, with no array for columns of nothing but NULLs: a third of them need not be sent."""
    return [None if column.count(None) == len(column) else column for column in columns]


def _columns_of_credentials(credentials: Sequence[Credentials]) -> list[list[Any]]:  # Any: columns of several types
    newest = {each.version_id: each for each in credentials}.values()
    return [
        [each.version_id for each in newest],
        [each.project_id for each in newest],
        [each.key_id for each in newest],
        [each.box for each in newest],
    ]
