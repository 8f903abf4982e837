"""`modeltrail events import`: an export back into a database."""

import asyncio
from pathlib import Path

import click

from modeltrail.cli.core import load_core
from modeltrail.cli.database import check_schema, explained
from modeltrail.cli.dev_environment import with_dev_environment
from modeltrail.cli.errors import CommandError
from modeltrail.cli.options import data_option
from modeltrail.cli.progress import progress
from modeltrail.cli.running import load_settings
from modeltrail.paths import NamedPath

__all__ = ["import_events"]


@click.command("import")
@click.argument("file", type=NamedPath(path_type=Path, dir_okay=False, exists=True, readable=True))
@data_option
def import_events(*, file: Path, data: Path | None) -> None:
    """Bring the log in FILE, a whole export, into an empty database, with the read tables that follow from it.

    The log is the same to the byte, and is verified on the way. The same command goes on with an import that was
    broken off. Nobody else may write meanwhile. Addresses are readable where their keys are in the database, too.
    """
    from modeltrail.eventlog.cloud_event import UnusableExportError  # noqa: PLC0415 it brings asyncpg along

    settings = load_settings(with_dev_environment(data))

    async def run() -> tuple[int, int]:
        await check_schema(settings.database)
        with progress("importing") as tell:
            imported = await load_core().import_log(settings, lines, lambda read: tell(read, size))
        return imported.added, imported.there

    try:
        size = file.stat().st_size
        with explained(settings.database), file.open("rb") as lines:
            added, there = asyncio.run(run())
    except UnusableExportError as error:
        raise CommandError(f"{str(file)!r} cannot be imported: {error}") from None
    except OSError as error:
        raise CommandError(f"{str(file)!r} cannot be read ({error.strerror})") from None
    click.echo(f"imported {added} events, after {there} that were there", err=True)
