"""`modeltrail events check`: whether today's code can read the whole log."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from modeltrail.cli.core import load_core
from modeltrail.cli.database import check_schema, explained
from modeltrail.cli.dev_environment import with_dev_environment
from modeltrail.cli.errors import FAILED
from modeltrail.cli.event_table import printable
from modeltrail.cli.options import data_option, json_option
from modeltrail.cli.progress import progress
from modeltrail.cli.running import load_settings

if TYPE_CHECKING:
    from modeltrail.eventlog.readability import Readability

__all__ = ["check"]


@click.command
@data_option
@json_option
def check(*, data: Path | None, as_json: bool) -> int:
    """Read the whole log with today's code, and name what it cannot read.

    For before an upgrade: run it with the new version. Exit code 1 when something cannot be read.
    """
    from modeltrail.eventlog.readability import check_log  # noqa: PLC0415 it brings asyncpg along

    settings = load_settings(with_dev_environment(data))

    async def run() -> "Readability":
        await check_schema(settings.database)
        async with load_core().open_auditor(settings) as auditor:
            with progress("reading") as tell:
                return await check_log(auditor.connection, tell)

    with explained(settings.database):
        found = asyncio.run(run())
    if as_json:
        click.echo(msgspec.json.encode(found))
    else:
        for each in found.first:
            click.echo(printable(f"{each.position}: {each.reason}"))
        click.echo(f"{found.events} events, {found.unreadable} of them cannot be read")
    return FAILED if found.unreadable else 0
