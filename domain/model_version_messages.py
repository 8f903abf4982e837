"""A model version's commands and events, and the values in them."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from msgspec import Struct

from modeltrail.domain.event import Command, Event
from modeltrail.domain.ids import ModelId, ProjectId
from modeltrail.domain.personal import Personal


class VersionState(StrEnum):
    LIVE = "LIVE"
    ARCHIVED = "ARCHIVED"


class VersionStatus(StrEnum):
    PENDING = "PENDING"
    READY = "READY"
    FAILED = "FAILED"


class Artifact(Struct, frozen=True):
    """What was trained, and where it lies."""

    artifact_type: str
    model_framework: str
    model_framework_version: str
    container_image: str
    uri: str


class VersionOrigin(Struct, frozen=True):
    """A version as another registry had it. States may be any text: the other did not check them."""

    name: str
    description: str
    is_default: bool
    state: str
    status: str
    created_by_id: UUID | None
    updated_by_id: UUID | None
    artifact: Artifact
    model_catalog_name: str
    labels: dict[str, str]
    prebuilt_container_id: UUID | None
    created_at: datetime
    updated_at: datetime


# --- commands ---------------------------------------------------------------------------------------------


class RegisterVersion(Command, frozen=True):
    project_id: ProjectId
    registered_model_id: ModelId
    name: str
    artifact: Artifact
    description: str = ""
    model_catalog_name: str = ""
    labels: dict[str, str] = {}
    prebuilt_container_id: UUID | None = None
    created_by_email: Personal | None = None
    updated_by_email: Personal | None = None
    has_credentials: bool = False


class TakeOverVersion(Command, frozen=True):
    """Keep a version of another registry here from now on. `fingerprint` tells whether it is the same as last time.

    `is_latest` says that no version of its model is newer.
    """

    project_id: ProjectId
    registered_model_id: ModelId
    created_by_email: Personal | None
    updated_by_email: Personal | None
    origin: VersionOrigin
    has_credentials: bool
    fingerprint: str
    is_latest: bool = False


class RenameVersion(Command, frozen=True):
    name: str


class DescribeVersion(Command, frozen=True):
    description: str


class ArchiveVersion(Command, frozen=True):
    pass


class RestoreVersion(Command, frozen=True):
    pass


class MarkVersionPending(Command, frozen=True):
    pass


class MarkVersionReady(Command, frozen=True):
    pass


class MarkVersionFailed(Command, frozen=True):
    pass


class ReviseArtifact(Command, frozen=True):
    """Replace what is named; None leaves it as it is."""

    artifact_type: str | None = None
    model_framework: str | None = None
    model_framework_version: str | None = None
    container_image: str | None = None
    uri: str | None = None


class RelabelVersion(Command, frozen=True):
    labels: dict[str, str]


class DeleteVersion(Command, frozen=True):
    """Its model is being deleted."""


VersionChange = (
    RenameVersion
    | DescribeVersion
    | ArchiveVersion
    | RestoreVersion
    | MarkVersionPending
    | MarkVersionReady
    | MarkVersionFailed
    | ReviseArtifact
    | RelabelVersion
    | DeleteVersion
)
VersionCommand = RegisterVersion | TakeOverVersion | VersionChange


# --- events -----------------------------------------------------------------------------------------------


class VersionRegistered(Event, frozen=True, tag="model_version.registered"):
    project_id: ProjectId
    registered_model_id: ModelId
    name: str
    artifact: Artifact
    description: str
    model_catalog_name: str
    labels: dict[str, str]
    prebuilt_container_id: UUID | None
    created_by_email: Personal | None
    updated_by_email: Personal | None
    has_credentials: bool


class VersionTakenOver(Event, frozen=True, tag="model_version.taken_over"):
    """It was in another registry before, as `origin` says; once more when it changed there before it did here."""

    project_id: ProjectId
    registered_model_id: ModelId
    created_by_email: Personal | None
    updated_by_email: Personal | None
    origin: VersionOrigin
    has_credentials: bool
    is_latest: bool
    is_again: bool
    fingerprint: str


class VersionEvolved(Event, frozen=True):
    """What happens to a version later says which model it belongs to, so that the model's row can follow."""

    registered_model_id: ModelId


class VersionRenamed(VersionEvolved, frozen=True, tag="model_version.renamed"):
    name: str
    previous_name: str


class VersionDescribed(VersionEvolved, frozen=True, tag="model_version.described"):
    description: str


class VersionArchived(VersionEvolved, frozen=True, tag="model_version.archived"):
    pass


class VersionRestored(VersionEvolved, frozen=True, tag="model_version.restored"):
    pass


class VersionMarkedPending(VersionEvolved, frozen=True, tag="model_version.marked_pending"):
    pass


class VersionMarkedReady(VersionEvolved, frozen=True, tag="model_version.marked_ready"):
    pass


class VersionMarkedFailed(VersionEvolved, frozen=True, tag="model_version.marked_failed"):
    pass


class ArtifactRevised(VersionEvolved, frozen=True, tag="model_version.artifact_revised"):
    artifact: Artifact


class VersionRelabelled(VersionEvolved, frozen=True, tag="model_version.relabelled"):
    labels: dict[str, str]


class VersionDeleted(VersionEvolved, frozen=True, tag="model_version.deleted"):
    name: str


VersionChanged = (
    VersionRenamed
    | VersionDescribed
    | VersionArchived
    | VersionRestored
    | VersionMarkedPending
    | VersionMarkedReady
    | VersionMarkedFailed
    | ArtifactRevised
    | VersionRelabelled
)
VersionLaterEvent = VersionChanged | VersionDeleted
VersionEvent = VersionRegistered | VersionTakenOver | VersionLaterEvent
