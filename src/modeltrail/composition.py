"""Where the parts are put together: the API, the deploy worker, and what the command line needs of the log."""

import asyncio
import os
import socket
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import structlog
from asyncpg import Connection, Pool

from modeltrail.commands.committer import Committer
from modeltrail.commands.deployments import Cluster
from modeltrail.commands.erasure import Traces, erase, find_traces
from modeltrail.commands.parked_tasks import DecideOnParked, Wish
from modeltrail.commands.preflight import Preflight
from modeltrail.commands.rehearsal import Rehearsal
from modeltrail.domain.errors import NotFoundError, RuleError
from modeltrail.domain.ids import DeploymentId, ProjectId, ServiceId
from modeltrail.environment import SettingsError
from modeltrail.eventlog.auditor import Auditor
from modeltrail.eventlog.keys import KeyRing
from modeltrail.eventlog.log import read_head
from modeltrail.eventlog.people import People, PersonKeys
from modeltrail.eventlog.reader import LogReader
from modeltrail.eventlog.record import Context
from modeltrail.eventlog.rotation import KeyUse, Rotation, check_keys, list_key_uses, rotate
from modeltrail.http.app import create_app
from modeltrail.http.event_stream import EventStreams
from modeltrail.http.services import Services
from modeltrail.legacy.mover import Moved, Mover, Rehearsing, Sink, Writing
from modeltrail.legacy.tables import Source, open_tables
from modeltrail.memory import settle
from modeltrail.postgres.asking import Asker
from modeltrail.postgres.connect import DatabaseAddress, open_pool, writer
from modeltrail.postgres.migrate import migrate
from modeltrail.projections.catalogue import ALL, ASYNC, INLINE
from modeltrail.projections.comparison import SHOWN, Compared, Difference, verify_tables
from modeltrail.projections.documents import DocumentReader
from modeltrail.projections.list_reader import ListReader
from modeltrail.projections.log_import import Imported, LogImport
from modeltrail.projections.one_rebuild import only_rebuild, stopped_names
from modeltrail.projections.parked_tasks import ParkedTask, list_parked
from modeltrail.projections.past import PastReader
from modeltrail.projections.projection import Projection
from modeltrail.projections.rebuild import Rebuilt
from modeltrail.projections.standing import outdated, record_versions
from modeltrail.secret_keys import KEYS_FILE_VARIABLE, KEYS_VARIABLE
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

    Raises SettingsError without a secret key, and UnusableKeyError when stored data needs another key.
    """
    keys = _key_ring(settings)
    address = _address(settings)
    database = settings.database
    async with AsyncExitStack() as stack:
        pool = await _pool(
            stack,
            settings,
            smallest=min(database.max_idle_conns, database.max_open_conns),
            largest=database.max_open_conns,
        )
        await check_keys(pool, keys)
        services = Services(
            committer=await stack.enter_async_context(Committer(writer(address), INLINE)),
            documents=DocumentReader(pool),
            lists=ListReader(pool),
            pool=pool,
            people=People(pool, keys),
            keys=keys,
            cluster=Cluster.CONFIGURED if settings.kserve.enabled else Cluster.NONE,
            default_namespace=settings.kserve.default_namespace,
            asker=Asker(pool),
            past=PastReader(pool, keys),
            streams=EventStreams(pool),
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
    key, and UnusableKeyError when stored data needs another key.
    """
    projections = ProjectionRunner(writer(_address(settings)), ASYNC)
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
    keys = _key_ring(settings)
    access = Access(in_cluster=kserve.in_cluster, kubeconfig=kserve.kubeconfig, context=kserve.context)
    address = _address(settings)
    async with _connection(address) as connection:
        await check_keys(connection, keys)
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(await KServeCluster.connect(access))
        committer = await stack.enter_async_context(Committer(writer(address), INLINE))
        owner = f"{socket.gethostname()}:{os.getpid()}"
        options = WorkerOptions(
            mode=kserve.deployment_mode,
            on_drift=OnDrift(kserve.on_drift.value),
            stall_seconds=kserve.undeploy_stall_after.total_seconds(),
            resync_seconds=kserve.resync_every.total_seconds(),
        )
        pool = await _pool(stack, settings, smallest=0, largest=4)
        storage = KeptCredentials(pool, keys, kserve.storage)
        settle()
        await stack.enter_async_context(projections.running())
        await DeployWorker(writer(address), committer, cluster, owner=owner, options=options, storage=storage).run()


