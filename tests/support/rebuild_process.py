"""`modeltrail projections rebuild` as a process of its own, to stop, kill and cut off."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from support.cluster import eventually
from support.command_line import environment_of
from support.committing import connected
from support.database import Database


class RebuildProcess:
    """One run, which may be over."""

    def __init__(self, database: Database, process: asyncio.subprocess.Process) -> None:
        self.database = database
        self.process = process

    async def reached(self, condition: str) -> None:
        """Return when it works on the shadow tables and `condition` holds for its row, or when it is over."""
        statement = f"SELECT true FROM projection_rebuild WHERE pid = $1 AND {condition}"
        async with connected(self.database) as connection:

            async def is_so() -> bool | None:
                found: bool | None = await connection.fetchval(statement, self.process.pid)
                return found or self.is_over or None

            await eventually(is_so, within=60)

    @property
    def is_over(self) -> bool:
        return self.process.returncode is not None

    async def result(self) -> tuple[int | None, str, str]:
        """Exit code and what it said, when it is over."""
        out, err = await asyncio.wait_for(self.process.communicate(), 120)
        return self.process.returncode, out.decode(), err.decode()


async def go_on_or_begin(database: Database) -> str:
    """The option that goes on with a rebuild that was stopped, or begins one where none was."""
    async with connected(database) as connection:
        return "--resume" if await connection.fetchval("SELECT true FROM projection_rebuild") else "--all"


@asynccontextmanager
async def rebuilding(database: Database, *arguments: str) -> AsyncIterator[RebuildProcess]:
    """A run, which ends with the block at the latest."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "modeltrail", "projections", "rebuild", *arguments, env=environment_of(database),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield RebuildProcess(database, process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
