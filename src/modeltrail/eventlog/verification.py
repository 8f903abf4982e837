"""Proving that the log is what was written: walking its chain, and naming the first event that does not fit."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from enum import StrEnum
from itertools import islice
from typing import Any

from asyncpg import Connection
from msgspec import Struct

from modeltrail.eventlog import chain
from modeltrail.eventlog.cloud_event import UnusableExportError, from_line, to_line
from modeltrail.eventlog.copied_links import CopiedLinks
from modeltrail.postgres.statements import Statements

SQL = Statements("modeltrail.eventlog", "audit.sql")
ROWS_A_COPY = 100_000  # a third of a second; no transaction of ours is older than that
LogRow = Any  # a record of asyncpg, or the same columns by name from an export
PROGRESS_EVERY = 10_000
NEIGHBOURS = 1_000  # so far away an event that was moved is looked for
IMPOSSIBLE = "a position that the log has already, or cannot have"


class Fault(StrEnum):
    ALTERED = "altered"
    REMOVED = "removed"
    INSERTED = "inserted"
    REORDERED = "reordered"
    REWRITTEN = "rewritten"


class Finding(Struct, frozen=True):
    """The first position where the log is not what was written, and what seems to have been done there."""

    position: int
    fault: Fault
    explanation: str


class Verified(Struct, frozen=True):
    """How far the log is whole: the last good event and its hash, and what is wrong after it, if anything."""

    position: int
    hash: bytes
    finding: Finding | None = None


async def verify_log(connection: Connection, on_progress: Callable[[int, int], None]) -> Verified:
    """Walk the log from its first event. `on_progress` is told how many events were checked, and of how many.

    Memory does not grow with the log. What is appended meanwhile is checked, too.
    """
    total = await connection.fetchval(SQL.get_last_position)
    position, digest = 0, chain.GENESIS
    # No event has a position below 1, but a forger might use one, down to the lowest number that there is.
    first = await connection.fetchval(SQL.get_first_position)
    if first is not None and first < 1:
        return Verified(position, digest, Finding(first, Fault.INSERTED, IMPOSSIBLE))
    while True:
        links = CopiedLinks(position, digest)
        await connection.copy_from_query(SQL.copy_links, position, ROWS_A_COPY, output=links.take, format="binary")
        if links.broken:
            return Verified(links.position, links.digest, await _explain(connection, links.position, links.digest))
        before, position, digest = position, links.position, links.digest
        on_progress(position, max(total, position))
        if position - before < ROWS_A_COPY:
            return Verified(position, digest)


def verify_lines(
    lines: Iterable[bytes], on_progress: Callable[[int], None], keep: Collection[int] = ()
) -> tuple[Verified, dict[int, bytes]]:
    """Walk along an export. And the hashes at the positions in `keep`, as far as the lines are good.

    `on_progress` is told how many events were checked, now and then. Raises UnusableExportError, which names the line.
    """
    position, digest = 0, chain.GENESIS
    hashes: dict[int, bytes] = {}
    left = _rows(lines)
    for line, row in left:
        if row["notification_id"] != position + 1 or link_of(row, digest, position + 1) != row["hash"]:
            neighbours = [row, *(each for _, each in islice(left, NEIGHBOURS))]
            return Verified(position, digest, explain(neighbours, position, digest)), hashes
        if to_line(row) != line:  # what no hash covers: the members that repeat others, and the spelling
            unlike = Finding(position + 1, Fault.ALTERED, f"line {position + 1} is not as an export writes it")
            return Verified(position, digest, unlike), hashes
        position, digest = position + 1, row["hash"]
        if position in keep:
            hashes[position] = digest
        if position % PROGRESS_EVERY == 0:
            on_progress(position)
    return Verified(position, digest), hashes


def _rows(lines: Iterable[bytes]) -> Iterator[tuple[bytes, LogRow]]:
    for number, line in enumerate(lines, start=1):
        try:
            yield line, from_line(line)
        except UnusableExportError as error:
            raise UnusableExportError(f"line {number} is not an event: {error}") from None


async def read_hashes(connection: Connection, positions: Collection[int]) -> dict[int, bytes]:
    """The hashes of the events at these positions, as far as there are any."""
    rows = await connection.fetch(SQL.list_hashes, list(positions))
    return {row["notification_id"]: row["hash"] for row in rows}


async def _explain(connection: Connection, last_good: int, digest: bytes) -> Finding:
    """What was done to the event after `last_good`."""
    rows = await connection.fetch(SQL.list_neighbours, last_good - 1, NEIGHBOURS)
    after = rows[1:] if last_good else rows  # the last good one may be there twice, where no index keeps that out
    return explain(after, last_good, digest)


def explain(rows: Sequence[LogRow], last_good: int, digest: bytes) -> Finding:
    """What was done at the first of `rows`, which does not follow the event at `last_good` with the hash `digest`."""
    expected, first = last_good + 1, rows[0]
    found = first["notification_id"]
    if found > expected:
        # In the order of a file, where positions need not go up.
        if any(link_of(row, digest, expected) == row["hash"] for row in rows[1:] if row["notification_id"] == expected):
            return Finding(expected, Fault.REORDERED, f"it comes behind the event at {found}")
        return Finding(expected, Fault.REMOVED, f"it is not there; the next event is at {found}")
    if found < expected:
        return Finding(found, Fault.INSERTED, IMPOSSIBLE)
    for row in rows[1:]:
        if link_of(row, digest, expected) != row["hash"]:
            continue
        here, now = row["notification_id"], rows[1]["notification_id"]
        if here == now and not _was_at(rows, now):
            return Finding(expected, Fault.INSERTED, "the event that was here comes after it")
        return Finding(expected, Fault.REORDERED, f"the event that was here is at {here}")
    return Finding(expected, Fault.ALTERED, "its hash does not fit what it says and the event before it")


def _was_at(rows: Sequence[LogRow], position: int) -> bool:
    """Whether the first row is the one that stood at `position`, right after the second."""
    return bool(link_of(rows[0], rows[1]["hash"], position) == rows[0]["hash"])


def link_of(row: LogRow, previous: bytes, position: int) -> bytes:
    """The hash that a row of the log must have at `position`, chained to the hash `previous`.

    A cause below zero counts as one that no event has: the chain writes -1 for none.
    """
    cause = row["causation_id"]
    return chain.link(
        previous,
        position=position,
        stream=row["originator_id"],
        version=row["originator_version"],
        topic=row["topic"],
        state=row["state"],
        project=row["project_id"],
        recorded_at=row["recorded_at"],
        actor=row["actor"],
        request_id=row["request_id"],
        command_id=row["command_id"],
        causation_id=cause if cause is None or cause >= 0 else -2,
    )
