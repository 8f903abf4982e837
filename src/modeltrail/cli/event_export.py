"""`modeltrail events export`: the log as a file that others can read."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from modeltrail.cli.core import load_core
from modeltrail.cli.database import check_schema, explained
from modeltrail.cli.dev_environment import with_dev_environment
from modeltrail.cli.errors import FAILED, MISUSED, CommandError, is_of_output
from modeltrail.cli.event_filters import Filters, filter_options, selection_of
from modeltrail.cli.options import data_option
from modeltrail.cli.progress import progress
from modeltrail.cli.running import load_settings
from modeltrail.paths import NamedPath

if TYPE_CHECKING:
    from asyncpg import Connection

    from modeltrail.eventlog.selection import Selection

__all__ = ["export"]


Writer = Callable[["Connection", Path, "Selection", Callable[[int, int], None]], Awaitable[int]]


@click.command
@click.argument("file", type=NamedPath())
@click.option(
    "--format",
    "form",
    type=click.Choice(["jsonl", "parquet"]),
    default="jsonl",
    show_default=True,
    help="CloudEvents in one file, or a folder of Parquet files.",
)
@click.option("--resume", is_flag=True, help="Go on after the last event that is there, with the same filters.")
@filter_options
@data_option
def export(*, file: str, form: str, resume: bool, data: Path | None, **filters: Any) -> None:  # noqa: ANN401 the fields of Filters
    """Write the log to FILE: JSON Lines, each a CloudEvent 1.0; or as Parquet to the folder FILE.

    With - for FILE, the lines go to standard output.

    Ends where the log ended at the beginning. Addresses stay encrypted. Only whole JSON Lines can be verified, and
    imported.
    """
    from modeltrail.eventlog.cloud_event import OtherFiltersError, UnusableExportError  # noqa: PLC0415 it is large

    to_output = file == "-"
    if to_output and (resume or form != "jsonl"):
        raise click.UsageError("standard output takes only whole JSON Lines; name a file, without --resume or Parquet")
    write: Writer = _print_events if to_output else _writer(form)
    path = Path(file)
    if not to_output:
        _check_target(file, form, resume=resume)
    settings = load_settings(with_dev_environment(data))

    async def run() -> int:
        await check_schema(settings.database)
        async with load_core().open_auditor(settings) as auditor:
            selection = await selection_of(Filters(**filters), auditor)
            with progress("exporting") as tell:
                return await write(auditor.connection, path, selection, tell)

    try:
        with explained(settings.database):
            written = asyncio.run(run())
    except OtherFiltersError as error:
        raise CommandError(str(error), exit_code=MISUSED) from None
    except UnusableExportError as error:
        raise CommandError(str(error)) from None
    except OSError as error:
        if is_of_output(error):
            raise
        is_wrong_path = isinstance(error, FileNotFoundError | NotADirectoryError)
        raise CommandError(
            f"{file!r} cannot be written ({error.strerror})", exit_code=MISUSED if is_wrong_path else FAILED
        ) from None
    click.echo(f"wrote {written} events to {'standard output' if to_output else file}", err=True)


def _check_target(file: str, form: str, *, resume: bool) -> None:
    """Raise CommandError unless an export of that form can be begun there, or gone on with."""
    path = Path(file)
    if path.exists() and not resume:
        wrong = f"{file!r} exists; name another file, or go on with it: --resume"
    elif form == "parquet" and path.exists() and not path.is_dir():
        wrong = f"{file!r} is not a folder, as Parquet is exported to; name another one, or leave out --format parquet"
    elif form == "jsonl" and path.is_dir():
        wrong = f"{file!r} is a folder; to go on with an export that is Parquet, take --format parquet"
    else:
        return
    raise CommandError(wrong, exit_code=MISUSED)


async def _print_events(
    connection: "Connection", _path: Path, selection: "Selection", on_progress: Callable[[int, int], None]
) -> int:
    from modeltrail.eventlog.export import write_events  # noqa: PLC0415 the same

    return await write_events(connection, lambda lines: click.echo(lines, nl=False), selection, on_progress)


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
