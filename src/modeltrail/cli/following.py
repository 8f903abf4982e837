"""Following the log for hours: a restart of PostgreSQL in between must not end it."""

import asyncio
from collections.abc import AsyncGenerator, Callable

import click

from modeltrail.cli.database import explained
from modeltrail.cli.errors import CommandError
from modeltrail.postgres.connect import is_passing
from modeltrail.settings import DatabaseSettings

__all__ = ["keep_on"]

_PAUSE = 1.0  # seconds between two tries


async def keep_on(database: DatabaseSettings, session: Callable[[], AsyncGenerator[None, None]]) -> None:
    """Run `session` to its end, and anew when it loses the database, which is said once.

    It yields each time that the database has answered; before the first time, a failure is for the caller.
    """
    has_begun = is_told = False
    while True:
        try:
            with explained(database):
                async for _ in session():
                    has_begun, is_told = True, False
        except CommandError as error:
            if not has_begun or error.__cause__ is None or not is_passing(error.__cause__):
                raise
            task = asyncio.current_task()
            if task is not None and task.cancelling():  # which is lost when a connection breaks while it takes effect
                raise asyncio.CancelledError from error
            if not is_told:
                is_told = True
                lost = f"the connection to PostgreSQL at {database.address} was lost"
                click.echo(f"modeltrail: {lost}; going on when it is back (Ctrl-C ends this)", err=True)
            await asyncio.sleep(_PAUSE)
        else:
            return
