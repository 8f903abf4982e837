"""`modeltrail serve`: the HTTP API."""

import click

from modeltrail.cli.core import load_core
from modeltrail.cli.database import check_schema, explained
from modeltrail.cli.ports import check_port
from modeltrail.cli.running import load_settings, run_until_stopped

__all__ = ["serve"]


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
