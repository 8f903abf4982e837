"""Keeps up the projections that follow the log by themselves: one process each at a time, any number standing by."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import structlog
from asyncpg import Connection

from modeltrail.failures import causes_of, place_of, stack_of
from modeltrail.postgres.connect import is_passing, opened
from modeltrail.projections.checkpoint import Checkpoint, OtherVersionError
from modeltrail.projections.projection import Projection
from modeltrail.workers.pauses import pauses, sleep
from modeltrail.workers.wakeups import Wakeups

_log = structlog.get_logger(__name__)

LOCK = 0x6D74_7072  # "mtpr": with the name's hash, the session's lock on one projection
STANDBY_SECONDS = 0.5
# What is appended meanwhile makes one batch. Without it, each of a busy log's thousands of commits a second is one.
GATHERING_SECONDS = 0.05
# Rows and checkpoint would be lost together, and made again: nobody needs to wait for the disk.
_SETTINGS = "SET application_name = 'modeltrail projections'; SET synchronous_commit = off"


class ProjectionRunner:
    """One process's share: each projection is followed by who holds its lock, and the others stand by."""

    def __init__(
        self,
        connect: Callable[[], Awaitable[Connection]],
        projections: Sequence[Projection[Any]],  # Any: each has rows of its own
    ) -> None:
        """`connect` opens a connection for one projection."""
        self._connect = connect
        self._projections = projections
        self._stopping = False

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None, None]:
        """Follow the log meanwhile."""
        tasks = [asyncio.create_task(self._keep(each), name=f"projection {each.name}") for each in self._projections]
        try:
            yield
        finally:
            # A flag beside the cancellation, which is lost when a connection breaks while it takes effect.
            self._stopping = True
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _keep(self, projection: Projection[Any]) -> None:  # Any: the same
        """Whatever goes wrong is tried again: it must end neither the others nor the deploy worker beside them."""
        retries = pauses(longest=5.0)
        while not self._stopping:
            try:
                async with opened(self._connect, _SETTINGS) as connection:
                    await self._own(connection, projection)
                    await self._follow(connection, projection)
            except OtherVersionError as error:
                _log.warning("a projection is not kept up", projection=projection.name, error=str(error))
            except Exception as error:  # noqa: BLE001 - as the docstring says
                facts = {"projection": projection.name, "cause": causes_of(error)}
                if is_passing(error):
                    _log.warning("the database cannot be used; trying again", **facts)
                else:
                    _log.error("a projection failed; trying again", **facts, stack=stack_of(error))
            await sleep(next(retries))

    async def _own(self, connection: Connection, projection: Projection[Any]) -> None:  # Any: the same
        """Wait until nobody else follows it. Whoever dies, or stands still for a minute, loses the session's lock."""
        told = False
        while not await connection.fetchval("SELECT pg_try_advisory_lock($1, hashtext($2))", LOCK, projection.name):
            if not told:
                _log.info("standing by: another worker keeps the projection up", projection=projection.name)
                told = True
            await asyncio.sleep(STANDBY_SECONDS)
        _log.info("keeping the projection up", projection=projection.name)

    async def _follow(self, connection: Connection, projection: Projection[Any]) -> None:  # Any: the same
        checkpoint = Checkpoint(connection, projection)
        wakeups = Wakeups(connection)
        await wakeups.start()
        retries = pauses()
        while True:
            if await checkpoint.is_behind():
                try:
                    await checkpoint.catch_up()
                except OtherVersionError:
                    raise
                except Exception as error:
                    if is_passing(error) or connection.is_closed():
                        raise  # it is not for the event that it stands still
                    await self._stand_still(checkpoint, projection, error)
                    await sleep(next(retries))
                    continue
                retries = pauses()
                await asyncio.sleep(GATHERING_SECONDS)
            await wakeups.next()

    async def _stand_still(self, checkpoint: Checkpoint, projection: Projection[Any], error: Exception) -> None:
        """No event is passed over: what comes after it would be built on a gap."""
        position = await checkpoint.save_failure(place_of(error))
        facts = {"cause": causes_of(error), "stack": stack_of(error)}
        _log.error("a projection stands still; trying again", projection=projection.name, position=position, **facts)
