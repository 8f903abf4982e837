"""What operators do to an installation: migrations, rebuilds, keys, and tasks that were set aside."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any
from uuid import UUID, uuid4

from asyncpg import Connection

from modeltrail.commands.committing.committer import Committer
from modeltrail.commands.parked_tasks import DecideOnParked, Wish
from modeltrail.composition.database import address_of, key_ring, open_connection, open_pool_in
from modeltrail.composition.records import open_auditor
from modeltrail.domain.errors import NotFoundError, RuleError
from modeltrail.domain.ids import DeploymentId, ProjectId, ServiceId
from modeltrail.environment import SettingsError
from modeltrail.eventlog.log import read_head
from modeltrail.eventlog.people import People
from modeltrail.eventlog.record import Context
from modeltrail.eventlog.rotation import KeyUse, Rotation, check_keys, list_key_uses, rotate
from modeltrail.memory import settle
from modeltrail.postgres.connect import opened, writer
from modeltrail.postgres.migrate import migrate, pending
from modeltrail.projections.catalogue import ALL, INLINE
from modeltrail.projections.comparison import Compared, Difference, verify_tables
from modeltrail.projections.one_rebuild import (
    RebuildUnderWayError,
    forget_stopped_rebuild,
    only_rebuild,
    stopped_names,
)
from modeltrail.projections.parked_tasks import ParkedTask, list_parked
from modeltrail.projections.projection import Projection
from modeltrail.projections.projection_status import check_versions, outdated, record_versions
from modeltrail.projections.rebuild import Rebuilt
from modeltrail.settings import Settings

# Waiting for another process that migrates, and moving much data, may take its time.
_PATIENTLY = "SET lock_timeout = 0; SET statement_timeout = 0"
_REBUILD_PATIENCE = 0.5  # seconds between two looks at whether another process is done


async def run_migrations(settings: Settings) -> list[str]:
    """Apply what the schema lacks; the names of what was applied. Raises MigrationError."""
    async with opened(writer(address_of(settings), statement_seconds=None), _PATIENTLY) as connection:
        if await pending(connection):
            await _forget_stopped_rebuild(connection)
        applied = await migrate(connection)
        if (await read_head(connection)).position == 0:
            await record_versions(connection)
        return applied


async def _forget_stopped_rebuild(connection: Connection) -> None:
    """Its shadow tables are made like read tables that a migration may be about to change."""
    if await connection.fetchval("SELECT to_regclass('projection_rebuild')") is not None:
        async with connection.transaction():
            await forget_stopped_rebuild(connection)


async def outdated_projections(settings: Settings) -> list[str]:
    """The names of those whose tables were filled by older code than this."""
    async with open_connection(address_of(settings)) as connection:
        return [projection.name for projection in await outdated(connection)]


async def rebuild_outdated(
    settings: Settings, on_progress: Callable[[int, int], None], on_wait: Callable[[str], None]
) -> list[str]:
    """Rebuild what older code filled; the names of what this process rebuilt.

    Goes on with a rebuild that was interrupted. Where another process rebuilds, `on_wait` is told once who that is, and
    what it leaves undone is done after it. Raises RebuildError.
    """
    told = ""
    while names := await outdated_projections(settings):
        try:
            await rebuild_projections(settings, names, on_progress, resume=True)
        except RebuildUnderWayError as error:
            if str(error) != told:
                told = str(error)
                on_wait(told)
            await asyncio.sleep(_REBUILD_PATIENCE)
        else:
            return names
    return []


async def verify_projections(
    settings: Settings, names: Sequence[str], on_progress: Callable[[int, int], None]
) -> Compared:
    """Compare the read tables with the log, all without `names`."""
    keys, chosen = key_ring(settings), _chosen(names)
    settle()
    async with open_auditor(settings) as auditor:
        await check_keys(auditor.connection, keys)
        await auditor.connection.execute("SET idle_in_transaction_session_timeout = 0; SET enable_seqscan = on")
        return await verify_tables(auditor.connection, keys, chosen, on_progress)


async def stopped_rebuild(settings: Settings) -> list[str]:
    """The projections of the rebuild that was stopped, or is under way; empty when there is none."""
    async with open_connection(address_of(settings)) as connection:
        return await stopped_names(connection)


async def rebuild_projections(
    settings: Settings,
    names: Sequence[str],
    on_progress: Callable[[int, int], None],
    confirm: Callable[[Sequence[Difference]], bool] | None = None,
    *,
    resume: bool = False,
) -> Rebuilt | None:
    """Build read tables anew, all without `names`; None when `confirm`, which is shown what would change, did not want
    them. With `resume` goes on with a rebuild of these that was stopped. Raises RebuildError.
    """
    keys, address = key_ring(settings), address_of(settings)
    async with open_connection(address) as connection:
        await check_keys(connection, keys)
    settle()
    async with only_rebuild(writer(address, statement_seconds=None), keys, _chosen(names)) as rebuild:
        await rebuild.build(on_progress, resume=resume)
        if confirm is not None and not confirm(await rebuild.differences(on_progress)):
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
    keys = key_ring(settings)
    async with open_connection(address_of(settings)) as connection:
        done = await rotate(connection, keys, on_progress)
        return done, await list_key_uses(connection, keys)


async def secrets_status(settings: Settings) -> list[KeyUse]:
    """What each key is needed for."""
    async with open_connection(address_of(settings)) as connection:
        return await list_key_uses(connection, key_ring(settings))


async def parked_tasks(settings: Settings) -> list[ParkedTask]:
    """What the deploy worker has set aside."""
    async with open_connection(address_of(settings)) as connection:
        return await list_parked(connection)


async def decide_on_parked(
    settings: Settings, task: UUID, operator: str, decide: Callable[[DeploymentId], Wish]
) -> None:
    """Let `operator`, an address, retry or dismiss a parked task. Raises DomainError when it is not parked."""
    keys, address = key_ring(settings), address_of(settings)
    parked = {each.id: each for each in await parked_tasks(settings)}
    found = parked.get(DeploymentId(task))
    if found is None:
        raise NotFoundError(f"task {task} is not parked, or not any more")
    if not found.is_readable:
        raise RuleError(f"task {task} cannot be decided on: {found.cause}")
    async with AsyncExitStack() as stack:
        pool = await open_pool_in(stack, settings, smallest=0, largest=2)
        await check_keys(pool, keys)
        await check_versions(pool, INLINE)
        actor = await People(pool, keys).seal(operator)
        committer = await stack.enter_async_context(Committer(writer(address), INLINE))
        context = Context(ProjectId(found.project_id), uuid4(), f"cli-{uuid4()}", actor)
        await committer.submit(DecideOnParked(ServiceId(found.inference_service_id), decide(found.id)), context)
