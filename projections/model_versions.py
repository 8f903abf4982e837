"""The read table of model versions."""

from collections.abc import Iterable
from typing import Annotated, assert_never
from uuid import UUID

import msgspec
from asyncpg import Record
from msgspec import UNSET, Meta, Struct, UnsetType, structs

from modeltrail.domain.event import Event
from modeltrail.domain.model_version_messages import (
    ArtifactRevised,
    VersionArchived,
    VersionChanged,
    VersionDeleted,
    VersionDescribed,
    VersionLaterEvent,
    VersionMarkedFailed,
    VersionMarkedPending,
    VersionMarkedReady,
    VersionRegistered,
    VersionRelabelled,
    VersionRenamed,
    VersionRestored,
    VersionState,
    VersionStatus,
    VersionTakenOver,
)
from modeltrail.domain.registered_model_messages import DefaultVersionChanged
from modeltrail.eventlog.record import Recorded
from modeltrail.postgres.statements import Statements
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


VersionStateText = Annotated[
    str, Meta(description="LIVE or ARCHIVED; a version that was taken over may hold any text.")
]
VersionStatusText = Annotated[
    str, Meta(description="PENDING, READY or FAILED; a version that was taken over may hold any text.")
]


class VersionBody(Struct, frozen=True, kw_only=True):
    """A version in the order of the wire."""

    id: UUID
    created_at: WholeSeconds
    updated_at: WholeSeconds
    registered_model_id: UUID
    name: str
    description: str
    is_default: bool
    state: VersionStateText
    status: VersionStatusText
    created_by_id: UUID | None
    updated_by_id: UUID | None
    created_by_email: str | UnsetType = UNSET
    updated_by_email: str | UnsetType = UNSET
    artifact_type: str
    model_framework: str
    model_framework_version: str
    container_image: str
    model_catalog_name: str
    uri: str
    labels: dict[str, str]
    prebuilt_container_id: UUID | None


# A version inside its model names nobody.
VersionInModel = msgspec.defstruct(
    "VersionInModel",
    [(field.name, field.type) for field in structs.fields(VersionBody) if not field.name.endswith("_email")],
    frozen=True,
    kw_only=True,
    namespace={"__doc__": "A version as its model shows it."},
)


class VersionRow(Row, frozen=True):
    """A version. `has_credentials`: something is kept that opens its storage."""

    body: VersionBody
    has_credentials: bool = False


def _both_defaults(_stream: UUID, event: DefaultVersionChanged) -> Iterable[Target]:
    moved = (event.previous_version_id, event.version_id)
    return [OneRow(version) for version in moved if version is not None]


_TARGETS: dict[type[Event], Targets] = {
    **dict.fromkeys(types_in(VersionLaterEvent), own_row),
    VersionRegistered: new_row,
    VersionTakenOver: own_row,
    DefaultVersionChanged: _both_defaults,
}


def _apply(row: VersionRow | None, recorded: Recorded) -> VersionRow | None:
    event, at = recorded.event, recorded.recorded_at
    if isinstance(event, VersionRegistered):
        return _registered(event, recorded)
    if isinstance(event, VersionTakenOver):
        return _taken_over(row, event, recorded)
    if row is None or isinstance(event, VersionDeleted):
        return None
    if isinstance(event, DefaultVersionChanged):
        body = structs.replace(row.body, is_default=event.version_id == row.id)
    elif isinstance(event, VersionChanged):
        body = _changed(row.body, event)
    else:
        return row
    return structs.replace(row, body=structs.replace(body, updated_at=to_seconds(at)), updated_at=at)


