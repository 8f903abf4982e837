"""Runs what builds read tables anew, and says what a lost connection or a full disk means for it."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from modeltrail.cli.database import ConnectionLostError, explained
from modeltrail.cli.errors import CommandError
from modeltrail.cli.running import new_event_loop
from modeltrail.memory import without_collection
from modeltrail.settings import DatabaseSettings

__all__ = ["run_rebuilding"]

T = TypeVar("T")


def run_rebuilding(
    work: Coroutine[Any, Any, T],  # Any: nothing is sent to it
    database: DatabaseSettings,
    *,
    remedy: Callable[[], str] | None = None,
) -> T:
    """What `work` returns. Raises CommandError when the database fails it.

    Of what changes the read tables, `remedy` says how to go on when the database is back.
    """
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
    except CommandError as error:
        where = f"PostgreSQL at {database.address}"
        if remedy is None:
            raise
        if isinstance(error, ConnectionLostError):
            raise CommandError(
                f"the connection to {where} was lost; the read tables are whole: see that it runs, and {remedy()}"
            ) from error
        if isinstance(cause := error.__cause__, DiskFullError):
            raise CommandError(
                f"{where} has no room left ({cause.args[0]}); the read tables are whole: make room, and {remedy()}"
            ) from error
        raise
