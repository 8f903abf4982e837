"""After the answer: what the cluster does with a deployment that is live, or failed, is found out and recorded.

Each look compares an object with what should stand there. News that would be wrong if it were old is confirmed by
asking the cluster once more, since a watch may lag behind what another look has seen.
"""

import asyncio
from collections.abc import Awaitable, Sequence
from uuid import UUID

import msgspec
import structlog
from asyncpg import Connection, Record

from modeltrail.domain.ids import DeploymentId
from modeltrail.domain.inference_service_facts import (
    Observation,
    RecordDisappearance,
    RecordDrift,
    RecordInterruption,
    RecordReadiness,
    Repair,
)
from modeltrail.failures import causes_of, stack_of
from modeltrail.postgres.connect import is_lost
from modeltrail.postgres.ids import new_id
from modeltrail.postgres.statements import Statements
from modeltrail.projections.standing_deployments import Standing, StandingRow, read_standing
from modeltrail.workers.cluster import Cluster, ClusterError, ClusterUnavailable, FieldConflict, ObservedService
from modeltrail.workers.desired_service import desired
from modeltrail.workers.drift import differences, is_ours_alone
from modeltrail.workers.manifest import DEPLOYMENT_ID, manifest
from modeltrail.workers.options import OnDrift, WorkerOptions
from modeltrail.workers.pauses import pauses, sleep
from modeltrail.workers.repairs import Repairs
from modeltrail.workers.reports import Reporter
from modeltrail.workers.task_runner import GONE_BESIDE_CANARY

_log = structlog.get_logger(__name__)
SQL = Statements("modeltrail.workers", "deploy.sql")

FIRST_PAUSE_SECONDS = 1.0  # before a look is repeated that the cluster did not answer
COMPARED_AT_A_TIME = 200
_SETTLED = (Standing.LIVE, Standing.INTERRUPTED)


