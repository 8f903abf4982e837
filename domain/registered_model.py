"""A registered model: what a team calls one thing that it trains, over all its versions.

Missing ──register──▶ LIVE ◀──archive / restore──▶ ARCHIVED ──delete──▶ Missing
Missing ──take over──▶ as it was in the registry that it comes from
"""

import re
from typing import assert_never

from msgspec import Struct, structs

from modeltrail.domain.errors import ConflictError, RuleError, model_not_found
from modeltrail.domain.ids import ProjectId, VersionId
from modeltrail.domain.registered_model_messages import (
    ArchiveModel,
    ClearDefaultVersion,
    DeclareDeploymentStatus,
    DefaultVersionChanged,
    DeleteModel,
    DeploymentStatusDeclared,
    DescribeModel,
    MakeVersionDefault,
    ModelArchived,
    ModelChange,
    ModelCommand,
    ModelDeleted,
    ModelDescribed,
    ModelEvent,
    ModelLaterEvent,
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
    ReclassifyModel,
    RecordModelSize,
    RegisterModel,
    RelabelModel,
    RemoveParent,
    RenameModel,
    RestoreModel,
    RetagModel,
    Tags,
    TakeOverModel,
)
from modeltrail.domain.taken_over import TakenOver, is_unchanged_there

SLUG_LENGTH = 60

_NOT_IN_SLUG = re.compile(r"[^A-Za-z0-9 _-]+")


# --- state ------------------------------------------------------------------------------------------------


class Missing(Struct, frozen=True, tag="missing"):
    """No such model: none yet, or none any more."""

    deleted: bool = False


class Model(Struct, frozen=True, tag="model"):
    project_id: ProjectId
    name: str
    description: str
    model_type: str
    model_size: int
    state: str
    tags: Tags
    labels: dict[str, str]
    default_version_id: VersionId | None
    taken_over: TakenOver | None = None


ModelSituation = Missing | Model
INITIAL = Missing()


def slug_of(name: str) -> str:
    """The name as it can stand in a URL or host name: `a-z 0-9 -`, at most 60 characters."""
    kept = _NOT_IN_SLUG.sub("", name)  # first, so that only A to Z are left to be lowered
    return kept.lower().replace(" ", "-").replace("_", "-")[:SLUG_LENGTH]


def decide(command: ModelCommand, state: ModelSituation) -> list[ModelEvent]:
    """What happens when `command` meets `state`; nothing when it is so already.

    Raises NotFoundError for a change to a model that does not exist, RuleError for deleting one in use, and
    ConflictError for taking over one that has gone its own way here.
    """
    if isinstance(command, RegisterModel):
        return [_register(command, state)]
    if isinstance(command, TakeOverModel):
        return _take_over(command, state)
    if isinstance(state, Missing):
        raise model_not_found()
    return _change(command, state)


def _register(command: RegisterModel, state: ModelSituation) -> ModelRegistered:
    if not isinstance(state, Missing):
        raise ConflictError("model is registered already")
    return ModelRegistered(
        project_id=command.project_id,
        name=command.name,
        slug=slug_of(command.name),
        description=command.description,
        owner_email=command.owner_email,
        model_type=command.model_type,
        tags=command.tags,
        labels=command.labels,
        parent_model_id=command.parent_model_id,
    )


def _take_over(command: TakeOverModel, state: ModelSituation) -> list[ModelEvent]:
    if isinstance(state, Missing):
        if state.deleted:
            raise ConflictError("model was deleted here")
    elif state.project_id != command.project_id:
        raise ConflictError("model id is taken by one of another project")
    elif is_unchanged_there(state.taken_over, command.fingerprint, "model"):
        return []
    taken_over = ModelTakenOver(
        project_id=command.project_id,
        owner_email=command.owner_email,
        origin=command.origin,
        fingerprint=command.fingerprint,
    )
    if isinstance(state, Missing):
        return [taken_over]
    # Versions that have gone their own way here are not taken over again, and would not hear of it otherwise. It comes
    # first: what is taken over last is untouched, and has its times from there.
    return [*_move_default(state, command.origin.default_version_id), taken_over]


