"""The read table of registered models, each with its latest and default version."""

from collections.abc import Iterable
from typing import Annotated, assert_never
from uuid import UUID

import msgspec
from asyncpg import Record
from msgspec import UNSET, Meta, Struct, UnsetType, structs

from modeltrail.domain.canary_messages import CanaryDeployed
from modeltrail.domain.event import Event
from modeltrail.domain.inference_service_facts import ObjectDisappeared, ServiceInterrupted, ServiceRecovered
from modeltrail.domain.inference_service_messages import DeploymentFailed, DeploymentSucceeded, Undeployed
from modeltrail.domain.model_version_messages import VersionEvent, VersionRegistered, VersionTakenOver
from modeltrail.domain.registered_model_messages import (
    DefaultVersionChanged,
    DeploymentStatus,
    DeploymentStatusDeclared,
    ModelArchived,
    ModelChanged,
    ModelDeleted,
    ModelDescribed,
    ModelEvent,
    ModelReclassified,
    ModelRegistered,
    ModelRelabelled,
    ModelRenamed,
    ModelRestored,
    ModelRetagged,
    ModelSizeRecorded,
    ModelState,
    ModelTakenOver,
    ParentRemoved,
    Tags,
)
from modeltrail.eventlog.record import Recorded
from modeltrail.postgres.statements import Statements
from modeltrail.projections.model_versions import VersionInModel
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
from modeltrail.projections.times import WholeSeconds, to_seconds

SQL = Statements("modeltrail.projections", "documents.sql")


ModelStateText = Annotated[str, Meta(description="LIVE or ARCHIVED; a model that was taken over may hold any text.")]
DeploymentStatusText = Annotated[
    str, Meta(description="UNDEPLOYED, DEPLOYED or FAILED; a model that was taken over may hold any text.")
]


class ModelBody(Struct, frozen=True, kw_only=True):
    """A model as lists show it, in the order of the wire."""

    id: UUID
    created_at: WholeSeconds
    updated_at: WholeSeconds
    project_id: UUID
    owner_id: UUID | None
    owner_email: str | UnsetType = UNSET
    name: str
    slug: str
    description: str
    model_type: str
    model_size: int
    state: ModelStateText
    deployment_status: DeploymentStatusText
    tags: Tags
    labels: dict[str, str]
    parent_model_id: UUID | None
    version_count: int


class ModelWithVersions(ModelBody, frozen=True, kw_only=True):
    """A model as it is shown on its own; a version is left out when there is none."""

    latest_version: VersionInModel | UnsetType = UNSET  # type: ignore[valid-type] # made of VersionBody's fields
    default_version: VersionInModel | UnsetType = UNSET  # type: ignore[valid-type] # the same


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
        body = structs.replace(_changed(row.body, event), updated_at=to_seconds(at))
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
    owner = event.owner_email.text if event.owner_email else None
    shown = to_seconds(at)
    body = ModelBody(
        id=recorded.stream,
        created_at=shown,
        updated_at=shown,
        project_id=event.project_id,
        owner_id=None,
        owner_email=owner or UNSET,
        name=event.name,
        slug=event.slug,
        description=event.description,
        model_type=event.model_type,
        model_size=0,
        state=ModelState.LIVE,
        deployment_status=DeploymentStatus.UNDEPLOYED,
        tags=event.tags,
        labels=event.labels,
        parent_model_id=event.parent_model_id,
        version_count=0,
    )
    return ModelRow(id=recorded.stream, project_id=event.project_id, created_at=at, updated_at=at, body=body)


def _taken_over(row: ModelRow | None, event: ModelTakenOver, recorded: Recorded) -> ModelRow:
    """As it was there, times included. Taken over once more, it keeps its versions, and what the cluster serves."""
    origin, live = event.origin, row.live_services if row else ()
    owner = event.owner_email.text if event.owner_email else None
    body = ModelBody(
        id=recorded.stream,
        created_at=to_seconds(origin.created_at),
        updated_at=to_seconds(origin.updated_at),
        project_id=event.project_id,
        owner_id=origin.owner_id,
        owner_email=owner or UNSET,
        name=origin.name,
        slug=origin.slug,
        description=origin.description,
        model_type=origin.model_type,
        model_size=origin.model_size,
        state=origin.state,
        deployment_status=row.body.deployment_status if row and live else origin.deployment_status,
        tags=origin.tags,
        labels=origin.labels,
        parent_model_id=origin.parent_model_id,
        version_count=row.body.version_count if row else 0,
    )
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


def _changed(body: ModelBody, event: ModelChanged) -> ModelBody:  # noqa: C901 - one flat case per event
    match event:
        case ParentRemoved():
            return structs.replace(body, parent_model_id=None)
        case ModelRenamed(name=name):
            return structs.replace(body, name=name)
        case ModelDescribed(description=description):
            return structs.replace(body, description=description)
        case ModelReclassified(model_type=model_type):
            return structs.replace(body, model_type=model_type)
        case ModelSizeRecorded(model_size=size):
            return structs.replace(body, model_size=size)
        case ModelArchived():
            return structs.replace(body, state=ModelState.ARCHIVED)
        case ModelRestored():
            return structs.replace(body, state=ModelState.LIVE)
        case DeploymentStatusDeclared(deployment_status=status):
            return structs.replace(body, deployment_status=status)
        case ModelRetagged(tags=tags):
            return structs.replace(body, tags=tags)
        case ModelRelabelled(labels=labels):
            return structs.replace(body, labels=labels)
        case _:
            assert_never(event)


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
