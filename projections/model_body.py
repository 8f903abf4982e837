"""A registered model as it is shown, and how events change it."""

from typing import Annotated, assert_never
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType, structs

from modeltrail.domain.registered_model_messages import (
    DeploymentStatus,
    DeploymentStatusDeclared,
    ModelArchived,
    ModelChanged,
    ModelDescribed,
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
from modeltrail.projections.times import WholeSeconds, to_seconds
from modeltrail.projections.version_body import VersionInModel

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


def registered(event: ModelRegistered, recorded: Recorded) -> ModelBody:
    """A new model."""
    owner = event.owner_email.text if event.owner_email else None
    shown = to_seconds(recorded.recorded_at)
    return ModelBody(
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


def taken_over(event: ModelTakenOver, recorded: Recorded) -> ModelBody:
    """As it was there, times included, and without versions."""
    origin = event.origin
    owner = event.owner_email.text if event.owner_email else None
    return ModelBody(
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
        deployment_status=origin.deployment_status,
        tags=origin.tags,
        labels=origin.labels,
        parent_model_id=origin.parent_model_id,
        version_count=0,
    )


def changed(body: ModelBody, event: ModelChanged, at: str) -> ModelBody:  # noqa: C901 - one flat case per event
    """The model after what was said of it, `at` a time as it is shown."""
    match event:
        case ParentRemoved():
            return structs.replace(body, updated_at=at, parent_model_id=None)
        case ModelRenamed(name=name):
            return structs.replace(body, updated_at=at, name=name)
        case ModelDescribed(description=description):
            return structs.replace(body, updated_at=at, description=description)
        case ModelReclassified(model_type=model_type):
            return structs.replace(body, updated_at=at, model_type=model_type)
        case ModelSizeRecorded(model_size=size):
            return structs.replace(body, updated_at=at, model_size=size)
        case ModelArchived():
            return structs.replace(body, updated_at=at, state=ModelState.ARCHIVED)
        case ModelRestored():
            return structs.replace(body, updated_at=at, state=ModelState.LIVE)
        case DeploymentStatusDeclared(deployment_status=status):
            return structs.replace(body, updated_at=at, deployment_status=status)
        case ModelRetagged(tags=tags):
            return structs.replace(body, updated_at=at, tags=tags)
        case ModelRelabelled(labels=labels):
            return structs.replace(body, updated_at=at, labels=labels)
        case _:
            assert_never(event)
