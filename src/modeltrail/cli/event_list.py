"""`modeltrail events list` and `show`: who did what, when, because of what, and what came of it."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from modeltrail.cli.core import load_core
from modeltrail.cli.database import check_schema, explained
from modeltrail.cli.dev_environment import with_dev_environment
from modeltrail.cli.errors import CommandError
from modeltrail.cli.event_filters import Filters, filter_options, selection_of
from modeltrail.cli.event_reader import EventRecord
from modeltrail.cli.event_table import as_json, print_events, printable
from modeltrail.cli.following import keep_on
from modeltrail.cli.options import data_option
from modeltrail.cli.running import load_settings, run_until_stopped
from modeltrail.quantities import WholeNumber
from modeltrail.settings import Settings

if TYPE_CHECKING:
    from modeltrail.eventlog.auditor import Auditor
    from modeltrail.eventlog.reader import LogReader, Relatives

__all__ = ["list_events", "show", "show_events"]

_PAGE = 500
_MORE = "there are more; `modeltrail events list --request-id` has all that a request made"


@click.command("list")
@filter_options
@click.option("--limit", type=WholeNumber(1), default=50, show_default=True, help="How many events to show.")
@click.option("--oldest", is_flag=True, help="The oldest of them, instead of the newest.")
@click.option("--follow", "-f", is_flag=True, help="Then wait for new ones, until Ctrl-C.")
@click.option("--json", "json_lines", is_flag=True, help="Whole events, one JSON object a line.")
@data_option
def list_events(
    *,
    limit: int,
    oldest: bool,
    follow: bool,
    json_lines: bool,
    data: Path | None,
    **filters: Any,  # noqa: ANN401 the fields of Filters
) -> None:
    """List the events that fit all filters, in the order in which they happened."""
    settings = load_settings(with_dev_environment(data))
    show_events(settings, Filters(**filters), limit=limit, oldest=oldest, follow=follow, json_lines=json_lines)


def show_events(
    settings: Settings, wanted: Filters, *, limit: int, oldest: bool, follow: bool, json_lines: bool
) -> None:
    """Print the newest events that fit, or the `oldest`; then those that are still to come, if told to `follow`."""
    last: int | None = None

    async def session() -> AsyncGenerator[None, None]:
        nonlocal last
        async with load_core().open_auditor(settings) as auditor:
            reader = _reader(auditor)
            if last is None:
                selection = await selection_of(wanted, auditor)
                read = reader.oldest if oldest else reader.newest
                found = await read(selection, limit)
                print_events(found, json_lines=json_lines, with_header=True)
                last = found[-1].position if found else selection.after
            while follow:
                end = await reader.end()
                yield
                # Looked up anew each time: a model may have got another version meanwhile.
                selection = await selection_of(msgspec.structs.replace(wanted, position=last), auditor)
                found = await reader.oldest(selection, _PAGE)
                print_events(found, json_lines=json_lines)
                if found:
                    last = found[-1].position
                else:
                    await reader.wait(end)  # not for what comes after the last that fits: that is not news

    async def run() -> None:
        await check_schema(settings.database)
        await keep_on(settings.database, session)

    with explained(settings.database):
        run_until_stopped(run())


@click.command
@click.argument("position", type=WholeNumber(1))
@click.option("--json", "json_lines", is_flag=True, help="The event and its relatives, one JSON object a line.")
@data_option
def show(*, position: int, json_lines: bool, data: Path | None) -> None:
    """Show one event whole, with its causes and effects as a tree.

    The tree begins with the request; below it stand the events that it made, and below each what the deploy worker
    made of it.
    """
    settings = load_settings(with_dev_environment(data))

    async def run() -> "Relatives":
        await check_schema(settings.database)
        async with load_core().open_auditor(settings) as auditor:
            return await _reader(auditor).related(position)

    with explained(settings.database):
        related = asyncio.run(run())
    events = related.events
    if not events:
        raise CommandError(f"the log has no event at position {position}")
    if json_lines:
        print_events(events, json_lines=True)
        if related.are_more:
            click.echo(_MORE, err=True)
        return
    (event,) = (each for each in events if each.position == position)
    for line in msgspec.json.format(as_json(event), indent=2).splitlines():
        click.echo(printable(line))
    click.echo()
    click.echo("\n".join(_tree(events, event)))
    if related.are_more:
        click.echo(_MORE)


def _reader(auditor: "Auditor") -> "LogReader":
    from modeltrail.eventlog.reader import LogReader  # noqa: PLC0415 it brings asyncpg along

    return LogReader(auditor.connection, auditor.person_keys)


def _tree(events: Sequence[EventRecord], chosen: EventRecord) -> list[str]:
    known = {event.position for event in events}
    effects: dict[object, list[EventRecord]] = defaultdict(list)
    for event in events:
        effects[event.causation_id if event.causation_id in known else None].append(event)
    lines = [f"request {printable(chosen.request_id or '-')}"]

    def grow(cause: object, indent: str) -> None:
        for event in effects[cause]:
            is_last = event is effects[cause][-1]
            mark = "  <-- this one" if event is chosen else ""
            who = f" by {printable(event.actor)}" if event.actor else ""
            when = f"{event.recorded_at:%Y-%m-%d %H:%M:%S}"
            lines.append(
                f"{indent}{'└─' if is_last else '├─'} {event.position} {when} {event.type}"
                f" {str(event.stream)[:8]}/{event.stream_version}{who}{mark}"
            )
            grow(event.position, indent + ("   " if is_last else "│  "))

    grow(None, "")
    return lines
