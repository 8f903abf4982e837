"""`modeltrail events`: shows the event log."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from uuid import UUID

import click

from modeltrail.cli.core import load_core
from modeltrail.cli.database import check_schema, explained
from modeltrail.cli.dev_environment import with_dev_environment
from modeltrail.cli.event_check import check
from modeltrail.cli.event_export import export
from modeltrail.cli.event_import import import_events
from modeltrail.cli.event_list import list_events, show
from modeltrail.cli.event_proof import new_seal_key, public_key, seal, verify
from modeltrail.cli.event_reader import EventReader, EventRecord
from modeltrail.cli.event_state import diff, state
from modeltrail.cli.event_table import print_events, table_width
from modeltrail.cli.following import keep_on
from modeltrail.cli.groups import Group, refuse_options_before
from modeltrail.cli.options import data_option
from modeltrail.cli.running import load_settings, run_until_stopped
from modeltrail.quantities import WholeNumber
from modeltrail.settings import Settings

__all__ = ["events", "open_reader", "table_width"]

_PAGE = 500


@click.group(cls=Group, invoke_without_command=True)
@click.option("--limit", type=WholeNumber(1), default=50, show_default=True, help="How many events to show.")
@click.option("--follow", "-f", is_flag=True, help="Then wait for new ones, until Ctrl-C.")
@click.option("--stream", type=click.UUID, help="Only of this model, version, environment or service.")
@click.option("--after", "position", type=WholeNumber(0), help="The oldest after this position.")
@click.option("--json", "json_lines", is_flag=True, help="Whole events, one JSON object a line.")
@data_option
@click.pass_context
def events(
    context: click.Context,
    /,
    *,
    limit: int,
    follow: bool,
    stream: UUID | None,
    position: int | None,
    json_lines: bool,
    data: Path | None,
) -> None:
    """Show the event log: who did what, when, and what came of it; prove that it is whole.

    Without a command: the newest events, which come last. Reads the database that the DATABASE_ variables
    name, else that of `modeltrail dev`.
    """
    if context.invoked_subcommand is not None:
        refuse_options_before(context)
        return
    settings = load_settings(with_dev_environment(data))

    last: int | None = None

    async def session() -> AsyncGenerator[None, None]:
        nonlocal last
        async with open_reader(settings) as reader:
            if last is None:
                found = await _first(reader, limit, stream, position)
                print_events(found, json_lines=json_lines, with_header=True)
                last = found[-1].position if found else position or 0
            while follow:
                end = await reader.end()
                yield
                found = await reader.after(last, _PAGE, stream=stream)
                print_events(found, json_lines=json_lines)
                if found:
                    last = found[-1].position
                else:
                    await reader.wait(end)  # not the stream's last: what others have appended after it is not news

    async def show() -> None:
        await check_schema(settings.database)
        await keep_on(settings.database, session)

    with explained(settings.database):
        run_until_stopped(show())


for command in (verify, seal, new_seal_key, public_key, export, import_events, check, list_events, show, state, diff):
    events.add_command(command)


def open_reader(settings: Settings) -> AbstractAsyncContextManager[EventReader]:
    """The one place where the commands get hold of the log."""
    return load_core().open_event_reader(settings)


async def _first(reader: EventReader, limit: int, stream: UUID | None, position: int | None) -> Sequence[EventRecord]:
    if position is None:
        return await reader.last(limit, stream=stream)
    return await reader.after(position, limit, stream=stream)
