"""Who may work: one owner per subscription, kept as a lease in PostgreSQL.

A dead owner is found out at once, because its database connection is gone; a frozen one when its lease runs out.
Each new owner has a higher epoch, and whoever finds its own epoch overtaken stops.
"""

import asyncio
from datetime import timedelta

import structlog
from asyncpg import Connection

from modeltrail.postgres.connect import is_lost
from modeltrail.postgres.statements import Statements

_log = structlog.get_logger(__name__)
SQL = Statements("modeltrail.workers", "deploy.sql")

TERM = timedelta(seconds=15)
RENEWAL_SECONDS = 3.0
STANDBY_SECONDS = 0.5
RELEASE_SECONDS = 2.0


class LeaseLostError(Exception):
    """Another worker has taken over."""


class Lease:
    """The right to work on one subscription, bound to `connection`: when that closes, the right is free."""

    def __init__(self, connection: Connection, name: str, owner: str) -> None:
        self._connection = connection
        self._name = name
        self._owner = owner
        self._epoch = 0
        self.position = 0
        """How far the owner has come; written with each renewal."""
        self.follows_cluster = False
        """Whether the cluster tells the owner what happens; written with each renewal, too."""

    async def acquire(self) -> None:
        """Wait until nobody else holds the lease, and take it."""
        told = False
        while True:
            epoch = await self._connection.fetchval(SQL.acquire_lease, self._name, self._owner, TERM)
            if epoch is not None:
                self._epoch = epoch
                _log.info("lease taken", subscription=self._name, epoch=epoch)
                return
            if not told:
                _log.info("standing by: another worker holds the lease", subscription=self._name)
                told = True
            await asyncio.sleep(STANDBY_SECONDS)

    async def keep(self) -> None:
        """Renew the lease for as long as this runs. Raises LeaseLostError when another has taken it."""
        while True:
            await asyncio.sleep(RENEWAL_SECONDS)
            # A renewal that takes as long as the term is as good as none.
            async with asyncio.timeout(TERM.total_seconds() - RENEWAL_SECONDS):
                epoch = await self._connection.fetchval(
                    SQL.renew_lease, self._name, self._epoch, TERM, self.position, self.follows_cluster
                )
            if epoch is None:
                raise LeaseLostError(f"another worker has taken over {self._name!r}")

    async def release(self) -> None:
        """Let the next worker begin at once, if the database can be told; else it finds out by itself."""
        try:
            async with asyncio.timeout(RELEASE_SECONDS):
                await self._connection.execute(SQL.release_lease, self._name, self._epoch, self.position)
        except Exception as error:
            if not is_lost(error):
                raise