async def parked_tasks(settings: Settings) -> list[ParkedTask]:
    """What the deploy worker has set aside."""
    async with _connection(_address(settings)) as connection:
        return await list_parked(connection)


async def decide_on_parked(
    settings: Settings, task: UUID, operator: str, decide: Callable[[DeploymentId], Wish]
) -> None:
    """Let `operator`, an address, retry or dismiss a parked task. Raises DomainError when it is not parked."""
    keys, address = _key_ring(settings), _address(settings)
    parked = {each.id: each for each in await parked_tasks(settings)}
    found = parked.get(DeploymentId(task))
    if found is None:
        raise NotFoundError(f"task {task} is not parked, or not any more")
    if not found.is_readable:
        raise RuleError(f"task {task} cannot be decided on: {found.cause}")
    async with AsyncExitStack() as stack:
        pool = await _pool(stack, settings, smallest=0, largest=2)
        await check_keys(pool, keys)
        actor = await People(pool, keys).seal(operator)
        committer = await stack.enter_async_context(Committer(writer(address), INLINE))
        context = Context(ProjectId(found.project_id), uuid4(), f"cli-{uuid4()}", actor)
        await committer.submit(DecideOnParked(ServiceId(found.inference_service_id), decide(found.id)), context)


async def run_migrations(settings: Settings) -> list[str]:
    """Apply what the database lacks; the names of what was applied. Raises MigrationError."""
    connection = await writer(_address(settings), statement_seconds=None)()
    try:
        # Waiting for another process that migrates, and moving much data, may take its time.
        await connection.execute("SET lock_timeout = 0; SET statement_timeout = 0")
        applied = await migrate(connection)
        due = await outdated(connection)
        if not due:
            return applied
        if (await read_head(connection)).position == 0:
            await record_versions(connection, due)
            return applied
    finally:
        await connection.close()
    names = [projection.name for projection in due]
    await rebuild_projections(settings, names, lambda _done, _total: None)
    return [*applied, *(f"version {each.version} of {each.name}, rebuilt from the log" for each in due)]


async def verify_projections(
    settings: Settings, names: Sequence[str], on_progress: Callable[[int, int], None]
) -> Compared:
    """Compare the read tables with the log, all without `names`."""
    keys, chosen = _key_ring(settings), _chosen(names)
    settle()
    async with open_auditor(settings) as auditor:
        await check_keys(auditor.connection, keys)
        await auditor.connection.execute("SET idle_in_transaction_session_timeout = 0; SET enable_seqscan = on")
        return await verify_tables(auditor.connection, keys, chosen, on_progress)


async def rebuild_projections(
    settings: Settings,
    names: Sequence[str],
    on_progress: Callable[[int, int], None],
    confirm: Callable[[Sequence[Difference]], bool] | None = None,
    *,
    resume: bool = False,
) -> Rebuilt | None:
    """Build read tables anew, all without `names`, or those of the rebuild that was stopped; None when `confirm`, which
    is shown what would change, did not want them. Raises RebuildError.
    """
    keys, address = _key_ring(settings), _address(settings)
    async with _connection(address) as connection:
        await check_keys(connection, keys)
        if resume and not names:
            names = await stopped_names(connection)
    settle()
    async with only_rebuild(writer(address, statement_seconds=None), keys, _chosen(names)) as rebuild:
        await rebuild.build(on_progress, resume=resume)
        if confirm is not None and not confirm(await rebuild.differences(on_progress, SHOWN)):
            return None
        return await rebuild.swap(on_progress)


def _chosen(names: Sequence[str]) -> list[Projection[Any]]:  # Any: of any kind
    unknown = set(names) - {projection.name for projection in ALL}
    if unknown:
        known = ", ".join(projection.name for projection in ALL)
        raise SettingsError(f"no projection is called {', '.join(sorted(unknown))}; there are: {known}")
    return [projection for projection in ALL if not names or projection.name in names]


async def rotate_secrets(settings: Settings, on_progress: Callable[[int, int], None]) -> tuple[Rotation, list[KeyUse]]:
    """Put all that is encrypted under the current key; what was done, and what each key is still needed for."""
    keys = _key_ring(settings)
    async with _connection(_address(settings)) as connection:
        done = await rotate(connection, keys, on_progress)
        return done, await list_key_uses(connection, keys)


