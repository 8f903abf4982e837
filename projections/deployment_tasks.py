"""What the deploy worker still has to do: everything that was asked of the cluster and is not answered yet."""

import msgspec
from asyncpg import Record
from msgspec import Struct, structs

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
from modeltrail.eventlog.record import Recorded
from modeltrail.postgres.statements import Statements
from modeltrail.projections.projection import Column, Projection, Row, common_fields, own_row, types_in

SQL = Statements("modeltrail.projections", "documents.sql")


class ToApply(Struct, frozen=True, tag="apply"):
    """Make the cluster serve this. Once `applied`, only the cluster's verdict is missing."""

    deployment_id: DeploymentId
    name: str
    registered_model_id: ModelId
    labels: dict[str, str]
    target: DeploymentTarget
    applied: bool = False


class ToDelete(Struct, frozen=True, tag="delete"):
    """Take this out of the cluster."""

    undeployment_id: DeploymentId
    name: str
    namespace: str
    external_id: str | None


Task = ToApply | ToDelete


class TaskRow(Row, frozen=True):
    """One service's newest unanswered request, and the event that made it: its position, and who it answers to."""

    requested_position: int
    request_id: str
    task: Task


def _apply(row: TaskRow | None, recorded: Recorded) -> TaskRow | None:
    match recorded.event:
        case DeploymentRequested() as event:
            return _requested(ToApply(**structs.asdict(event)), recorded)
        case UndeploymentRequested() as event:
            return _requested(ToDelete(**structs.asdict(event)), recorded)
        case DeploymentApplied() if row is not None and isinstance(row.task, ToApply):
            return structs.replace(row, task=structs.replace(row.task, applied=True))
        case DeploymentSucceeded() | DeploymentFailed() | Undeployed():
            return None
        case _:
            return row


def _requested(task: Task, recorded: Recorded) -> TaskRow:
    return TaskRow(
        id=recorded.stream,
        project_id=recorded.context.project_id,
        created_at=recorded.recorded_at,
        updated_at=recorded.recorded_at,
        requested_position=recorded.position,
        request_id=recorded.context.request_id,
        task=task,
    )


_read_task = msgspec.json.Decoder(Task).decode
_write = msgspec.json.Encoder().encode


def read_task(record: Record) -> TaskRow:
    """A row of the table."""
    return TaskRow(
        **common_fields(record),
        requested_position=record["requested_position"],
        request_id=record["request_id"],
        task=_read_task(record["body"]),
    )


DEPLOYMENT_TASKS = Projection(
    name="deployment_tasks",
    version=1,
    columns=(
        Column("requested_position", "bigint", lambda row: row.requested_position),
        Column("request_id", "text", lambda row: row.request_id),
        Column("body", "json", lambda row: _write(row.task)),
    ),
    unique=(),
    targets=dict.fromkeys(types_in(DeploymentEvent), own_row),
    apply=_apply,
    read=read_task,
    get_documents=SQL.get_task_documents,
    document_of=lambda row: _write(row.task),
)