def _change(command: ModelChange, model: Model) -> list[ModelEvent]:  # noqa: C901 - one flat case per command
    match command:
        case RenameModel(name=name):
            renamed = ModelRenamed(name=name, previous_name=model.name)
            return [] if name == model.name else [renamed]
        case DescribeModel(description=description):
            return [] if description == model.description else [ModelDescribed(description=description)]
        case ReclassifyModel(model_type=model_type):
            return [] if model_type == model.model_type else [ModelReclassified(model_type=model_type)]
        case RecordModelSize(model_size=size):
            return [] if size == model.model_size else [ModelSizeRecorded(model_size=size)]
        case ArchiveModel():
            return [] if model.state == ModelState.ARCHIVED else [ModelArchived()]
        case RestoreModel():
            return [] if model.state == ModelState.LIVE else [ModelRestored()]
        case DeclareDeploymentStatus(deployment_status=status, current=current):
            return [] if status == current else [DeploymentStatusDeclared(deployment_status=status)]
        case RetagModel(tags=tags):
            return [] if tags == model.tags else [ModelRetagged(tags=tags)]
        case RelabelModel(labels=labels):
            return [] if labels == model.labels else [ModelRelabelled(labels=labels)]
        case MakeVersionDefault(version_id=version):
            return _move_default(model, version)
        case ClearDefaultVersion(version_id=version):
            return _move_default(model, None) if version == model.default_version_id else []
        case RemoveParent(parent_model_id=parent):
            return [ParentRemoved(previous_parent_model_id=parent)]
        case DeleteModel():
            return [_delete(model)]
        case _:
            assert_never(command)


def _delete(model: Model) -> ModelDeleted:
    if model.state != ModelState.ARCHIVED:
        raise RuleError("cannot delete model: must be archived with no READY versions")
    return ModelDeleted(name=model.name)


def _move_default(model: Model, version: VersionId | None) -> list[ModelEvent]:
    previous = model.default_version_id
    if version == previous:
        return []
    return [DefaultVersionChanged(version_id=version, previous_version_id=previous)]


def evolve(state: ModelSituation, event: ModelEvent) -> ModelSituation:
    """The state after `event`."""
    if isinstance(event, ModelRegistered):
        return Model(
            project_id=event.project_id,
            name=event.name,
            description=event.description,
            model_type=event.model_type,
            model_size=0,
            state=ModelState.LIVE,
            tags=event.tags,
            labels=event.labels,
            default_version_id=None,
        )
    if isinstance(event, ModelTakenOver):
        return _taken_over(event)
    if isinstance(state, Missing):
        return state
    after = _evolve_model(state, event)
    if isinstance(after, Model) and after.taken_over is not None and after.taken_over.is_untouched:
        return structs.replace(after, taken_over=TakenOver(after.taken_over.fingerprint, is_untouched=False))
    return after


def _taken_over(event: ModelTakenOver) -> Model:
    origin = event.origin
    return Model(
        project_id=event.project_id,
        name=origin.name,
        description=origin.description,
        model_type=origin.model_type,
        model_size=origin.model_size,
        state=origin.state,
        tags=origin.tags,
        labels=origin.labels,
        default_version_id=origin.default_version_id,
        taken_over=TakenOver(event.fingerprint),
    )


def _evolve_model(model: Model, event: ModelLaterEvent) -> ModelSituation:  # noqa: C901 - one flat case per event
    match event:
        case ModelRenamed(name=name):
            return structs.replace(model, name=name)
        case ModelDescribed(description=description):
            return structs.replace(model, description=description)
        case ModelReclassified(model_type=model_type):
            return structs.replace(model, model_type=model_type)
        case ModelSizeRecorded(model_size=size):
            return structs.replace(model, model_size=size)
        case ModelArchived():
            return structs.replace(model, state=ModelState.ARCHIVED)
        case ModelRestored():
            return structs.replace(model, state=ModelState.LIVE)
        case DeploymentStatusDeclared() | ParentRemoved():
            return model
        case ModelRetagged(tags=tags):
            return structs.replace(model, tags=tags)
        case ModelRelabelled(labels=labels):
            return structs.replace(model, labels=labels)
        case DefaultVersionChanged(version_id=version):
            return structs.replace(model, default_version_id=version)
        case ModelDeleted():
            return Missing(deleted=True)
        case _:
            assert_never(event)
