"""What the deploy worker still has to do: everything that was asked of the cluster and is not answered yet."""

from datetime import datetime

import msgspec
from asyncpg import Record
from msgspec import Struct, structs

from modeltrail.domain.canary_messages import CanaryDeployed
from modeltrail.domain.ids import DeploymentId, ModelId
from modeltrail.domain.inference_service_messages import (
    DeploymentApplied,
    DeploymentEvent,
    DeploymentFailed,
    DeploymentRequested,
    DeploymentSucceeded,
    Undeployed,
    UndeploymentRequested,
)
from modeltrail.domain.inference_service_messages import Target as DeploymentTarget
from modeltrail.domain.parked_task_messages import TaskFact, TaskParked, TaskRetried
from modeltrail.eventlog.record import Recorded
from modeltrail.postgres.statements import Statements
from modeltrail.projections.projection import Column, Projection, own_row, types_in
from modeltrail.projections.request_row import REQUEST_COLUMNS, RequestRow, request_fields, request_made_by

SQL = Statements("modeltrail.projections", "documents.sql")


class ToApply(Struct, frozen=True, tag="apply"):
    """Make the cluster serve this. Once `applied`, only the cluster's verdict is missing."""

    deployment_id: DeploymentId
    name: str
    registered_model_id: ModelId
    labels: dict[str, str]
    target: DeploymentTarget
    applied: bool = False

    @property
    def id(self) -> DeploymentId:
        """Of the request."""
        return self.deployment_id


class ToDelete(Struct, frozen=True, tag="delete"):
    """Take this out of the cluster."""

    undeployment_id: DeploymentId
    name: str
    namespace: str
    external_id: str | None

    @property
    def id(self) -> DeploymentId:
        """Of the request."""
        return self.undeployment_id


Task = ToApply | ToDelete


class Parked(Struct, frozen=True):
    """Why nobody is at a task: the worker failed `tries` times in a row."""

    since: datetime
    tries: int
    cause: str


class TaskRow(RequestRow, frozen=True):
    """One service's newest unanswered request."""

    task: Task
    parked: Parked | None = None


def _apply(row: TaskRow | None, recorded: Recorded) -> TaskRow | None:
    match recorded.event:
        case DeploymentRequested() as event:
            return _requested(ToApply(**structs.asdict(event)), recorded)
        case UndeploymentRequested() as event:
            return _requested(ToDelete(**structs.asdict(event)), recorded)
        case DeploymentApplied() if row is not None and isinstance(row.task, ToApply):
            return structs.replace(row, task=structs.replace(row.task, applied=True))
        case DeploymentSucceeded() | CanaryDeployed() | DeploymentFailed() | Undeployed():
            return None
        case TaskParked(tries=tries, cause=cause) if row is not None:
            return structs.replace(row, parked=Parked(recorded.recorded_at, tries, cause))
        case TaskRetried() if row is not None:
            # After all that the worker has seen, so that it takes it up like a new one.
            return structs.replace(
                row, parked=None, requested_position=recorded.position, request_id=recorded.context.request_id
            )
        case _:
            return row


def _requested(task: Task, recorded: Recorded) -> TaskRow:
    return TaskRow(**request_made_by(recorded), task=task)


_read_task = msgspec.json.Decoder(Task).decode
_read_parked = msgspec.json.Decoder(Parked).decode
_write = msgspec.json.Encoder().encode


def read_task(record: Record) -> TaskRow:
    """A row of the table."""
    parked = record["parked"]
    return TaskRow(
        **request_fields(record),
        task=_read_task(record["body"]),
        parked=None if parked is None else _read_parked(parked),
    )


DEPLOYMENT_TASKS = Projection(
    name="deployment_tasks",
    version=1,
    columns=(
        *REQUEST_COLUMNS,
        Column("parked", "json", lambda row: None if row.parked is None else _write(row.parked)),
        Column("body", "json", lambda row: _write(row.task)),
    ),
    unique=(),
    targets=dict.fromkeys(types_in(DeploymentEvent | TaskFact), own_row),
    apply=_apply,
    read=read_task,
    get_documents=SQL.get_task_documents,
    document_of=lambda row: _write(row.task),
)
