"""`modeltrail events state` and `diff`: what a stream amounted to at a moment, and what changed between two."""

import asyncio
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import click
import msgspec

from modeltrail.cli.core import load_core
from modeltrail.cli.database import check_schema, explained
from modeltrail.cli.dev_environment import with_dev_environment
from modeltrail.cli.errors import CommandError
from modeltrail.cli.event_filters import Moment
from modeltrail.cli.event_table import printable
from modeltrail.cli.options import data_option, json_option
from modeltrail.cli.running import load_settings
from modeltrail.quantities import WholeNumber

if TYPE_CHECKING:
    from asyncpg import Connection

    from modeltrail.eventlog.past_state import PastState

__all__ = ["diff", "state"]

_Point = int | datetime


class Point(Moment):
    """A position, or a time."""

    name = "position or time"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> _Point:  # type: ignore[override] # wider
        if value.isascii() and value.isdecimal():
            return WholeNumber(0).convert(value, param, ctx)
        return super().convert(value, param, ctx)


@click.command
@click.argument("stream", type=click.UUID)
@click.option("--at", type=Point(), required=True, help="After this event, or at this time.")
@data_option
def state(*, stream: UUID, at: _Point, data: Path | None) -> None:
    """Show what a model, version, environment or service was, as JSON."""
    (found,) = _look(stream, {"--at": at}, data)
    if found is None:
        raise CommandError(f"the stream {stream} had no event then, or is that of a person who was erased")
    click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2))


@click.command
@click.argument("stream", type=click.UUID)
@click.option("--from", "start", type=Point(), required=True, help="After this event, or at this time.")
@click.option("--to", "end", type=Point(), required=True, help="The same.")
@data_option
@json_option
def diff(*, stream: UUID, start: _Point, end: _Point, data: Path | None, as_json: bool) -> None:
    """Show what changed in a stream between two moments, field by field."""
    from modeltrail.eventlog.past_state import differences  # noqa: PLC0415 it brings asyncpg along

    before, after = _look(stream, {"--from": start, "--to": end}, data)
    if before is None and after is None:
        raise CommandError(f"the stream {stream} had no event by then, or is that of a person who was erased")
    changed = differences(before, after)
    if as_json:
        click.echo(msgspec.json.encode({name: {"from": old, "to": new} for name, (old, new) in changed.items()}))
        return
    for name, (old, new) in changed.items():
        click.echo(printable(f"{name}: {_shown(old)} -> {_shown(new)}"))
    if not changed:
        click.echo("nothing changed")


def _shown(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _look(stream: UUID, points: dict[str, _Point], data: Path | None) -> "list[PastState | None]":
    from modeltrail.eventlog.past_state import state_at  # noqa: PLC0415 the same

    settings = load_settings(with_dev_environment(data))

    async def run() -> "list[PastState | None]":
        await check_schema(settings.database)
        async with load_core().open_auditor(settings) as auditor:
            connection = auditor.connection
            positions = [await _position(connection, option, point) for option, point in points.items()]
            return [await state_at(connection, stream, position) for position in positions]

    with explained(settings.database):
        return asyncio.run(run())


async def _position(connection: "Connection", option: str, point: _Point) -> int:
    from modeltrail.projections.past import NotYetError, UnsettledError, position_at  # noqa: PLC0415 the same

    try:
        return await position_at(connection, point)
    except NotYetError as error:
        shown = point.isoformat() if isinstance(point, datetime) else point
        remedy = "try again" if isinstance(error, UnsettledError) else "name a moment of the past"
        raise CommandError(f"{option} is {shown}, and {error}; {remedy}") from None
