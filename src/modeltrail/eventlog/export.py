"""The log as a file that others can read: JSON Lines of CloudEvents, page by page, resumable."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from asyncpg import Connection
from msgspec import Struct

from modeltrail.eventlog.cloud_event import OtherFiltersError, UnusableExportError, from_line, to_line
from modeltrail.eventlog.selection import Selection, as_of_now, count_events, later_than, read_oldest, up_to

PAGE = 2_000
_BLOCK = 65_536


class Held(Struct, frozen=True):
    """What an export holds already: its events, up to which position, and where in the file they end."""

    events: int = 0
    position: int = 0
    end: int = 0


async def export(
    connection: Connection, path: Path, selection: Selection, on_progress: Callable[[int, int], None]
) -> int:
    """Append the selected events to the file, after those that it holds; how many were added.

    Ends where the log ended when it began. A line that an interruption cut short is written anew.
    Raises UnusableExportError when the file is no export of this selection, and OSError.
    """
    held = _look_into(path)
    await require_same(connection, path, selection, held.events, held.position)
    with path.open("ab") as file:
        file.truncate(held.end)

        def write(lines: bytes) -> None:
            file.write(lines)
            file.flush()

        written = await write_events(connection, write, later_than(selection, held.position), on_progress)
        os.fsync(file.fileno())
    return written


async def write_events(
    connection: Connection,
    write: Callable[[bytes], None],
    selection: Selection,
    on_progress: Callable[[int, int], None],
) -> int:
    """Give `write` the lines of the selected events, up to where the log ends now; how many there were."""
    selection, end = await as_of_now(connection, selection)
    written = 0
    while rows := await read_oldest(connection, selection, PAGE):
        write(b"".join(map(to_line, rows)))
        written += len(rows)
        selection = later_than(selection, rows[-1]["notification_id"])
        on_progress(selection.after, end)
    return written


async def require_same(connection: Connection, path: Path, selection: Selection, held: int, last: int) -> None:
    """Raise OtherFiltersError unless `held` events, up to the position `last`, are as many as are selected."""
    selected = await count_events(connection, up_to(selection, last)) if held else 0
    if held != selected:
        raise OtherFiltersError(
            f"{str(path)!r} holds {held} events, and these filters select {selected} up to its last position, {last};"
            " go on with the filters that it was begun with, or export to another file"
        )


def _look_into(path: Path) -> Held:
    """What the whole lines of a file hold. Raises UnusableExportError."""
    if not path.exists() or not path.stat().st_size:
        return Held()
    with path.open("rb") as file:
        end = _end_of_last_line(file)
        if not end:
            return Held()
        file.seek(_start_of_line_before(file, end))
        try:
            position: int = from_line(file.readline())["notification_id"]
        except UnusableExportError as error:
            raise UnusableExportError(f"{str(path)!r} is not an export to go on with: {error}") from None
        file.seek(0)
        events = sum(block.count(b"\n") for block in iter(lambda: file.read(_BLOCK), b""))
        return Held(events, position, end)


def _end_of_last_line(file: BinaryIO) -> int:
    """The place after the last line feed; 0 when there is none."""
    return _behind_last_feed(file, file.seek(0, os.SEEK_END))


def _start_of_line_before(file: BinaryIO, end: int) -> int:
    return _behind_last_feed(file, end - 1)


def _behind_last_feed(file: BinaryIO, end: int) -> int:
    """The place after the last line feed before `end`; 0 when there is none."""
    while end:
        start = max(0, end - _BLOCK)
        file.seek(start)
        found = file.read(end - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0
