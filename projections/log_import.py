"""An export into a database: the same log, to the byte, and the read tables that follow from it, batch by batch."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from asyncpg import Connection, UniqueViolationError
from msgspec import Struct

from modeltrail.eventlog.cloud_event import UnusableExportError, from_line, to_line
from modeltrail.eventlog.codec import Codec, Opener, keep_sealed
from modeltrail.eventlog.log import CHANNEL, Head, lock_log, read_head, recorded_from, unlock_log
from modeltrail.eventlog.people import PersonKeys, persons_in
from modeltrail.eventlog.verification import LogRow, link_of
from modeltrail.projections.following import follow
from modeltrail.projections.projection import Projection
from modeltrail.projections.table import Table

BATCH = 1_000
COLUMNS = (
    "originator_id", "originator_version", "topic", "state", "notification_id", "project_id", "recorded_at", "actor",
    "request_id", "command_id", "causation_id", "hash",
)  # fmt: skip


class Imported(Struct, frozen=True):
    """How many events were added, after how many that were there, and where the log ends now."""

    added: int
    there: int
    end: Head


class LogImport:
    """Brings the log of an export into a database that is empty, or holds the beginning of the same log."""

    def __init__(
        self,
        connection: Connection,
        projections: Iterable[Projection[Any]],  # Any: of any kind
        people: PersonKeys | None,
    ) -> None:
        """Without `people`, or where their keys are not in the database, addresses stay unreadable."""
        self._connection = connection
        self._tables = [Table(projection) for projection in projections]
        self._people = people
        opener: Opener = keep_sealed if people is None else people.open
        self._codec = Codec(opener)

    async def run(self, lines: Iterable[bytes], on_progress: Callable[[int], None]) -> Imported:
        """Add the events that are not there yet, each batch whole or not at all; safe to break off, and to repeat.

        `on_progress` is told how many bytes were read. Raises UnusableExportError where the export is not whole, or is
        not of the log that the database holds; the events before are in the database then.
        """
        head = there = await read_head(self._connection)
        before, read = Head(), 0
        left = iter(lines)
        while batch := list(islice(left, BATCH)):
            rows = list(_chained(batch, before))
            read += sum(map(len, batch))
            before = Head(rows[-1]["notification_id"], rows[-1]["hash"], rows[-1]["recorded_at"])
            self._require_same(rows, there)
            new = [row for row in rows if row["notification_id"] > there.position]
            if new:
                head = await self._add(new, head)
            on_progress(read)
        if before.position < there.position:
            raise UnusableExportError(f"the database holds {there.position} events, the export only {before.position}")
        return Imported(head.position - there.position, there.position, head)

    def _require_same(self, rows: Sequence[LogRow], there: Head) -> None:
        for row in rows:
            if row["notification_id"] == there.position and row["hash"] != there.hash:
                raise UnusableExportError(
                    f"the database holds another log: its event at {there.position} is not the export's;"
                    " import into an empty database"
                )

    async def _add(self, rows: Sequence[LogRow], head: Head) -> Head:
        if self._people is not None:
            await self._people.learn(persons_in(row["state"] for row in rows))
        now = await lock_log(self._connection, held=False)
        try:
            if now.position != head.position:
                raise UnusableExportError(
                    f"somebody else writes to the log (it ends at {now.position}, not at {head.position}); stop it"
                )
            try:
                await self._write(rows)
            except UniqueViolationError:
                # Names changed hands within the batch: written event by event, no two rows ever have the same one.
                for row in rows:
                    await self._write([row])
        finally:
            await unlock_log(self._connection)
        return Head(rows[-1]["notification_id"], rows[-1]["hash"], rows[-1]["recorded_at"])

    async def _write(self, rows: Sequence[LogRow]) -> None:
        async with self._connection.transaction():
            await self._connection.copy_records_to_table(
                "stored_events", columns=COLUMNS, records=[[row[column] for column in COLUMNS] for row in rows]
            )
            await follow(self._connection, self._tables, [recorded_from(row, self._codec) for row in rows])
            await self._connection.execute("SELECT pg_notify($1, $2)", CHANNEL, str(rows[-1]["notification_id"]))


def _chained(lines: Iterable[bytes], before: Head) -> Iterator[LogRow]:
    """The rows in the lines, each of which must follow the one before it."""
    position, digest = before.position, before.hash
    for line in lines:
        try:
            row = from_line(line)
        except UnusableExportError as error:
            raise UnusableExportError(f"line {position + 1} is not an event: {error}") from None
        position += 1
        if row["notification_id"] != position or link_of(row, digest, position) != row["hash"]:
            raise UnusableExportError(
                f"line {position} does not follow the event before it: the export is filtered, or was changed"
                " (`modeltrail events verify --export` says how)"
            )
        if to_line(row) != line:
            raise UnusableExportError(f"line {position} is not as an export writes it: it was changed")
        digest = row["hash"]
        yield row
