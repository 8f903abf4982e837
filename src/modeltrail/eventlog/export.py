"""The log as a file that others can read: JSON Lines of CloudEvents, page by page, resumable."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from asyncpg import Connection

from modeltrail.eventlog.cloud_event import UnusableExportError, from_line, to_line
from modeltrail.eventlog.selection import Selection, as_of_now, behind, read_oldest

PAGE = 2_000
_BLOCK = 65_536


async def export(
    connection: Connection, path: Path, selection: Selection, on_progress: Callable[[int, int], None]
) -> int:
    """Append the selected events to the file, behind those that it holds; how many were added.

    Ends where the log ended when it began. A line that an interruption cut short is written anew.
    Raises UnusableExportError when the file is no export, and OSError.
    """
    selection, end = await as_of_now(connection, selection)
    selection = behind(selection, _mend(path))
    written = 0
    with path.open("ab") as file:
        while rows := await read_oldest(connection, selection, PAGE):
            file.write(b"".join(map(to_line, rows)))
            file.flush()
            written += len(rows)
            selection = behind(selection, rows[-1]["notification_id"])
            on_progress(selection.after, end)
        os.fsync(file.fileno())
    return written


def _mend(path: Path) -> int:
    """Cut off a last line that is not whole; the position of the last event that is."""
    if not path.exists() or not path.stat().st_size:
        return 0
    with path.open("r+b") as file:
        end = _end_of_last_line(file)
        file.truncate(end)
        if not end:
            return 0
        file.seek(_start_of_line_before(file, end))
        try:
            position: int = from_line(file.readline())["notification_id"]
        except UnusableExportError as error:
            raise UnusableExportError(f"{str(path)!r} is no export to go on with: {error}") from None
        return position


def _end_of_last_line(file: BinaryIO) -> int:
    """Behind the last line feed; 0 when there is none."""
    return _behind_last_feed(file, file.seek(0, os.SEEK_END))


def _start_of_line_before(file: BinaryIO, end: int) -> int:
    return _behind_last_feed(file, end - 1)


def _behind_last_feed(file: BinaryIO, end: int) -> int:
    """Behind the last line feed before `end`; 0 when there is none."""
    while end:
        start = max(0, end - _BLOCK)
        file.seek(start)
        found = file.read(end - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0
