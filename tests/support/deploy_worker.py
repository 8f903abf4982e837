"""The deploy worker in this process, and waiting for what it reports."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from uuid import UUID

from modeltrail.postgres.connect import writer
from modeltrail.simulated_cluster import SimulatedCluster
from modeltrail.workers.deploy_worker import DeployWorker
from modeltrail.workers.options import WorkerOptions
from modeltrail.workers.storage import Storage
from support.api import Api
from support.cluster import eventually, kserve
from support.committing import address_of
from support.database import Database
from support.registry import Registry


@asynccontextmanager
async def worker(
    world: Registry,
    cluster: SimulatedCluster,
    options: WorkerOptions | None = None,
    *,
    owner: str = "test",
    storage: Storage | None = None,
) -> AsyncIterator[None]:
    """A worker on the world's database, which drives the simulated cluster as long as the block lasts."""
    async with kserve(cluster) as connected:
        connect = writer(address_of(world.database))
        running = DeployWorker(connect, world.committer, connected, owner=owner, options=options, storage=storage)
        task = asyncio.create_task(running.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])


def worker_of(
    api: Api,
    database: Database,
    cluster: SimulatedCluster,
    options: WorkerOptions | None = None,
    storage: Storage | None = None,
) -> AbstractAsyncContextManager[None]:
    """A worker on the API's database, which drives the simulated cluster as long as the block lasts."""
    return worker(Registry(api.services.committer, database), cluster, options, storage=storage)


async def listening(api: Api) -> None:
    """Until the worker can be asked about deployments."""

    async def is_there() -> bool:
        found: bool = await api.pool.fetchval(
            "SELECT EXISTS (SELECT FROM subscriptions WHERE name = 'deploy-worker' AND expires_at > now())"
            " AND EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()"
            " AND query LIKE 'LISTEN%modeltrail_preflight%')"
        )
        return found

    await eventually(is_there, 30.0)


async def until(world: Registry, stream: UUID, *ending: str, within: float = 10.0) -> list[str]:
    """The names of a stream's events, once they end like this."""

    async def ended() -> list[str] | None:
        names = await world.event_names(stream)
        return names if tuple(names[-len(ending) :]) == ending else None

    return await eventually(ended, within)