def _registered(event: VersionRegistered, recorded: Recorded) -> VersionRow:
    at, artifact = recorded.recorded_at, event.artifact
    creator, updater = event.created_by_email, event.updated_by_email
    body = VersionBody(
        id=recorded.stream,
        created_at=to_seconds(at),
        updated_at=to_seconds(at),
        registered_model_id=event.registered_model_id,
        name=event.name,
        description=event.description,
        is_default=False,
        state=VersionState.LIVE,
        status=VersionStatus.PENDING,
        created_by_id=None,
        updated_by_id=None,
        created_by_email=(creator and creator.text) or UNSET,
        updated_by_email=(updater and updater.text) or UNSET,
        artifact_type=artifact.artifact_type,
        model_framework=artifact.model_framework,
        model_framework_version=artifact.model_framework_version,
        container_image=artifact.container_image,
        model_catalog_name=event.model_catalog_name,
        uri=artifact.uri,
        labels=event.labels,
        prebuilt_container_id=event.prebuilt_container_id,
    )
    return VersionRow(
        id=recorded.stream,
        project_id=event.project_id,
        created_at=at,
        updated_at=at,
        body=body,
        has_credentials=event.has_credentials,
    )


def _taken_over(row: VersionRow | None, event: VersionTakenOver, recorded: Recorded) -> VersionRow:
    """As it was there, times included."""
    origin, creator, updater = event.origin, event.created_by_email, event.updated_by_email
    body = VersionBody(
        id=recorded.stream,
        created_at=to_seconds(origin.created_at),
        updated_at=to_seconds(origin.updated_at),
        registered_model_id=event.registered_model_id,
        name=origin.name,
        description=origin.description,
        is_default=origin.is_default,
        state=origin.state,
        status=origin.status,
        created_by_id=origin.created_by_id,
        updated_by_id=origin.updated_by_id,
        created_by_email=(creator and creator.text) or UNSET,
        updated_by_email=(updater and updater.text) or UNSET,
        model_catalog_name=origin.model_catalog_name,
        labels=origin.labels,
        prebuilt_container_id=origin.prebuilt_container_id,
        **structs.asdict(origin.artifact),
    )
    return VersionRow(
        id=recorded.stream,
        project_id=event.project_id,
        created_at=origin.created_at,
        updated_at=origin.updated_at,
        revision=row.revision if row else 0,
        body=body,
        has_credentials=event.has_credentials,
    )


def _changed(body: VersionBody, event: VersionChanged) -> VersionBody:
    match event:
        case VersionRenamed(name=name):
            return structs.replace(body, name=name)
        case VersionDescribed(description=description):
            return structs.replace(body, description=description)
        case VersionArchived():
            return structs.replace(body, state=VersionState.ARCHIVED)
        case VersionRestored():
            return structs.replace(body, state=VersionState.LIVE)
        case VersionMarkedPending():
            return structs.replace(body, status=VersionStatus.PENDING)
        case VersionMarkedReady():
            return structs.replace(body, status=VersionStatus.READY)
        case VersionMarkedFailed():
            return structs.replace(body, status=VersionStatus.FAILED)
        case ArtifactRevised(artifact=artifact):
            return structs.replace(body, **structs.asdict(artifact))
        case VersionRelabelled(labels=labels):
            return structs.replace(body, labels=labels)
        case _:
            assert_never(event)


_read_body = msgspec.json.Decoder(VersionBody).decode
_write = msgspec.json.Encoder().encode


def _brief(row: VersionRow) -> bytes | None:
    body = row.body
    if body.created_by_email is UNSET and body.updated_by_email is UNSET:
        return None
    return _write(structs.replace(body, created_by_email=UNSET, updated_by_email=UNSET))


def _read(record: Record) -> VersionRow:
    return VersionRow(
        **common_fields(record), body=_read_body(record["body"]), has_credentials=record["has_credentials"]
    )


MODEL_VERSIONS = Projection(
    name="model_versions",
    version=1,
    columns=(
        Column("registered_model_id", "uuid", lambda row: row.body.registered_model_id),
        Column("name", "text", lambda row: row.body.name),
        Column("state", "text", lambda row: row.body.state),
        Column("status", "text", lambda row: row.body.status),
        Column("has_credentials", "boolean", lambda row: row.has_credentials),
        Column("body", "json", lambda row: _write(row.body)),
        Column("brief", "json", _brief),
    ),
    unique=("registered_model_id", "name"),
    counted=("state", "status"),
    targets=_TARGETS,
    apply=_apply,
    read=_read,
    get_documents=SQL.get_version_documents,
    document_of=lambda row: _write(row.body),
    parent_of=lambda row: row.body.registered_model_id,
)
