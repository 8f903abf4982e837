"""One service's request, from the log to the cluster: apply or delete, as often as it takes."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import assert_never

import structlog

from modeltrail.commands.deployments import ClusterReport
from modeltrail.domain.ids import DeploymentId
from modeltrail.domain.inference_service_facts import RecordDisappearance, RecordStall, Repair
from modeltrail.domain.inference_service_messages import (
    ConfirmDeployment,
    ConfirmUndeployment,
    FailDeployment,
    RecordApplied,
)
from modeltrail.domain.parked_task_messages import ParkTask
from modeltrail.failures import causes_of, place_of, stack_of
from modeltrail.postgres.connect import is_lost, is_passing
from modeltrail.postgres.ids import new_id
from modeltrail.projections.deployment_tasks import TaskRow, ToApply, ToDelete
from modeltrail.workers.applying import Applier, NothingBesideError
from modeltrail.workers.cluster import (
    Cluster,
    ClusterError,
    ClusterForbids,
    ClusterRefused,
    ClusterUnavailable,
    Deletion,
    Failure,
    ObservedService,
)
from modeltrail.workers.options import WorkerOptions
from modeltrail.workers.pauses import pauses, sleep
from modeltrail.workers.reports import Reporter
from modeltrail.workers.settling import Settling
from modeltrail.workers.storage import Storage, StorageError
from modeltrail.workers.storage_objects import left_of

FORBIDDEN_SECONDS = 15.0  # an API server that has just started takes one or two until it knows who may what
GONE_BESIDE_CANARY = "the revision that had the rest of the traffic beside the canary is not there any more"
_log = structlog.get_logger(__name__)


class TaskRunner:
    """Works on the newest request for one service; a newer one replaces it between two calls, never within one."""

    def __init__(
        self,
        task: TaskRow,
        cluster: Cluster,
        applier: Applier,
        storage: Storage,
        reporter: Reporter,
        options: WorkerOptions,
        slots: asyncio.Semaphore,
    ) -> None:
        """Begin with `task`. `slots` bounds the calls that all runners make at a time."""
        self.task = task
        self._cluster = cluster
        self._applier = applier
        self._storage = storage
        self._reporter = reporter
        self._options = options
        self._slots = slots
        self._nudged = asyncio.Event()
        self._answered: TaskRow | None = None
        self._stall_told: RecordStall | None = None
        self._began = time.monotonic()
        self._settling = Settling()
        self._applied_told: RecordApplied | None = None
        self._failed_before: Failure | None = None

    @property
    def is_done(self) -> bool:
        """Whether the newest request has its answer, as far as this worker knows."""
        return self._answered is self.task

    @property
    def place(self) -> tuple[str, str]:
        """Namespace and name of the object that the task is about."""
        match self.task.task:
            case ToApply() as task:
                return task.target.namespace, task.name
            case ToDelete() as task:
                return task.namespace, task.name
            case _:
                assert_never(self.task.task)

    def replace(self, task: TaskRow) -> None:
        """Go on with a newer request."""
        self.task = task
        self._settling = Settling()
        self._failed_before = None
        self.nudge()

    def nudge(self) -> None:
        """Try again now: something has changed."""
        self._nudged.set()

    async def run(self) -> None:
        """Return when all is done that can be done about the newest request; the cluster may still have to answer."""
        while True:
            task = self.task
            await self._work_on(task)
            if self.task is task:
                return

    async def _work_on(self, task: TaskRow) -> None:
        failures, cause = 0, ""
        self._began = time.monotonic()
        for pause in pauses():
            if self.task is not task:
                return
            self._nudged.clear()
            try:
                if failures >= self._options.tries:
                    await self._park(task, failures, cause)
                    return
                if await self._try(task) and (self.is_done or not self._nudged.is_set()):
                    return
                failures = 0  # or there is news that came while the answer of before it was dealt with
            except ClusterUnavailable as error:
                _log.warning("the cluster does not answer; trying again", service=str(task.id), error=str(error))
                await sleep(error.retry_after or 0.0)  # it asked for this: no news cuts it short
                await sleep(pause, self._nudged)
            except ClusterError as error:
                _log.error("the cluster cannot be used; trying again", service=str(task.id), error=str(error))
                await sleep(pause, self._nudged)
            except Exception as error:  # noqa: BLE001 - it must not end the others; it is tried again, and then parked
                if not is_passing(error):
                    failures, cause = failures + 1, place_of(error)
                facts = {"cause": causes_of(error), "stack": stack_of(error)}
                _log.error("a deployment task failed; trying again", service=str(task.id), **facts)
                await sleep(pause, self._nudged)
            else:
                # Deletions: often enough to say in time that one hangs.
                await sleep(self._settling.left or min(pause, self._options.stall_seconds), self._nudged)

    async def _try(self, row: TaskRow) -> bool:
        """One attempt; whether nothing is left to do here: the answer is given, or is the cluster's to give."""
        match row.task:
            case ToApply() as task:
                return await self._apply(row, task)
            case ToDelete() as task:
                return await self._delete(row, task)
            case _:
                assert_never(row.task)

    async def _apply(self, row: TaskRow, task: ToApply) -> bool:
        try:
            async with self._slots:
                observed, failed_before = await self._applier.apply(row, task, self._began)
        except (ClusterRefused, StorageError) as refusal:
            if isinstance(refusal, ClusterForbids) and time.monotonic() - self._began < FORBIDDEN_SECONDS:
                raise ClusterUnavailable(str(refusal)) from refusal
            await self._fail(row, task, refusal.reason, str(refusal))
            return True
        except NothingBesideError:
            await self._answer_alone(row, task)
            return True
        self._failed_before = failed_before or self._failed_before
        applied = RecordApplied(deployment_id=task.deployment_id, external_id=observed.uid)
        if applied != self._applied_told:  # it may have been deleted since, and made anew
            await self._reporter.report(row, applied)
            self._applied_told = applied
        return await self.consider(observed)  # the rest is the cluster's: its watch brings the verdict

    def is_overwritten(self, observed: ObservedService) -> bool:
        """Whether it seems that an apply for an earlier deployment, by a worker that was killed, arrived after ours.

        It may also be old news from before our apply, which only a look at the cluster tells.
        """
        task = self.task.task
        return isinstance(task, ToApply) and observed.deployment_id != task.deployment_id and not observed.deleting

    async def try_to_consider(self, observed: ObservedService) -> bool:
        """Consider what was seen, and say whether that was all; what goes wrong must not end those who look."""
        try:
            return await self.consider(observed)
        except Exception as error:
            if is_lost(error):
                raise
            facts = {"cause": causes_of(error), "stack": stack_of(error)}
            _log.error("an answer of the cluster was not understood", service=str(self.task.id), **facts)
            return False

    async def consider(self, observed: ObservedService) -> bool:
        """Report the cluster's verdict if `observed` holds one on the newest request; whether no other look is due."""
        row, task = self.task, self.task.task
        if self.is_done or not isinstance(task, ToApply) or observed.deployment_id != task.deployment_id:
            return True
        # KServe keeps the verdict on the pods of before until there is something to say of the new ones.
        is_known = observed.failed is not None and observed.failed == self._failed_before
        if (observed.unsure or (is_known and not observed.stopped)) and not self._settling.has_settled(observed):
            return False
        if task.target.canary_beside is not None and observed.alone:
            await self._answer_alone(row, task)
        elif observed.ready and not observed.of_before:
            confirmed = ConfirmDeployment(
                deployment_id=task.deployment_id, external_id=observed.uid, url=observed.url or ""
            )
            await self._answer(row, confirmed)
        elif failed := observed.failed or self._failed_to_get_ready(observed):
            await self._fail(row, task, failed.reason, failed.in_words())
        return True

    def _failed_to_get_ready(self, observed: ObservedService) -> Failure | None:
        """A verdict of ours, where there may never be one: KServe gives none on a first deployment in Standard mode."""
        patience = timedelta(seconds=self._options.ready_seconds)
        if observed.applied_at is None or datetime.now(UTC) - observed.applied_at < patience:
            return None
        _, said = observed.interruption or ("", "KServe says nothing of it")
        return Failure("NotReadyInTime", f"not ready within {patience}; {said}")

    async def _answer_alone(self, row: TaskRow, task: ToApply) -> None:
        """What was to keep the rest of the traffic is gone: it is deployed again, and takes all of it."""
        repair = Repair(DeploymentId(new_id()))
        gone = RecordDisappearance(
            deployment_id=task.deployment_id, external_id="", repair=repair, message=GONE_BESIDE_CANARY
        )
        await self._answer(row, gone)

    async def _fail(self, row: TaskRow, task: ToApply, reason: str, message: str) -> None:
        failed = FailDeployment(deployment_id=task.deployment_id, reason=reason, message=message)
        await self._answer(row, failed)

    async def _answer(self, row: TaskRow, verdict: ClusterReport) -> None:
        self._answered = row  # before the report, so that what is seen meanwhile does not report it again
        try:
            await self._reporter.report(row, verdict)
        except BaseException:
            self._answered = None  # cancelled, or worse: whoever looks next must report it
            raise

    async def _park(self, row: TaskRow, tries: int, cause: str) -> None:
        """Leave it to an operator."""
        await self._answer(row, ParkTask(task_id=row.task.id, tries=tries, cause=cause))
        _log.error("a deployment task is parked: modeltrail worker parked", service=str(row.id), task=str(row.task.id))

    async def _delete(self, row: TaskRow, task: ToDelete) -> bool:
        try:
            async with self._slots:
                gone = await self._is_gone(row, task)
        except ClusterRefused as refusal:
            # It stays asked for, and is tried again: somebody may grant the right tomorrow.
            await self._stall(row, task, refusal.reason, f"the cluster refuses to take it away: {refusal}")
            return False
        if gone:
            await self._answer(row, ConfirmUndeployment(undeployment_id=task.undeployment_id))
        return gone

    async def _stall(
        self, row: TaskRow, task: ToDelete, reason: str, message: str, finalizers: tuple[str, ...] = ()
    ) -> None:
        stalled = RecordStall(
            undeployment_id=task.undeployment_id, reason=reason, message=message, finalizers=finalizers
        )
        if stalled != self._stall_told:
            await self._reporter.report(row, stalled)
            self._stall_told = stalled

    def _overdue(self, row: TaskRow) -> bool:
        return (datetime.now(UTC) - row.created_at).total_seconds() >= self._options.stall_seconds

    async def _is_gone(self, row: TaskRow, task: ToDelete) -> bool:
        found = await self._cluster.get(task.namespace, task.name)
        if found is None or (found.service_id != row.id and found.uid != task.external_id):
            return await self._access_is_gone(row, task)
        if found.deleting:
            if self._overdue(row):
                await self._stall(row, task, "FinalizersPending", found.pending_deletion, found.finalizers)
            return False  # its finalizers are at work
        if await self._cluster.delete(task.namespace, task.name, found.uid) is Deletion.STARTED:
            return False
        return await self._access_is_gone(row, task)

    async def _access_is_gone(self, row: TaskRow, task: ToDelete) -> bool:
        """Whether the cluster's garbage collector has done its part."""
        left = await left_of(self._storage, self._cluster, row.id, task.namespace)
        if left and self._overdue(row):
            message = f"the InferenceService is gone, but the cluster's garbage collector has left {left}"
            await self._stall(row, task, "GarbageLeft", message)
        return not left