class Upkeep:
    """Looks at services whose newest request has its answer."""

    def __init__(
        self,
        connection: Connection,
        cluster: Cluster,
        reporter: Reporter,
        options: WorkerOptions,
        slots: asyncio.Semaphore,
        group: asyncio.TaskGroup,
    ) -> None:
        """`connection` is for this alone; `slots` bounds the cluster calls at a time; `group` has what waits."""
        self._connection = connection
        self._reading = asyncio.Lock()
        self._cluster = cluster
        self._reporter = reporter
        self._options = options
        self._slots = slots
        self._group = group
        self._repairs = Repairs(options.on_drift, group, self.look_again)
        self._to_look_at: set[UUID] = set()

    async def look(self, service: UUID, observed: ObservedService) -> None:
        """The object was seen like this."""
        await self._guarded(service, self._look(service, observed))

    async def miss(self, service: UUID) -> None:
        """The object was seen to be gone."""
        await self._guarded(service, self._miss(service))

    async def look_again(self, service: UUID) -> None:
        """Something may have happened to the object that nobody has looked at."""
        await self._guarded(service, self.read(service))

    async def read(self, service: UUID) -> None:
        """Look at the object now, because somebody wants to know. Raises ClusterError."""
        row = await self._standing(service)
        if row is None:
            return
        async with self._slots:
            found = await self._cluster.get(row.deployment.wanted.target.namespace, row.deployment.wanted.name)
        if found is not None and _is_of(row, found):
            await self._look(service, found)
        else:
            await self._miss(service)

    async def is_leaving(self, service: UUID) -> bool:
        """Whether the object of this service is to be deleted, and may be there still."""
        return await self._holds(SQL.is_leaving, service)

    async def is_held_by(self, service: UUID, uid: str) -> bool:
        """Whether the object with this UID was the service's when it was seen last, whatever its labels say now."""
        return await self._holds(SQL.is_held_by, service, uid)

    async def resync(self, services: Sequence[ObservedService]) -> None:
        """These are all objects that there are."""
        async with self._reading:
            rows = await self._connection.fetch(SQL.list_standing)
        standing = _readable(rows)
        looks: list[tuple[UUID, Awaitable[None]]] = []
        for number, observed in enumerate(services):
            if observed.service_id is None:
                continue
            row = standing.pop(observed.service_id, None)
            if row is None or self._news(row, observed) is not None or self._has_drifted(row, observed):
                looks.append((observed.service_id, self._look(observed.service_id, observed)))
            if number % COMPARED_AT_A_TIME == 0:
                await asyncio.sleep(0)  # let the watch and the tasks in
        looks += [(row.id, self._miss(row.id)) for row in standing.values() if self._is_missed(row)]
        await asyncio.gather(*(self._guarded(service, look) for service, look in looks))

    async def _guarded(self, service: UUID, look: Awaitable[None]) -> None:
        patience = await self._tried(service, look)
        if patience is not None and service not in self._to_look_at:
            self._to_look_at.add(service)
            self._group.create_task(self._look_until_answered(service, patience), name=f"look again at {service}")

    async def _look_until_answered(self, service: UUID, patience: float | None) -> None:
        """Look again until the cluster answers: what a look was for is announced only once."""
        try:
            for pause in pauses(first=FIRST_PAUSE_SECONDS):
                await sleep(max(pause, patience or 0.0))
                patience = await self._tried(service, self.read(service))
                if patience is None:
                    return
        finally:
            self._to_look_at.discard(service)

    async def _tried(self, service: UUID, look: Awaitable[None]) -> float | None:
        """How many seconds to wait at least before the next look; None when this one needs none."""
        try:
            await look
        except ClusterUnavailable as error:
            _log.warning("a look at the cluster failed; looking again", service=str(service), error=str(error))
            return error.retry_after or 0.0
        except ClusterError as error:
            _log.warning("the cluster refuses to be looked at", service=str(service), error=str(error))
        except Exception as error:
            if is_lost(error):
                raise
            _log.error(
                "an observation was not understood", service=str(service), cause=causes_of(error), stack=stack_of(error)
            )
        return None

    async def _holds(self, statement: str, *arguments: object) -> bool:
        """The answer to a statement that asks whether something is so."""
        async with self._reading:
            found: bool = await self._connection.fetchval(statement, *arguments)
        return found

    async def _standing(self, service: UUID) -> StandingRow | None:
        async with self._reading:
            row = await self._connection.fetchrow(SQL.get_standing, service)
        return read_standing(row) if row else None

    async def _look(self, service: UUID, observed: ObservedService) -> None:
        row = await self._standing(service)
        if row is None:
            await self._remove_orphan(service, observed)
            return
        news = self._news(row, observed)
        if isinstance(news, RecordReadiness):
            await self._reporter.report(row, news)
            row, news = await self._standing(service), None
        if row is None or (news is None and not self._has_drifted(row, observed)):
            return
        async with self._slots:
            found = await self._cluster.get(observed.namespace, observed.name)
        row = await self._standing(service)
        if row is None or found is None or not _is_of(row, found):
            return  # what became of it is told by the next change
        news = self._news(row, found)
        if isinstance(news, RecordDisappearance):
            await self._report_gone(row, news)
            return
        for each in (news, await self._drift(row, found)):
            if each is not None:
                await self._reporter.report(row, each)

    async def _report_gone(self, row: StandingRow, gone: RecordDisappearance) -> None:
        repair = self._repairs.take(row.id)
        if not self._repairs.is_waiting(row.id):  # at its turn it is looked at again
            await self._reporter.report(row, msgspec.structs.replace(gone, repair=repair))

    def _news(self, row: StandingRow, observed: ObservedService) -> Observation | None:
        known = row.deployment
        if observed.deployment_id is None or observed.stale or observed.unsure:
            return None
        about = DeploymentId(observed.deployment_id)
        if not known.may_be_of(about):
            return None
        if known.wanted.target.canary_beside is not None and known.standing in _SETTLED and observed.alone:
            if self._repairs.is_waiting(row.id):
                return None
            return RecordDisappearance(deployment_id=about, external_id="", message=GONE_BESIDE_CANARY)
        if known.standing is Standing.FAILED and observed.of_before:
            return None
        told = known.interruption_of(about)
        if observed.ready:
            seen = (observed.uid, observed.url or "")
            if told == "" and seen == (known.external_id, known.url):
                return None
            return RecordReadiness(deployment_id=about, external_id=observed.uid, url=observed.url or "")
        if told is not None and not observed.deleting and observed.interruption:
            reason, message = observed.interruption
            if reason != told:
                return RecordInterruption(deployment_id=about, reason=reason, message=message)
        return None

    def _has_drifted(self, row: StandingRow, observed: ObservedService) -> bool:
        """Whether it looks as if somebody changed the object; only the cluster can tell who owns a field."""
        if row.deployment.standing not in _SETTLED or observed.deleting or self._repairs.is_waiting(row.id):
            return False
        if row.deployment.drift and self._options.on_drift is OnDrift.REPORT:
            return False
        return bool(differences(self._manifest(row), observed))

    async def _drift(self, row: StandingRow, found: ObservedService) -> Observation | None:
        if not self._has_drifted(row, found):
            return None
        wanted = row.deployment.wanted.deployment_id
        if found.deployment_id != wanted:
            # An apply of ours from before, which arrived late: nobody else's doing, and nothing to leave as it is.
            own = (f".metadata.annotations.{DEPLOYMENT_ID}",)
            return RecordDrift(deployment_id=wanted, managers=(), fields=own, repair=Repair(DeploymentId(new_id())))
        managers: tuple[str, ...] = ()
        fields = differences(self._manifest(row), found)
        try:
            async with self._slots:
                await self._cluster.dry_run(self._manifest(row))
        except FieldConflict as conflict:
            managers, fields = conflict.managers, conflict.fields
        else:
            if not is_ours_alone(fields):
                return None  # a webhook, or another version of ourselves, writes this field differently
        return RecordDrift(deployment_id=wanted, managers=managers, fields=fields, repair=self._repairs.take(row.id))

    def _is_missed(self, row: StandingRow) -> bool:
        """Whether its object should be there: what is known to be gone is made anew, once it is its turn."""
        if self._repairs.is_waiting(row.id):
            return False
        if row.deployment.standing is Standing.GONE:
            return self._options.on_drift is OnDrift.REPAIR
        return row.deployment.standing is not Standing.REQUESTED and bool(row.deployment.external_id)

    async def _miss(self, service: UUID) -> None:
        row = await self._standing(service)
        if row is None or not self._is_missed(row):
            return
        wanted, uid = row.deployment.wanted, row.deployment.external_id
        async with self._slots:
            found = await self._cluster.get(wanted.target.namespace, wanted.name)
        if found is not None and _is_of(row, found):
            if found.service_id != service:
                await self._look(service, found)  # it lost our label, without which no watch and no list shows it
            return
        repair = self._repairs.take(service)
        gone = RecordDisappearance(deployment_id=wanted.deployment_id, external_id=uid, repair=repair)
        await self._reporter.report(row, gone)

    async def _remove_orphan(self, service: UUID, observed: ObservedService) -> None:
        """Delete an object that a killed worker's apply made after its successor found nothing to delete.

        Only of a service that is in our log: another registry may use the same cluster.
        """
        if await self._holds(SQL.is_orphan, service) and not observed.deleting:
            _log.warning("removing an object that nobody wants any more", service=str(service), uid=observed.uid)
            async with self._slots:
                await self._cluster.delete(observed.namespace, observed.name, observed.uid)

    def _manifest(self, row: StandingRow) -> dict[str, object]:
        return manifest(desired(row.id, row.deployment.wanted, self._options.mode))


def _is_of(row: StandingRow, found: ObservedService) -> bool:
    """Whether this object is the service's: by our label, or by its UID, should somebody have taken that label away."""
    return found.service_id == row.id or found.uid == row.deployment.external_id


def _readable(rows: Sequence[Record]) -> dict[UUID, StandingRow]:
    """Without those that this version cannot read: a look at the object of one fails by itself, and leaves it alone."""
    standing = {}
    for row in rows:
        try:
            standing[row["id"]] = read_standing(row)
        except msgspec.DecodeError as error:
            _log.error("a standing deployment cannot be read", service=str(row["id"]), cause=causes_of(error))
    return standing
