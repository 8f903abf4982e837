"""The read table of registered models, each with its latest and default version."""

from collections.abc import Iterable
from typing import assert_never
from uuid import UUID

import msgspec
from asyncpg import Record
from msgspec import structs

from modeltrail.domain.canary_messages import CanaryDeployed
from modeltrail.domain.event import Event
from modeltrail.domain.inference_service_facts import ObjectDisappeared, ServiceInterrupted, ServiceRecovered
from modeltrail.domain.inference_service_messages import DeploymentFailed, DeploymentSucceeded, Undeployed
from modeltrail.domain.model_version_messages import VersionEvent, VersionRegistered, VersionTakenOver
from modeltrail.domain.registered_model_messages import (
    DefaultVersionChanged,
    DeploymentStatus,
    ModelChanged,
    ModelDeleted,
    ModelEvent,
    ModelRegistered,
    ModelTakenOver,
)
from modeltrail.eventlog.record import Recorded
from modeltrail.postgres.statements import Statements
from modeltrail.projections.model_body import ModelBody, changed, registered, taken_over
from modeltrail.projections.projection import (
    Column,
    OneRow,
    Projection,
    Row,
    Target,
    Targets,
    common_fields,
    new_row,
    own_row,
    types_in,
)
from modeltrail.projections.times import to_seconds

SQL = Statements("modeltrail.projections", "documents.sql")


class ModelRow(Row, frozen=True):
    """A model, and which of its versions a single model shows. `live_services` are those that the cluster serves."""

    body: ModelBody
    latest_version_id: UUID | None = None
    default_version_id: UUID | None = None
    live_services: tuple[UUID, ...] = ()


_DeploymentEvent = (
    DeploymentSucceeded
    | CanaryDeployed
    | DeploymentFailed
    | Undeployed
    | ServiceInterrupted
    | ServiceRecovered
    | ObjectDisappeared
)


def _its_model(_stream: UUID, event: VersionEvent | _DeploymentEvent) -> Iterable[Target]:
    return (OneRow(event.registered_model_id),)


_TARGETS: dict[type[Event], Targets] = {
    **dict.fromkeys(types_in(ModelEvent), own_row),
    **dict.fromkeys(types_in(VersionEvent | _DeploymentEvent), _its_model),
    ModelRegistered: new_row,
}


def _apply(row: ModelRow | None, recorded: Recorded) -> ModelRow | None:
    event, at = recorded.event, recorded.recorded_at
    if isinstance(event, ModelRegistered):
        return _registered(event, recorded)
    if isinstance(event, ModelTakenOver):
        return _taken_over(row, event, recorded)
    if row is None or isinstance(event, ModelDeleted):
        return None
    if isinstance(event, DefaultVersionChanged):
        return structs.replace(row, default_version_id=event.version_id)
    if isinstance(event, ModelChanged):
        body = structs.replace(changed(row.body, event), updated_at=to_seconds(at))
        return structs.replace(row, body=body, updated_at=at)
    if isinstance(event, VersionRegistered):
        # The log's times never go back, so the version registered last is the newest.
        body = structs.replace(row.body, version_count=row.body.version_count + 1)
        return structs.replace(row, body=body, latest_version_id=recorded.stream)
    if isinstance(event, VersionTakenOver):
        return _with_version_taken_over(row, event, recorded)
    if isinstance(event, _DeploymentEvent):
        return _deployed(row, event, recorded)
    return row  # a version changed: the row is the same, and its revision moves, because its answer shows the version


def _registered(event: ModelRegistered, recorded: Recorded) -> ModelRow:
    at = recorded.recorded_at
    body = registered(event, recorded)
    return ModelRow(id=recorded.stream, project_id=event.project_id, created_at=at, updated_at=at, body=body)


def _taken_over(row: ModelRow | None, event: ModelTakenOver, recorded: Recorded) -> ModelRow:
    """As it was there. Taken over once more, it keeps its versions, and what the cluster serves."""
    origin, live = event.origin, row.live_services if row else ()
    body = taken_over(event, recorded)
    if row is not None:
        status = row.body.deployment_status if live else body.deployment_status
        body = structs.replace(body, version_count=row.body.version_count, deployment_status=status)
    return ModelRow(
        id=recorded.stream,
        project_id=event.project_id,
        created_at=origin.created_at,
        updated_at=origin.updated_at,
        revision=row.revision if row else 0,
        body=body,
        latest_version_id=row.latest_version_id if row else None,
        default_version_id=origin.default_version_id,
        live_services=live,
    )


def _with_version_taken_over(row: ModelRow, event: VersionTakenOver, recorded: Recorded) -> ModelRow:
    count = row.body.version_count + (0 if event.is_again else 1)
    latest = recorded.stream if event.is_latest else row.latest_version_id
    return structs.replace(row, body=structs.replace(row.body, version_count=count), latest_version_id=latest)


def _deployed(row: ModelRow, event: _DeploymentEvent, recorded: Recorded) -> ModelRow:
    others = tuple(service for service in row.live_services if service != recorded.stream)
    match event:
        case DeploymentSucceeded() | CanaryDeployed() | ServiceRecovered():
            live, status = (*others, recorded.stream), DeploymentStatus.DEPLOYED
        case DeploymentFailed():
            live, status = row.live_services, DeploymentStatus.FAILED
        case ServiceInterrupted() | ObjectDisappeared():
            live, status = others, DeploymentStatus.FAILED
        case Undeployed():
            live, status = others, DeploymentStatus.DEPLOYED if others else DeploymentStatus.UNDEPLOYED
        case _:
            assert_never(event)
    at = recorded.recorded_at
    body = structs.replace(row.body, deployment_status=status, updated_at=to_seconds(at))
    return structs.replace(row, body=body, live_services=live, updated_at=at)


_read_body = msgspec.json.Decoder(ModelBody).decode
_read_ids = msgspec.json.Decoder(tuple[UUID, ...]).decode
_write = msgspec.json.Encoder().encode


def _read(record: Record) -> ModelRow:
    return ModelRow(
        **common_fields(record),
        body=_read_body(record["body"]),
        latest_version_id=record["latest_version_id"],
        default_version_id=record["default_version_id"],
        live_services=_read_ids(record["live_services"]),
    )


def _document(record: Record) -> bytes:
    """The model as a single resource: its body, then the versions that it shows."""
    body: bytes = record["body"]
    for name, version in ((b"latest_version", record["latest"]), (b"default_version", record["default"])):
        if version is not None:
            body = b'%b,"%b":%b}' % (body[:-1], name, version)
    return body


def _document_of(row: ModelRow) -> bytes | None:
    return None if row.latest_version_id or row.default_version_id else _write(row.body)


MODELS = Projection(
    name="models",
    version=1,
    columns=(
        Column("name", "text", lambda row: row.body.name),
        Column("state", "text", lambda row: row.body.state),
        Column("model_type", "text", lambda row: row.body.model_type),
        Column("parent_model_id", "uuid", lambda row: row.body.parent_model_id),
        Column("latest_version_id", "uuid", lambda row: row.latest_version_id),
        Column("default_version_id", "uuid", lambda row: row.default_version_id),
        Column("live_services", "json", lambda row: _write(row.live_services) if row.live_services else b"[]"),
        Column("body", "json", lambda row: _write(row.body)),
    ),
    unique=("project_id", "name"),
    counted=("state", "model_type"),
    targets=_TARGETS,
    apply=_apply,
    read=_read,
    get_documents=SQL.get_model_documents,
    document=_document,
    document_of=_document_of,
)
