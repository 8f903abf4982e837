"""The parts that run until they are stopped: the API and the deploy worker."""

import asyncio
import os
import socket
from contextlib import AsyncExitStack

import structlog

from modeltrail.commands.committing.committer import Committer
from modeltrail.commands.deployments import Cluster
from modeltrail.commands.preflight import Preflight
from modeltrail.composition.database import address_of, key_ring, open_connection, open_pool_in
from modeltrail.eventlog.people import People
from modeltrail.eventlog.rotation import check_keys
from modeltrail.http.app import create_app
from modeltrail.http.event_stream import EventStreams
from modeltrail.http.services import Services
from modeltrail.memory import settle
from modeltrail.postgres.asking import Asker
from modeltrail.postgres.connect import ANSWER_SECONDS, READ_SECONDS, writer
from modeltrail.projections.catalogue import ALL, ASYNC, INLINE
from modeltrail.projections.documents import DocumentReader
from modeltrail.projections.list_reader import ListReader
from modeltrail.projections.past import PastReader
from modeltrail.projections.projection_status import check_versions
from modeltrail.server import serve
from modeltrail.settings import Settings
from modeltrail.workers.access import Access
from modeltrail.workers.deploy_worker import DeployWorker
from modeltrail.workers.options import OnDrift, WorkerOptions
from modeltrail.workers.projection_runner import ProjectionRunner
from modeltrail.workers.storage import KeptCredentials

_log = structlog.get_logger(__name__)


async def run_api(settings: Settings) -> None:
    """Serve the API until cancelled.

    Raises SettingsError without a secret key, UnusableKeyError when stored data needs another key, and
    OtherVersionError when other code than today's filled the read tables.
    """
    keys = key_ring(settings)
    address = address_of(settings)
    database = settings.database
    async with AsyncExitStack() as stack:
        pool = await open_pool_in(
            stack,
            settings,
            smallest=min(database.max_idle_conns, database.max_open_conns),
            largest=database.max_open_conns,
            statement_seconds=READ_SECONDS,
        )
        await check_keys(pool, keys)
        await check_versions(pool, ALL)
        services = Services(
            committer=await stack.enter_async_context(
                Committer(writer(address), INLINE, answer_seconds=ANSWER_SECONDS)
            ),
            documents=DocumentReader(pool),
            lists=ListReader(pool),
            pool=pool,
            people=People(pool, keys),
            keys=keys,
            cluster=Cluster.CONFIGURED if settings.kserve.enabled else Cluster.NONE,
            default_namespace=settings.kserve.default_namespace,
            asker=Asker(pool),
            past=PastReader(pool, keys),
            streams=EventStreams(writer(address)),
            mode=settings.kserve.deployment_mode,
            preflight=Preflight(pool, INLINE) if settings.kserve.enabled and settings.kserve.preflight else None,
        )
        settle()
        _log.info("serving", host=settings.server.host, port=settings.server.port)
        server = settings.server
        await serve(create_app(services), server.host, server.port, services.streams.close)


async def run_worker(settings: Settings) -> None:
    """Drive the cluster, and keep the projections up that follow the log, until cancelled.

    With KServe off there is no cluster to drive. Raises ClusterNotConfigured, SettingsError when there is no secret
    key, UnusableKeyError when stored data needs another key, and OtherVersionError when other code than today's filled
    the read tables.
    """
    projections = ProjectionRunner(writer(address_of(settings)), ASYNC)
    if settings.kserve.enabled:
        await _drive_cluster(settings, projections)
        return
    _log.info("no cluster to drive: KSERVE_ENABLED is false; keeping the projections up")
    async with projections.running():
        await asyncio.Event().wait()


async def _drive_cluster(settings: Settings, projections: ProjectionRunner) -> None:
    # Only here: the client for Kubernetes takes 80 MB and more than a second, and the API has no use for it.
    from modeltrail.workers.kserve import KServeCluster  # noqa: PLC0415 - see above

    kserve = settings.kserve
    keys = key_ring(settings)
    access = Access(in_cluster=kserve.in_cluster, kubeconfig=kserve.kubeconfig, context=kserve.context)
    address = address_of(settings)
    async with open_connection(address) as connection:
        await check_keys(connection, keys)
        await check_versions(connection, INLINE)
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(await KServeCluster.connect(access))
        committer = await stack.enter_async_context(Committer(writer(address), INLINE))
        owner = f"{socket.gethostname()}:{os.getpid()}"
        options = WorkerOptions(
            mode=kserve.deployment_mode,
            on_drift=OnDrift(kserve.on_drift.value),
            ready_seconds=kserve.ready_within.total_seconds(),
            stall_seconds=kserve.undeploy_stall_after.total_seconds(),
            resync_seconds=kserve.resync_every.total_seconds(),
        )
        pool = await open_pool_in(stack, settings, smallest=0, largest=4)
        storage = KeptCredentials(pool, keys, kserve.storage)
        settle()
        await stack.enter_async_context(projections.running())
        await DeployWorker(writer(address), committer, cluster, owner=owner, options=options, storage=storage).run()
