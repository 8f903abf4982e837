"""`modeltrail serve` and `migrate`: commands that production runs."""

import asyncio

import click

from modeltrail.cli.core import load_core
from modeltrail.cli.database import check_connection, check_schema, explained
from modeltrail.cli.ports import check_port
from modeltrail.cli.running import load_settings, run_until_stopped

__all__ = ["migrate", "serve"]


@click.command
def serve() -> None:
    """Serve the HTTP API.

    Listens on SERVER_HOST and SERVER_PORT; stops in good order on SIGTERM and Ctrl-C.
    """
    settings = load_settings()
    check_port(settings.server.host, settings.server.port, remedy="set SERVER_PORT to another one")

    async def service() -> None:
        await check_schema(settings.database)
        await load_core().run_api(settings)

    with explained(settings.database):
        run_until_stopped(service())


@click.command
def migrate() -> None:
    """Bring the database's schema up to date.

    Safe to run at any time, by several processes at once, and again.
    """
    settings = load_settings()

    async def upgrade() -> list[str]:
        await check_connection(settings.database)
        return await load_core().run_migrations(settings)

    with explained(settings.database):
        applied = asyncio.run(upgrade())
    for name in applied:
        click.echo(f"applied {name}")
    click.echo(f"database {settings.database.dbname!r} is up to date")
