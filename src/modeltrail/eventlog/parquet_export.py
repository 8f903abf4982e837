"""The log as Parquet: a folder of files that DuckDB, pandas or Spark read as one table.

A Parquet file is complete only with its last bytes, so each file is written under another name first, and an
interrupted export goes on after the last whole one. pyarrow is the format's own library (Apache Arrow).
"""

import os
import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from asyncpg import Connection, Record

from modeltrail.eventlog.cloud_event import UnusableExportError
from modeltrail.eventlog.export import require_same
from modeltrail.eventlog.selection import Selection, as_of_now, later_than, read_oldest

EVENTS_A_FILE = 100_000
PAGE = 10_000  # a row group; as many are held in memory
SCHEMA = pa.schema(
    [
        pa.field("position", pa.int64(), nullable=False),
        pa.field("stream", pa.string(), nullable=False),
        pa.field("stream_version", pa.int64(), nullable=False),
        pa.field("type", pa.string(), nullable=False),
        pa.field("project_id", pa.string(), nullable=False),
        pa.field("recorded_at", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("actor", pa.string()),  # JSON; people are encrypted
        pa.field("request_id", pa.string(), nullable=False),
        pa.field("command_id", pa.string(), nullable=False),
        pa.field("causation_id", pa.int64()),
        pa.field("data", pa.string()),  # the payload to the byte; null when that is no text
        pa.field("data_bytes", pa.binary()),  # such a payload
        pa.field("hash", pa.binary(), nullable=False),
    ]
)
_NAME = re.compile(r"events-(\d{12})-(\d{12})\.parquet")
_UNFINISHED = "unfinished"


async def export_parquet(
    connection: Connection, folder: Path, selection: Selection, on_progress: Callable[[int, int], None]
) -> int:
    """Add the selected events to the folder, after those that it holds; how many were added.

    Ends where the log ended when it began. Raises UnusableExportError when the folder holds other files, or
    another selection, and OSError.
    """
    held, last = _open(folder)
    await require_same(connection, folder, selection, held, last)
    left, end = await as_of_now(connection, selection)
    left = later_than(left, last)
    written = 0
    while page := await read_oldest(connection, left, PAGE):
        first, in_file = page[0]["notification_id"], 0
        with pq.ParquetWriter(folder / _UNFINISHED, SCHEMA, compression="zstd") as file:
            while page:
                file.write_table(_table(page))
                in_file += len(page)
                left = later_than(left, page[-1]["notification_id"])
                on_progress(left.after, end)
                page = await read_oldest(connection, left, PAGE) if in_file < EVENTS_A_FILE else []
        _finish(folder, first, left.after)
        written += in_file
    return written


def _open(folder: Path) -> tuple[int, int]:
    """How many events the whole files hold, and the last position; what was left unfinished is removed."""
    folder.mkdir(parents=True, exist_ok=True)
    held = last = 0
    for file in folder.iterdir():
        if file.name == _UNFINISHED:
            file.unlink()
        elif found := _NAME.fullmatch(file.name):
            last = max(last, int(found[2]))
            held += _events_in(file)
        else:
            raise UnusableExportError(f"{str(folder)!r} is not an export to go on with: it holds {file.name!r}")
    return held, last


def _events_in(file: Path) -> int:
    try:
        events: int = pq.read_metadata(file).num_rows
    except pa.ArrowInvalid as error:
        raise UnusableExportError(f"{str(file)!r} is not a Parquet file to go on with: {error}") from None
    return events


def _finish(folder: Path, first: int, last: int) -> None:
    unfinished = folder / _UNFINISHED
    with unfinished.open("rb") as file:
        os.fsync(file.fileno())
    unfinished.rename(folder / f"events-{first:012}-{last:012}.parquet")


def _table(rows: Sequence[Record]) -> pa.Table:
    texts = [_text(row["state"]) for row in rows]
    columns: list[Iterable[Any]] = [  # Any: columns of several types
        [row["notification_id"] for row in rows],
        [str(row["originator_id"]) for row in rows],
        [row["originator_version"] for row in rows],
        [row["topic"] for row in rows],
        [str(row["project_id"]) for row in rows],
        [row["recorded_at"] for row in rows],
        [None if row["actor"] is None else row["actor"].decode() for row in rows],
        [row["request_id"] for row in rows],
        [str(row["command_id"]) for row in rows],
        [row["causation_id"] for row in rows],
        texts,
        [row["state"] if text is None else None for row, text in zip(rows, texts, strict=True)],
        [row["hash"] for row in rows],
    ]
    return pa.Table.from_arrays(
        [pa.array(values, field.type) for values, field in zip(columns, SCHEMA, strict=True)], schema=SCHEMA
    )


def _text(state: bytes) -> str | None:
    with suppress(UnicodeDecodeError):
        return state.decode()
    return None
