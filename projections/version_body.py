"""A model version as it is shown, and how events change it."""

from typing import Annotated, assert_never, cast, get_args
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, structs

from modeltrail.domain.model_version_messages import (
    ArtifactRevised,
    VersionArchived,
    VersionChanged,
    VersionDeleted,
    VersionDescribed,
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
from modeltrail.projections.times import WholeSeconds, to_seconds

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


def new_version(event: VersionRegistered | VersionTakenOver, recorded: Recorded) -> VersionBody:
    """A new version, or one that was taken over as it was there, times included."""
    return _registered(event, recorded) if isinstance(event, VersionRegistered) else _taken_over(event, recorded)


def evolved(body: VersionBody, recorded: Recorded) -> VersionBody | None:
    """A version that is there after an event that touches it, or None when that was its end."""
    event = recorded.event
    if isinstance(event, VersionDeleted):
        return None
    at = to_seconds(recorded.recorded_at)
    if isinstance(event, DefaultVersionChanged):
        return structs.replace(body, updated_at=at, is_default=event.version_id == body.id)
    if type(event) in _CHANGES:
        return _changed(body, cast("VersionChanged", event), at)  # cast: it is one of these types
    return body


def without_people(body: VersionBody) -> VersionBody:
    """The version for the places that name nobody. The same one when it names nobody anyhow."""
    if body.created_by_email is UNSET and body.updated_by_email is UNSET:
        return body
    return structs.replace(body, created_by_email=UNSET, updated_by_email=UNSET)


def _registered(event: VersionRegistered, recorded: Recorded) -> VersionBody:
    shown, artifact = to_seconds(recorded.recorded_at), event.artifact
    creator, updater = event.created_by_email, event.updated_by_email
    return VersionBody(
        id=recorded.stream,
        created_at=shown,
        updated_at=shown,
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


def _taken_over(event: VersionTakenOver, recorded: Recorded) -> VersionBody:
    origin, creator, updater = event.origin, event.created_by_email, event.updated_by_email
    return VersionBody(
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


_CHANGES = frozenset(get_args(VersionChanged))


def _changed(body: VersionBody, event: VersionChanged, at: str) -> VersionBody:
    match event:
        case VersionRenamed(name=name):
            return structs.replace(body, updated_at=at, name=name)
        case VersionDescribed(description=description):
            return structs.replace(body, updated_at=at, description=description)
        case VersionArchived():
            return structs.replace(body, updated_at=at, state=VersionState.ARCHIVED)
        case VersionRestored():
            return structs.replace(body, updated_at=at, state=VersionState.LIVE)
        case VersionMarkedPending():
            return structs.replace(body, updated_at=at, status=VersionStatus.PENDING)
        case VersionMarkedReady():
            return structs.replace(body, updated_at=at, status=VersionStatus.READY)
        case VersionMarkedFailed():
            return structs.replace(body, updated_at=at, status=VersionStatus.FAILED)
        case ArtifactRevised(artifact=artifact):
            return structs.replace(body, updated_at=at, **structs.asdict(artifact))
        case VersionRelabelled(labels=labels):
            return structs.replace(body, updated_at=at, labels=labels)
        case _:
            assert_never(event)
