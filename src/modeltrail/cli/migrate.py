"""`modeltrail migrate`: the schema, and read tables that older code filled."""

import asyncio
from collections.abc import Sequence

import click

from modeltrail.cli.core import load_core
from modeltrail.cli.database import check_connection, explained
from modeltrail.cli.progress import progress
from modeltrail.cli.rebuilding import run_rebuilding
from modeltrail.cli.running import load_settings
from modeltrail.settings import Settings

__all__ = ["migrate"]


@click.command
def migrate() -> None:
    """Bring the database's schema up to date, and rebuild read tables that older code filled.

    Safe to run at any time, by several processes at once, and again.
    """
    settings = load_settings()

    async def upgrade() -> tuple[list[str], list[str]]:
        await check_connection(settings.database)
        core = load_core()
        return await core.run_migrations(settings), await core.outdated_projections(settings)

    with explained(settings.database):
        applied, outdated = asyncio.run(upgrade())
    for name in applied:
        click.echo(f"applied {name}")
    if outdated:
        _rebuild(settings, outdated)
    click.echo(f"database {settings.database.dbname!r} is up to date")


def _rebuild(settings: Settings, outdated: Sequence[str]) -> None:
    click.echo(f"rebuilding {', '.join(outdated)} from the log: older code than this filled them")
    with progress("rebuilding") as tell:
        work = load_core().rebuild_outdated(settings, tell, lambda other: click.echo(f"waiting: {other}", err=True))
        rebuilt = run_rebuilding(work, settings.database, remedy=lambda: "go on with: modeltrail migrate")
    for name in outdated:
        click.echo(f"rebuilt {name}" if name in rebuilt else f"{name} was rebuilt by another process")
