"""A registered model's commands and events, and the values in them."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from msgspec import Struct

from modeltrail.domain.event import Command, Event
from modeltrail.domain.ids import ModelId, ProjectId, VersionId
from modeltrail.domain.personal import Personal


class ModelState(StrEnum):
    LIVE = "LIVE"
    ARCHIVED = "ARCHIVED"


class DeploymentStatus(StrEnum):
    UNDEPLOYED = "UNDEPLOYED"
    DEPLOYED = "DEPLOYED"
    FAILED = "FAILED"


class Tags(Struct, frozen=True):
    """What a model is made of and made for, in the team's own words."""

    frameworks: tuple[str, ...] = ()
    architectures: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()


class ModelOrigin(Struct, frozen=True):
    """A model as another registry had it. States may be any text: the other did not check them."""

    owner_id: UUID | None
    name: str
    slug: str
    description: str
    model_type: str
    model_size: int
    state: str
    deployment_status: str
    tags: Tags
    labels: dict[str, str]
    parent_model_id: ModelId | None
    default_version_id: VersionId | None
    created_at: datetime
    updated_at: datetime


# --- commands ---------------------------------------------------------------------------------------------


class RegisterModel(Command, frozen=True):
    model_id: ModelId
    project_id: ProjectId
    name: str
    description: str = ""
    owner_email: Personal | None = None
    model_type: str = "CUSTOMTRAIN"
    tags: Tags = Tags()
    labels: dict[str, str] = {}
    parent_model_id: ModelId | None = None


class TakeOverModel(Command, frozen=True):
    """Keep a model of another registry here from now on. `fingerprint` tells whether it is the same as last time."""

    model_id: ModelId
    project_id: ProjectId
    owner_email: Personal | None
    origin: ModelOrigin
    fingerprint: str


class RenameModel(Command, frozen=True):
    name: str


class DescribeModel(Command, frozen=True):
    description: str


class ReclassifyModel(Command, frozen=True):
    model_type: str


class RecordModelSize(Command, frozen=True):
    model_size: int


class ArchiveModel(Command, frozen=True):
    pass


class RestoreModel(Command, frozen=True):
    pass


class DeclareDeploymentStatus(Command, frozen=True):
    """A caller says how the model is deployed. Deployments speak for themselves, on streams of their own, so
    the status that holds now comes in with the command."""

    deployment_status: DeploymentStatus
    current: str


class RetagModel(Command, frozen=True):
    tags: Tags


class RelabelModel(Command, frozen=True):
    labels: dict[str, str]


class MakeVersionDefault(Command, frozen=True):
    version_id: VersionId


class ClearDefaultVersion(Command, frozen=True):
    """This version is to be the default no longer. Nothing happens if it is not."""

    version_id: VersionId


class RemoveParent(Command, frozen=True):
    """The model that this one comes from is being deleted."""

    parent_model_id: ModelId


class DeleteModel(Command, frozen=True):
    pass


ModelChange = (
    RenameModel
    | DescribeModel
    | ReclassifyModel
    | RecordModelSize
    | ArchiveModel
    | RestoreModel
    | DeclareDeploymentStatus
    | RetagModel
    | RelabelModel
    | MakeVersionDefault
    | ClearDefaultVersion
    | RemoveParent
    | DeleteModel
)
ModelCommand = RegisterModel | TakeOverModel | ModelChange


# --- events -----------------------------------------------------------------------------------------------


class ModelRegistered(Event, frozen=True, tag="registered_model.registered"):
    project_id: ProjectId
    name: str
    slug: str
    description: str
    owner_email: Personal | None
    model_type: str
    tags: Tags
    labels: dict[str, str]
    parent_model_id: ModelId | None


class ModelTakenOver(Event, frozen=True, tag="registered_model.taken_over"):
    """It was in another registry before, as `origin` says; once more when it changed there before it did here."""

    project_id: ProjectId
    owner_email: Personal | None
    origin: ModelOrigin
    fingerprint: str


class ModelRenamed(Event, frozen=True, tag="registered_model.renamed"):
    name: str
    previous_name: str


class ModelDescribed(Event, frozen=True, tag="registered_model.described"):
    description: str


class ModelReclassified(Event, frozen=True, tag="registered_model.reclassified"):
    model_type: str


class ModelSizeRecorded(Event, frozen=True, tag="registered_model.size_recorded"):
    model_size: int


class ModelArchived(Event, frozen=True, tag="registered_model.archived"):
    pass


class ModelRestored(Event, frozen=True, tag="registered_model.restored"):
    pass


class DeploymentStatusDeclared(Event, frozen=True, tag="registered_model.deployment_status_declared"):
    deployment_status: DeploymentStatus


class ModelRetagged(Event, frozen=True, tag="registered_model.retagged"):
    tags: Tags


class ModelRelabelled(Event, frozen=True, tag="registered_model.relabelled"):
    labels: dict[str, str]


class DefaultVersionChanged(Event, frozen=True, tag="registered_model.default_version_changed"):
    """At most one version of a model is its default; None is: no default."""

    version_id: VersionId | None
    previous_version_id: VersionId | None


class ParentRemoved(Event, frozen=True, tag="registered_model.parent_removed"):
    previous_parent_model_id: ModelId


class ModelDeleted(Event, frozen=True, tag="registered_model.deleted"):
    """Each of its versions says so on its own stream."""

    name: str


ModelChanged = (
    ModelRenamed
    | ModelDescribed
    | ModelReclassified
    | ModelSizeRecorded
    | ModelArchived
    | ModelRestored
    | DeploymentStatusDeclared
    | ModelRetagged
    | ModelRelabelled
    | ParentRemoved
)
ModelLaterEvent = ModelChanged | DefaultVersionChanged | ModelDeleted
ModelEvent = ModelRegistered | ModelTakenOver | ModelLaterEvent
