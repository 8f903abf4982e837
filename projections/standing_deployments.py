"""What the cluster should hold: of each service that is to be deployed, what was asked and how it stands."""

from enum import StrEnum

import msgspec
from asyncpg import Record
from msgspec import Struct, structs

from modeltrail.domain.canary_messages import CanaryDeployed
from modeltrail.domain.ids import DeploymentId
from modeltrail.domain.inference_service_facts import (
    EarlierVersionInterrupted,
    EarlierVersionRecovered,
    ObjectDisappeared,
    ObjectDrifted,
    ServiceFact,
    ServiceInterrupted,
    ServiceMoved,
    ServiceRecovered,
)
from modeltrail.domain.inference_service_messages import (
    DeploymentApplied,
    DeploymentEvent,
    DeploymentFailed,
    DeploymentRequested,
    DeploymentSucceeded,
    UndeploymentRequested,
)
from modeltrail.domain.inference_service_state import ATTEMPTS_KEPT
from modeltrail.eventlog.record import Recorded
from modeltrail.postgres.statements import Statements
from modeltrail.projections.deployment_tasks import ToApply
from modeltrail.projections.projection import Column, Projection, own_row, types_in
from modeltrail.projections.request_row import REQUEST_COLUMNS, RequestRow, request_fields, request_made_by

SQL = Statements("modeltrail.projections", "documents.sql")


class Standing(StrEnum):
    REQUESTED = "requested"
    LIVE = "live"
    INTERRUPTED = "interrupted"
    FAILED = "failed"
    GONE = "gone"


class StandingDeployment(Struct, frozen=True):
    """What should be in the cluster. `external_id` and `url` are what was seen of it last, `reason` why it is not
    ready, `drift` the fields that others changed.

    `earlier` is the deployment that serves on should the newest one fail, `earlier_reason` why it is not ready;
    `attempted` are those since, newest first, which the object may be of, too.
    """

    wanted: ToApply
    standing: Standing = Standing.REQUESTED
    external_id: str = ""
    url: str = ""
    reason: str = ""
    drift: tuple[str, ...] = ()
    earlier: DeploymentId | None = None
    earlier_reason: str = ""
    attempted: tuple[DeploymentId, ...] = ()

    def may_be_of(self, deployment: DeploymentId) -> bool:
        """Whether an object with that deployment's id is the one that was answered, or the one that serves on."""
        if self.standing is Standing.REQUESTED:
            return False
        # A roll-out that was refused never came to the object, which serves what it did before.
        return deployment == self.wanted.deployment_id or (
            self.standing is Standing.FAILED and deployment in (self.earlier, *self.attempted)
        )

    def interruption_of(self, deployment: DeploymentId) -> str | None:
        """Why that deployment is not ready, as it was told; "" where it is ready, None where it never was."""
        if deployment == self.wanted.deployment_id:
            return self.reason if self.standing in (Standing.LIVE, Standing.INTERRUPTED) else None
        return self.earlier_reason if deployment == self.earlier else None


class StandingRow(RequestRow, frozen=True):
    """One service's newest request for a deployment, answered or not."""

    deployment: StandingDeployment


def _apply(row: StandingRow | None, recorded: Recorded) -> StandingRow | None:
    event = recorded.event
    if isinstance(event, DeploymentRequested):
        return _requested(row, event, recorded)
    if row is None or isinstance(event, UndeploymentRequested):
        return None
    return structs.replace(row, deployment=_changed(row.deployment, recorded), updated_at=recorded.recorded_at)


def _changed(  # noqa: C901 - one flat case per event
    before: StandingDeployment, recorded: Recorded
) -> StandingDeployment:
    match recorded.event:
        case (
            DeploymentSucceeded(external_id=uid, url=url)
            | CanaryDeployed(external_id=uid, url=url)
            | ServiceRecovered(external_id=uid, url=url)
        ):
            return StandingDeployment(before.wanted, Standing.LIVE, uid, url)
        case DeploymentApplied(external_id=uid):
            return structs.replace(before, external_id=uid)
        case DeploymentFailed(reason=reason):
            return structs.replace(before, standing=Standing.FAILED, reason=reason)
        case ServiceInterrupted(reason=reason):
            return structs.replace(before, standing=Standing.INTERRUPTED, reason=reason)
        case EarlierVersionInterrupted(reason=reason):
            return structs.replace(before, earlier_reason=reason)
        case EarlierVersionRecovered(deployment_id=earlier, external_id=uid, url=url):
            attempted = before.attempted if earlier == before.earlier else ()
            return structs.replace(
                before, external_id=uid, url=url, earlier=earlier, earlier_reason="", attempted=attempted
            )
        case ServiceMoved(external_id=uid, url=url):
            return structs.replace(before, external_id=uid, url=url)
        case ObjectDisappeared() if before.standing is Standing.REQUESTED:
            return structs.replace(before, external_id="", earlier=None, earlier_reason="", attempted=())
        case ObjectDisappeared():
            return StandingDeployment(before.wanted, Standing.GONE)
        case ObjectDrifted(fields=fields):
            return structs.replace(before, drift=fields)
        case _:
            return before


def _requested(row: StandingRow | None, event: DeploymentRequested, recorded: Recorded) -> StandingRow:
    # A roll-out that fails leaves the object of before, so its id is kept until another is known.
    wanted, before = ToApply(**structs.asdict(event)), row.deployment if row else None
    if before is None:
        deployment = StandingDeployment(wanted)
    elif before.standing in (Standing.LIVE, Standing.INTERRUPTED):
        earlier, known = before.wanted.deployment_id, (before.external_id, before.url)
        deployment = StandingDeployment(wanted, Standing.REQUESTED, *known, "", (), earlier, before.reason)
    else:
        attempted = (before.wanted.deployment_id, *before.attempted)[:ATTEMPTS_KEPT]
        deployment = structs.replace(
            before, wanted=wanted, standing=Standing.REQUESTED, reason="", drift=(), attempted=attempted
        )
    return StandingRow(**request_made_by(recorded), deployment=deployment)


_read = msgspec.json.Decoder(StandingDeployment).decode
_write = msgspec.json.Encoder().encode


def read_standing(record: Record) -> StandingRow:
    """A row of the table."""
    return StandingRow(**request_fields(record), deployment=_read(record["body"]))


STANDING_DEPLOYMENTS = Projection(
    name="standing_deployments",
    version=5,
    columns=(
        *REQUEST_COLUMNS,
        Column("body", "json", lambda row: _write(row.deployment)),
    ),
    unique=(),
    targets=dict.fromkeys(types_in(DeploymentEvent | ServiceFact), own_row),
    apply=_apply,
    read=read_standing,
    get_documents=SQL.get_standing_documents,
    document_of=lambda row: _write(row.deployment),
)
