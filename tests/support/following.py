"""Projections that follow the log by themselves: brought up to date, waited for, and compared with the log."""

# asyncpg's functions carry no annotations.
# mypy: allow-untyped-calls

from modeltrail.projections.catalogue import ASYNC
from modeltrail.projections.checkpoint import Checkpoint
from support.cluster import eventually
from support.committing import connected
from support.database import Database


async def bring_forward(database: Database) -> None:
    """Let all of them take what there is, as the worker does."""
    async with connected(database) as connection:
        for projection in ASYNC:
            await Checkpoint(connection, projection).catch_up()


async def are_level(database: Database) -> bool:
    """Whether all of them have come to the end of the log."""
    async with connected(database) as connection:
        return not any([await Checkpoint(connection, projection).is_behind() for projection in ASYNC])


async def wait_until_level(database: Database, within: float = 20.0) -> None:
    """Return when somebody else has brought them to the end of the log."""

    async def level() -> bool:
        return await are_level(database)

    await eventually(level, within)
