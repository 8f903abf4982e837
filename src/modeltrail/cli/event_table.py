"""Events as people read them: one aligned line each, printed as they come."""

import json
import shutil
from collections.abc import Iterable, Sequence

import click

from modeltrail.cli.event_reader import EventRecord

__all__ = ["as_json", "header", "line", "print_events", "printable", "table_width"]

# Together 117 columns; what the terminal has beyond them shows the event's data.
_COLUMNS = (
    ("POSITION", 8),
    ("RECORDED (UTC)", 19),
    ("EVENT", 40),
    ("STREAM/VERSION", 14),
    ("ACTOR", 20),
    ("REQUEST", 8),
)
_LEAST_DATA_WIDTH = 20


def header(width: int) -> str:
    """The columns' names for a terminal of `width` columns."""
    return _join((name for name, _ in _COLUMNS), "DATA", width)


def line(event: EventRecord, width: int) -> str:
    """One event; ids are cut to the part that tells them apart at a glance (`--json` has them whole)."""
    cells = (
        str(event.position).rjust(_COLUMNS[0][1]),
        f"{event.recorded_at:%Y-%m-%d %H:%M:%S}",
        event.type,
        f"{str(event.stream)[:8]}/{event.stream_version}",
        event.actor or "-",
        (event.request_id or "-")[:8],
    )
    return _join(cells, json.dumps(event.data, default=str, ensure_ascii=False, separators=(",", ":")), width)


def as_json(event: EventRecord) -> str:
    """The whole event as one line."""
    return json.dumps(
        {
            "position": event.position,
            "stream": str(event.stream),
            "stream_version": event.stream_version,
            "type": event.type,
            "project_id": str(event.project_id),
            "recorded_at": event.recorded_at.isoformat(),
            "actor": event.actor,
            "request_id": event.request_id,
            "causation_id": event.causation_id,
            "data": event.data,
        },
        default=str,
        ensure_ascii=False,
    )


def table_width() -> int:
    """Columns to fill: those of the terminal, or 120 where there is none."""
    return shutil.get_terminal_size((120, 24)).columns


def print_events(found: Sequence[EventRecord], *, json_lines: bool, with_header: bool = False) -> None:
    """As a table for people, or one JSON object a line."""
    if json_lines:
        for event in found:
            click.echo(as_json(event))
        return
    width = table_width()
    if with_header:
        click.echo(click.style(header(width), bold=True))
    for event in found:
        click.echo(line(event, width))


def _join(cells: Iterable[str], data: str, width: int) -> str:
    fixed = " ".join(_fit(printable(cell), size) for cell, (_, size) in zip(cells, _COLUMNS, strict=True))
    left = width - len(fixed) - 1
    return (f"{fixed} {_fit(printable(data), left)}" if left >= _LEAST_DATA_WIDTH else fixed).rstrip()


def printable(text: str) -> str:
    """Actors and data are what clients sent: no escape sequence of theirs is to reach the terminal."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def _fit(text: str, size: int) -> str:
    """The text, or as much of it as there is room for, in exactly `size` columns of a terminal."""
    if text.isascii():
        return text.ljust(size) if len(text) <= size else f"{text[: size - 1]}…"
    from wcwidth import clip, ljust  # noqa: PLC0415 few texts need it

    return ljust(text if _width(text) <= size else f"{clip(text, 0, size - 1, fillchar='')}…", size)


def _width(text: str) -> int:
    if text.isascii():
        return len(text)
    from wcwidth import width  # noqa: PLC0415 the same

    return width(text)


def print_table(lines: Sequence[Sequence[str]]) -> None:
    """Columns as wide as their widest text; for tables that are not followed line by line."""
    widths = [max(map(_width, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        click.echo("  ".join(_fit(text, width) for text, width in zip(line, widths, strict=True)).rstrip())
