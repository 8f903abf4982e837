"""Runs what builds read tables anew, and says what a lost connection or a full disk means for it."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from modeltrail.cli.database import explained
from modeltrail.cli.errors import CommandError, is_of_output
from modeltrail.cli.running import new_event_loop
from modeltrail.memory import without_collection
from modeltrail.settings import DatabaseSettings

__all__ = ["run_rebuilding"]

T = TypeVar("T")


def run_rebuilding(
    work: Coroutine[Any, Any, T],  # Any: nothing is sent to it
    database: DatabaseSettings,
    *,
    go_on: str,
) -> T:
    """What `work` returns. Raises CommandError when the database fails it; `go_on` is the command that carries on."""
    from asyncpg import DiskFullError  # noqa: PLC0415 it takes long to load

    from modeltrail.postgres.connect import is_lost  # noqa: PLC0415 it brings asyncpg along

    def tell(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        # COPY leaves an error behind in asyncpg when its connection is lost, beside the one that it raises.
        if not isinstance(error := context.get("exception"), Exception) or not is_lost(error):
            loop.default_exception_handler(context)

    async def quietly() -> T:
        asyncio.get_running_loop().set_exception_handler(tell)
        return await work

    try:
        with explained(database), without_collection(), asyncio.Runner(loop_factory=new_event_loop) as runner:
            return runner.run(quietly())
    except Exception as error:
        cause = error.__cause__ if isinstance(error, CommandError) else error
        if isinstance(cause, DiskFullError):
            raise CommandError(
                f"PostgreSQL at {database.address} has no room left ({cause.args[0]}); the read tables are"
                f" whole: make room, and a rebuild goes on with: {go_on}"
            ) from error
        if cause is None or not is_lost(cause) or is_of_output(cause) or "cannot be reached" in str(error):
            raise
        raise CommandError(
            f"the connection to PostgreSQL at {database.address} was lost; the read tables are whole, and a"
            f" rebuild may go on with: {go_on}"
        ) from error
