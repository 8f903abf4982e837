"""A model version: one trained artifact of a registered model, and whether it is fit to be deployed.

Missing ──register──▶ PENDING ──▶ READY | FAILED (and back: whoever validates it decides)
Missing ──take over──▶ as it was in the registry that it comes from
beside it, and independent of it:  LIVE ◀──archive / restore──▶ ARCHIVED
"""

from typing import assert_never

from msgspec import Struct, structs

from modeltrail.domain.errors import ConflictError, version_not_found
from modeltrail.domain.ids import ModelId, ProjectId
from modeltrail.domain.model_version_messages import (
    ArchiveVersion,
    Artifact,
    ArtifactRevised,
    DeleteVersion,
    DescribeVersion,
    MarkVersionFailed,
    MarkVersionPending,
    MarkVersionReady,
    RegisterVersion,
    RelabelVersion,
    RenameVersion,
    RestoreVersion,
    ReviseArtifact,
    TakeOverVersion,
    VersionArchived,
    VersionChange,
    VersionCommand,
    VersionDeleted,
    VersionDescribed,
    VersionEvent,
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
from modeltrail.domain.taken_over import TakenOver, is_unchanged_there

# --- state ------------------------------------------------------------------------------------------------


class Missing(Struct, frozen=True, tag="missing"):
    """No such version: none yet, or none any more."""

    deleted: bool = False


class Version(Struct, frozen=True, tag="version"):
    project_id: ProjectId
    registered_model_id: ModelId
    name: str
    description: str
    state: str
    status: str
    artifact: Artifact
    labels: dict[str, str]
    has_credentials: bool = False
    taken_over: TakenOver | None = None


VersionSituation = Missing | Version
INITIAL = Missing()


def decide(command: VersionCommand, state: VersionSituation) -> list[VersionEvent]:
    """What happens when `command` meets `state`; nothing when it is so already.

    Raises NotFoundError for a change to a version that does not exist, and ConflictError for taking over one that
    has gone its own way here.
    """
    if isinstance(command, RegisterVersion):
        if not isinstance(state, Missing):
            raise ConflictError("model version is registered already")
        return [VersionRegistered(**structs.asdict(command))]
    if isinstance(command, TakeOverVersion):
        return _take_over(command, state)
    if isinstance(state, Missing):
        raise version_not_found()
    return _change(command, state)


def _take_over(command: TakeOverVersion, state: VersionSituation) -> list[VersionEvent]:
    if isinstance(state, Missing):
        if state.deleted:
            raise ConflictError("version was deleted here")
    elif state.registered_model_id != command.registered_model_id:
        raise ConflictError("version id is taken by one of another model")
    elif is_unchanged_there(state.taken_over, command.fingerprint, "version"):
        return []
    return [VersionTakenOver(**structs.asdict(command), is_again=isinstance(state, Version))]


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
            return [] if version.state == VersionState.ARCHIVED else [archived]
        case RestoreVersion():
            restored = VersionRestored(registered_model_id=model)
            return [] if version.state == VersionState.LIVE else [restored]
        case MarkVersionPending():
            pending = VersionMarkedPending(registered_model_id=model)
            return [] if version.status == VersionStatus.PENDING else [pending]
        case MarkVersionReady():
            ready = VersionMarkedReady(registered_model_id=model)
            return [] if version.status == VersionStatus.READY else [ready]
        case MarkVersionFailed():
            failed = VersionMarkedFailed(registered_model_id=model)
            return [] if version.status == VersionStatus.FAILED else [failed]
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
            has_credentials=event.has_credentials,
        )
    if isinstance(event, VersionTakenOver):
        return _taken_over(event)
    if isinstance(state, Missing):
        return state
    after = _evolve_version(state, event)
    if isinstance(after, Version) and after.taken_over is not None and after.taken_over.is_untouched:
        return structs.replace(after, taken_over=TakenOver(after.taken_over.fingerprint, is_untouched=False))
    return after


def _taken_over(event: VersionTakenOver) -> Version:
    origin = event.origin
    return Version(
        project_id=event.project_id,
        registered_model_id=event.registered_model_id,
        name=origin.name,
        description=origin.description,
        state=origin.state,
        status=origin.status,
        artifact=origin.artifact,
        labels=origin.labels,
        has_credentials=event.has_credentials,
        taken_over=TakenOver(event.fingerprint),
    )


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
            return Missing(deleted=True)
        case _:
            assert_never(event)
