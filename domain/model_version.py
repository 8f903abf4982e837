"""A model version: one trained artifact of a registered model, and whether it is fit to be deployed.

Missing ──register──▶ PENDING ──▶ READY | FAILED (and back: whoever validates it decides)
beside it, and independent of it:  LIVE ◀──archive / restore──▶ ARCHIVED
"""

from enum import StrEnum
from typing import assert_never
from uuid import UUID

from msgspec import Struct, structs

from modeltrail.domain.errors import ConflictError, version_not_found
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
VersionCommand = RegisterVersion | VersionChange


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


VersionLaterEvent = (
    VersionRenamed
    | VersionDescribed
    | VersionArchived
    | VersionRestored
    | VersionMarkedPending
    | VersionMarkedReady
    | VersionMarkedFailed
    | ArtifactRevised
    | VersionRelabelled
    | VersionDeleted
)
VersionEvent = VersionRegistered | VersionLaterEvent


# --- state ------------------------------------------------------------------------------------------------


class Missing(Struct, frozen=True, tag="missing"):
    """No such version: none yet, or none any more."""


class Version(Struct, frozen=True, tag="version"):
    project_id: ProjectId
    registered_model_id: ModelId
    name: str
    description: str
    state: VersionState
    status: VersionStatus
    artifact: Artifact
    labels: dict[str, str]


VersionSituation = Missing | Version
INITIAL = Missing()


def decide(command: VersionCommand, state: VersionSituation) -> list[VersionEvent]:
    """What happens when `command` meets `state`; nothing when it is so already.

    Raises NotFoundError for a change to a version that does not exist.
    """
    if isinstance(command, RegisterVersion):
        if not isinstance(state, Missing):
            raise ConflictError("model version is registered already")
        return [VersionRegistered(**structs.asdict(command))]
    if isinstance(state, Missing):
        raise version_not_found()
    return _change(command, state)


def _change(command: VersionChange, version: Version) -> list[VersionEvent]:  # noqa: C901 - one flat case per command
    model = version.registered_model_id
    match command:
        case RenameVersion(name=name):
            renamed = VersionRenamed(registered_model_id=model, name=name, previous_name=version.name)
            return [] if name == version.name else [renamed]
        case DescribeVersion(description=text):
            described = VersionDescribed(registered_model_id=model, description=text)
            return [] if text == version.description else [described]
        case ArchiveVersion():
            archived = VersionArchived(registered_model_id=model)
            return [] if version.state is VersionState.ARCHIVED else [archived]
        case RestoreVersion():
            restored = VersionRestored(registered_model_id=model)
            return [] if version.state is VersionState.LIVE else [restored]
        case MarkVersionPending():
            pending = VersionMarkedPending(registered_model_id=model)
            return [] if version.status is VersionStatus.PENDING else [pending]
        case MarkVersionReady():
            ready = VersionMarkedReady(registered_model_id=model)
            return [] if version.status is VersionStatus.READY else [ready]
        case MarkVersionFailed():
            failed = VersionMarkedFailed(registered_model_id=model)
            return [] if version.status is VersionStatus.FAILED else [failed]
        case ReviseArtifact():
            revised = _revised(version.artifact, command)
            event = ArtifactRevised(registered_model_id=model, artifact=revised)
            return [] if revised == version.artifact else [event]
        case RelabelVersion(labels=labels):
            relabelled = VersionRelabelled(registered_model_id=model, labels=labels)
            return [] if labels == version.labels else [relabelled]
        case DeleteVersion():
            return [VersionDeleted(registered_model_id=model, name=version.name)]
        case _:
            assert_never(command)


def _revised(artifact: Artifact, command: ReviseArtifact) -> Artifact:
    named = {field: value for field, value in structs.asdict(command).items() if value is not None}
    return structs.replace(artifact, **named)


def evolve(state: VersionSituation, event: VersionEvent) -> VersionSituation:
    """The state after `event`."""
    if isinstance(event, VersionRegistered):
        return Version(
            project_id=event.project_id,
            registered_model_id=event.registered_model_id,
            name=event.name,
            description=event.description,
            state=VersionState.LIVE,
            status=VersionStatus.PENDING,
            artifact=event.artifact,
            labels=event.labels,
        )
    if isinstance(state, Missing):
        return state
    return _evolve_version(state, event)


def _evolve_version(version: Version, event: VersionLaterEvent) -> VersionSituation:  # noqa: C901 - one flat case per event
    match event:
        case VersionRenamed(name=name):
            return structs.replace(version, name=name)
        case VersionDescribed(description=description):
            return structs.replace(version, description=description)
        case VersionArchived():
            return structs.replace(version, state=VersionState.ARCHIVED)
        case VersionRestored():
            return structs.replace(version, state=VersionState.LIVE)
        case VersionMarkedPending():
            return structs.replace(version, status=VersionStatus.PENDING)
        case VersionMarkedReady():
            return structs.replace(version, status=VersionStatus.READY)
        case VersionMarkedFailed():
            return structs.replace(version, status=VersionStatus.FAILED)
        case ArtifactRevised(artifact=artifact):
            return structs.replace(version, artifact=artifact)
        case VersionRelabelled(labels=labels):
            return structs.replace(version, labels=labels)
        case VersionDeleted():
            return INITIAL
        case _:
            assert_never(event)
