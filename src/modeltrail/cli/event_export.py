"""`modeltrail events export`: the log as a file that others can read."""

import asyncio
from pathlib import Path
from typing import Any

import click

from modeltrail.cli.core import load_core
from modeltrail.cli.database import check_schema, explained
from modeltrail.cli.dev_environment import with_dev_environment
from modeltrail.cli.errors import MISUSED, CommandError
from modeltrail.cli.event_filters import Filters, filter_options, selection_of
from modeltrail.cli.options import data_option
from modeltrail.cli.progress import progress
from modeltrail.cli.running import load_settings

__all__ = ["export"]


@click.command
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--resume", is_flag=True, help="Go on behind the last event in the file, with the same filters.")
@filter_options
@data_option
def export(*, file: Path, resume: bool, data: Path | None, **filters: Any) -> None:  # noqa: ANN401 the fields of Filters
    """Write the log to a file: JSON Lines, each a CloudEvent 1.0.

    Ends where the log ended at the beginning. Addresses stay encrypted. Only a whole export can be verified.
    """
    from modeltrail.eventlog.cloud_event import UnusableExportError  # noqa: PLC0415 it brings asyncpg along
    from modeltrail.eventlog.export import export as write  # noqa: PLC0415 the same

    if file.exists() and not resume:
        raise CommandError(f"{str(file)!r} exists; name another file, or go on with it: --resume", exit_code=MISUSED)
    settings = load_settings(with_dev_environment(data))

    async def run() -> int:
        await check_schema(settings.database)
        async with load_core().open_auditor(settings) as auditor:
            selection = await selection_of(Filters(**filters), auditor)
            with progress("exporting") as tell:
                return await write(auditor.connection, file, selection, tell)

    try:
        with explained(settings.database):
            written = asyncio.run(run())
    except UnusableExportError as error:
        raise CommandError(str(error)) from None
    except OSError as error:
        raise CommandError(f"{str(file)!r} cannot be written ({error.strerror})") from None
    click.echo(f"wrote {written} events to {file}", err=True)
