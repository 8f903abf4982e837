"""`modeltrail events export`: the log as a file that others can read."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from modeltrail.cli.core import load_core
from modeltrail.cli.database import check_schema, explained
from modeltrail.cli.dev_environment import with_dev_environment
from modeltrail.cli.errors import MISUSED, CommandError
from modeltrail.cli.event_filters import Filters, filter_options, selection_of
from modeltrail.cli.options import data_option
from modeltrail.cli.progress import progress
from modeltrail.cli.running import load_settings

if TYPE_CHECKING:
    from asyncpg import Connection

    from modeltrail.eventlog.selection import Selection

__all__ = ["export"]


Writer = Callable[["Connection", Path, "Selection", Callable[[int, int], None]], Awaitable[int]]


@click.command
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "form",
    type=click.Choice(["jsonl", "parquet"]),
    default="jsonl",
    show_default=True,
    help="CloudEvents in one file, or a folder of Parquet files.",
)
@click.option("--resume", is_flag=True, help="Go on behind the last event that is there, with the same filters.")
@filter_options
@data_option
def export(*, file: Path, form: str, resume: bool, data: Path | None, **filters: Any) -> None:  # noqa: ANN401 the fields of Filters
    """Write the log to FILE: JSON Lines, each a CloudEvent 1.0; or as Parquet to the folder FILE.

    Ends where the log ended at the beginning. Addresses stay encrypted. Only whole JSON Lines can be verified, and
    imported.
    """
    from modeltrail.eventlog.cloud_event import UnusableExportError  # noqa: PLC0415 it brings asyncpg along

    write = _writer(form)
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


def _writer(form: str) -> Writer:
    if form == "jsonl":
        from modeltrail.eventlog.export import export as write_lines  # noqa: PLC0415 it brings asyncpg along

        return write_lines
    try:
        from modeltrail.eventlog.parquet_export import export_parquet  # noqa: PLC0415 it needs an extra
    except ModuleNotFoundError as error:
        raise CommandError(
            "Parquet needs the library pyarrow; install it with: pip install 'modeltrail[parquet]'"
        ) from error
    return export_parquet
