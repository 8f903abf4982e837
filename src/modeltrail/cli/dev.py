"""`modeltrail dev`: everything on this machine, with its own database and a simulated cluster."""

import os
import time
from pathlib import Path

import click

from modeltrail.cli.children import say
from modeltrail.cli.dev_environment import DEFAULT_DATA_FOLDER
from modeltrail.cli.dev_folder import DevFolder
from modeltrail.cli.dev_session import DevSession
from modeltrail.cli.errors import CommandError
from modeltrail.cli.ports import check_port
from modeltrail.cli.running import run_until_stopped
from modeltrail.paths import NamedPath
from modeltrail.quantities import WholeNumber
from modeltrail.settings import Settings

__all__ = ["dev"]

# What `dev` decides itself, whatever the environment says.
_OURS = (
    "DATABASE_HOST",
    "DATABASE_PORT",
    "DATABASE_USER",
    "DATABASE_PASSWORD",
    "DATABASE_DBNAME",
    "DATABASE_SSLMODE",
    "MODELTRAIL_SECRET_KEYS",
    "MODELTRAIL_SECRET_KEYS_FILE",
)

_SIMULATED_ALL_THE_SAME = (
    "KSERVE_ENABLED is false, and the simulated cluster runs all the same, as nothing could be deployed without one;"
    " true takes the real one"
)

_PORT_PATIENCE = 8.0  # seconds; a killed `dev` leaves children that need up to 3 s to see it


@click.command
@click.option(
    "--data",
    type=NamedPath(file_okay=False, path_type=Path),
    default=DEFAULT_DATA_FOLDER,
    show_default=True,
    help="Folder that keeps the database, the keys and the simulated cluster.",
)
@click.option("--port", type=WholeNumber(1, 65535), help="Port of the API [default: SERVER_PORT, else 8080].")
def dev(*, data: Path, port: int | None) -> None:
    """Start everything on this machine: PostgreSQL, a simulated cluster, the API and the worker.

    Nothing needs to be installed or set up. What was stored is found again at the next start. With
    KSERVE_ENABLED=true the real cluster of the KUBERNETES_ variables is used. Ctrl-C stops everything.
    """
    environment = {
        "SERVER_HOST": "127.0.0.1",
        "LOGGER_FORMAT": "console",
        **os.environ,
        **({"SERVER_PORT": str(port)} if port else {}),
    }
    # Before anything starts: a mistake in a variable is told once, and by us.
    settings = Settings.from_environment({**environment, **dict.fromkeys(_OURS, "")})
    folder = DevFolder.take(data, f"API on port {settings.server.port}")
    try:
        _await_port(settings, patience=_PORT_PATIENCE if folder.was_left_behind else 0)
        if environment.get("KSERVE_ENABLED", "").strip() and not settings.kserve.enabled:
            say("dev", "white", _SIMULATED_ALL_THE_SAME, bold=True)
        session = DevSession(folder, settings, environment)
        run_until_stopped(session.run(), on_impatience=session.kill)
    finally:
        folder.release()


def _await_port(settings: Settings, *, patience: float) -> None:
    deadline = time.monotonic() + patience
    while True:
        try:
            check_port(settings.server.host, settings.server.port, remedy="choose another one with --port")
        except CommandError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return