async def secrets_status(settings: Settings) -> list[KeyUse]:
    """What each key is needed for."""
    async with _connection(_address(settings)) as connection:
        return await list_key_uses(connection, _key_ring(settings))


@asynccontextmanager
async def _connection(address: DatabaseAddress) -> AsyncGenerator[Connection, None]:
    connection = await writer(address)()
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def open_auditor(settings: Settings) -> AsyncGenerator[Auditor, None]:
    """For those who look into the whole log. Without secret keys they know nobody."""
    async with AsyncExitStack() as stack:
        pool = await _pool(stack, settings, smallest=0, largest=2)
        connection = await writer(_address(settings), statement_seconds=None)()
        stack.push_async_callback(connection.close)
        await connection.execute("SET application_name = 'modeltrail auditor'; SET statement_timeout = 0")
        if not settings.secret_keys:
            yield Auditor(connection, pool)
            return
        keys = _key_ring(settings)
        yield Auditor(connection, pool, People(pool, keys), PersonKeys(pool, keys))


async def find_person(settings: Settings, address: str) -> Traces | None:
    """What an erasure would touch; None for a person who is not known."""
    people = _key_ring(settings)  # before anything is opened
    async with open_auditor(settings) as auditor:
        person = await People(auditor.pool, people).find(address)
        return None if person is None else await find_traces(auditor.connection, person, address)


async def erase_person(settings: Settings, address: str) -> Traces | None:
    """Erase a person; what was touched, or None for a person who is not known."""
    people = _key_ring(settings)  # the same
    async with open_auditor(settings) as auditor:
        person = await People(auditor.pool, people).find(address)
        if person is None:
            return None
        return await erase(auditor.connection, person, address, f"erase-{uuid4()}", datetime.now(UTC))


async def import_log(settings: Settings, lines: Iterable[bytes], on_progress: Callable[[int], None]) -> Imported:
    """Bring the log of an export into the database, with its read tables."""
    async with open_auditor(settings) as auditor:
        return await LogImport(auditor.connection, INLINE, auditor.person_keys).run(lines, on_progress)


async def import_legacy(
    settings: Settings, source: Source, on_progress: Callable[[int, int], None], *, write: bool
) -> Moved:
    """Take over what the old service's tables hold, or, without `write`, find out what would become of it."""
    keys = _key_ring(settings)
    address = _address(settings)
    async with AsyncExitStack() as stack:
        pool = await _pool(stack, settings, smallest=0, largest=4)
        await check_keys(pool, keys)
        tables = await stack.enter_async_context(open_tables(source))
        connection = await stack.enter_async_context(_connection(address))
        sink: Sink
        if write:
            committer = await stack.enter_async_context(Committer(writer(address), INLINE))
            sink = Writing(committer, People(pool, keys))
        else:
            sink = Rehearsing(await Rehearsal.begin(connection, INLINE))
        return await Mover(tables, sink, connection, keys).move(on_progress)


@asynccontextmanager
async def open_event_reader(settings: Settings) -> AsyncGenerator[LogReader, None]:
    """A reader of the log. Without secret keys it names nobody."""
    async with AsyncExitStack() as stack:
        pool = await _pool(stack, settings, smallest=1, largest=2)
        people = PersonKeys(pool, _key_ring(settings)) if settings.secret_keys else None
        async with pool.acquire() as connection:
            yield LogReader(connection, people)


async def _pool(stack: AsyncExitStack, settings: Settings, *, smallest: int, largest: int) -> Pool:
    lifetime = settings.database.conn_max_lifetime.total_seconds()
    pool = await open_pool(_address(settings), smallest=smallest, largest=largest, lifetime_seconds=lifetime)
    stack.push_async_callback(_close, pool)
    return pool


async def _close(pool: Pool) -> None:
    try:
        async with asyncio.timeout(2.0):
            await pool.close()
    except TimeoutError:
        pool.terminate()


def _address(settings: Settings) -> DatabaseAddress:
    return DatabaseAddress(**settings.database.connect_arguments())


def _key_ring(settings: Settings) -> KeyRing:
    if not settings.secret_keys:
        raise SettingsError(
            f"no secret key is configured, and personal data is kept only encrypted: set {KEYS_VARIABLE}, or name a"
            f" file in {KEYS_FILE_VARIABLE}; a new key is a line such as {_example()}"
        )
    return KeyRing([(each.id, each.key) for each in settings.secret_keys])


def _example() -> str:
    return "main:$(head -c 32 /dev/urandom | base64)"
