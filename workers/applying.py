"""Making the cluster hold what a deployment asks for: the InferenceService, and what opens its storage."""

import time
from contextlib import suppress
from typing import Any, NamedTuple, NoReturn
from uuid import UUID

import structlog

from modeltrail.projections.deployment_tasks import TaskRow, ToApply
from modeltrail.workers.cluster import (
    Cluster,
    ClusterRefused,
    ClusterUnavailable,
    Failure,
    FieldConflict,
    ObservedService,
)
from modeltrail.workers.desired_service import Held, Holders, desired, held, name_taken
from modeltrail.workers.manifest import manifest, replacing
from modeltrail.workers.options import WorkerOptions
from modeltrail.workers.storage import Storage
from modeltrail.workers.storage_objects import left_of, opened

_log = structlog.get_logger(__name__)


class NothingBesideError(Exception):
    """The object is gone that a canary was to get a part of the traffic of: alone it would get all of it."""


class Put(NamedTuple):
    """The object as it is once it is what the task wants; `failed_before` is what was said of it before, if that was
    a failure and the object was there."""

    observed: ObservedService
    failed_before: Failure | None = None


class Applier:
    """Applies what tasks ask for. What has to be waited for raises ClusterUnavailable, for as long as that may take."""

    def __init__(self, cluster: Cluster, storage: Storage, options: WorkerOptions, holders: Holders) -> None:
        self._cluster = cluster
        self._storage = storage
        self._options = options
        self._holders = holders

    async def apply(self, row: TaskRow, task: ToApply, since: float) -> Put:
        """Make it so, unless it is. `since` is when that was tried first, by `time.monotonic`.

        Raises NothingBesideError, StorageError and ClusterError: refused is what another's object has the name of.
        """
        found = await self._cluster.get(task.target.namespace, task.name)
        holder = None if found is None else await held(found, row.id, self._holders)
        if holder is Held.ANOTHERS:
            raise _name_taken(task)
        if found is not None and holder is Held.PASSING:
            self._wait_until_gone(found, since)
        if found is not None and found.deployment_id == task.deployment_id and found.service_id == row.id:
            # Who was killed here may not have come to what opens the storage.
            if not task.applied and (access := await opened(self._storage, self._cluster, row.id, task)) is not None:
                await self._cluster.apply_access(*access.owned_by(found))
            return Put(found)
        if found is None and task.target.canary_beside is not None:
            raise NothingBesideError
        return await self._put(row, task, found, since)

    async def _put(self, row: TaskRow, task: ToApply, found: ObservedService | None, since: float) -> Put:
        wanted = manifest(desired(row.id, task, self._options.mode))
        # Before the object, so that one whose storage nobody can open is not made.
        access = await opened(self._storage, self._cluster, row.id, task)
        if found is None:
            if access is not None:
                await self._wait_for_collector(row.id, task, since)
            made = await self._apply_object(row, task, wanted)
            if access is not None:
                await self._cluster.apply_access(*access.owned_by(made))
            return Put(made)
        wanted = replacing(wanted, found.revision)
        if access is not None:
            with suppress(FieldConflict):  # they are taken over
                await self._cluster.dry_run(wanted)  # if it is refused, what serves on needs the keys that are there
            await self._cluster.apply_access(*access.owned_by(found))  # first, as its pods do not wait for the account
        return Put(await self._apply_object(row, task, wanted), found.failed)

    def _wait_until_gone(self, found: ObservedService, since: float) -> NoReturn:
        """Try again, as long as a deletion may take: it is of this service, or of one that had the name before."""
        if self._may_take_longer(since):
            raise ClusterUnavailable(f"{found.name!r} is still being deleted")
        why = found.pending_deletion if found.deleting else "the InferenceService that has it was not deleted yet"
        raise ClusterRefused("DeletionPending", f"the name is not free: {why}; deploy again once it is gone")

    async def _wait_for_collector(self, service: UUID, task: ToApply, since: float) -> None:
        """Try again until what belonged to an object that was deleted is gone, too, as long as that may take.

        Some clusters, OpenShift among them, let only those give it another owner who may delete it:
        https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#ownerreferencespermissionenforcement
        """
        left = await left_of(self._storage, self._cluster, service, task.target.namespace)
        if left and self._may_take_longer(since):
            raise ClusterUnavailable(f"{left} of an InferenceService that was deleted is not collected yet")

    def _may_take_longer(self, since: float) -> bool:
        return time.monotonic() - since < self._options.stall_seconds

    async def _apply_object(self, row: TaskRow, task: ToApply, wanted: dict[str, Any]) -> ObservedService:
        try:
            return await self._cluster.apply(wanted)
        except FieldConflict as conflict:
            # A deployment is a person's wish, newer than whatever changed the object behind our back.
            _log.warning("taking fields over", service=str(row.id), error=str(conflict))
            found = await self._cluster.get(task.target.namespace, task.name)
            if found is not None and await held(found, row.id, self._holders) is Held.ANOTHERS:
                raise _name_taken(task) from None
            return await self._cluster.apply(wanted, force=True)


def _name_taken(task: ToApply) -> ClusterRefused:
    return ClusterRefused("NameTaken", name_taken(task))
