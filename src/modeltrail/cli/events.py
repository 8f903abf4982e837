"""`modeltrail events`: shows the event log."""

from pathlib import Path
from uuid import UUID

import click

from modeltrail.cli.dev_environment import with_dev_environment
from modeltrail.cli.event_check import check
from modeltrail.cli.event_export import export
from modeltrail.cli.event_filters import Filters
from modeltrail.cli.event_import import import_events
from modeltrail.cli.event_list import list_events, show, show_events
from modeltrail.cli.event_proof import new_seal_key, public_key, seal, verify
from modeltrail.cli.event_state import diff, state
from modeltrail.cli.groups import Group, refuse_options_before
from modeltrail.cli.options import data_option
from modeltrail.cli.running import load_settings
from modeltrail.quantities import WholeNumber

__all__ = ["events"]


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
    wanted, oldest = Filters(stream=stream, position=position or 0), position is not None
    settings = load_settings(with_dev_environment(data))
    show_events(settings, wanted, limit=limit, oldest=oldest, follow=follow, json_lines=json_lines)


for command in (verify, seal, new_seal_key, public_key, export, import_events, check, list_events, show, state, diff):
    events.add_command(command)
