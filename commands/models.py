"""What callers want of registered models."""

from msgspec import Struct

from modeltrail.commands.decision import Answer, Decision, begin, carry_on
from modeltrail.commands.existing import existing, require_revision
from modeltrail.commands.question import row_named
from modeltrail.domain.decider import REGISTERED_MODEL
from modeltrail.domain.errors import ConflictError, model_not_found
from modeltrail.domain.ids import ModelId, ProjectId
from modeltrail.domain.registered_model_messages import (
    ArchiveModel,
    DeclareDeploymentStatus,
    DeploymentStatus,
    DescribeModel,
    ModelChange,
    ModelState,
    ReclassifyModel,
    RecordModelSize,
    RegisterModel,
    RelabelModel,
    RenameModel,
    RestoreModel,
    RetagModel,
    Tags,
)
from modeltrail.projections.models import MODELS, ModelRow


async def existing_model(project_id: ProjectId, model_id: ModelId) -> ModelRow:
    """The model's row. Raises NotFoundError when the project has none with this id."""
    return await existing(MODELS, project_id, model_id, model_not_found)


async def _require_free(project_id: ProjectId, name: str) -> None:
    if await row_named(MODELS, project_id, name) is not None:
        raise ConflictError("model with this name already exists in the project")


class Register(Struct, frozen=True):
    """Register a model."""

    wish: RegisterModel

    async def decide(self) -> Decision:
        wish = self.wish
        if wish.parent_model_id is not None:
            await existing_model(wish.project_id, wish.parent_model_id)
        await _require_free(wish.project_id, wish.name)
        return Decision(Answer(MODELS, wish.model_id), (begin(REGISTERED_MODEL, wish.model_id, wish),))


class Revise(Struct, frozen=True, kw_only=True):
    """Change what is named; None leaves it as it is."""

    project_id: ProjectId
    model_id: ModelId
    expected_revision: int | None = None
    name: str | None = None
    description: str | None = None
    model_type: str | None = None
    model_size: int | None = None
    state: ModelState | None = None
    deployment_status: DeploymentStatus | None = None
    tags: Tags | None = None
    labels: dict[str, str] | None = None

    async def decide(self) -> Decision:
        row = await existing_model(self.project_id, self.model_id)
        require_revision(row, self.expected_revision)
        if self.name is not None and self.name != row.body.name:
            await _require_free(self.project_id, self.name)
        change = await carry_on(REGISTERED_MODEL, self.model_id, *self._changes(row))
        return Decision(Answer(MODELS, self.model_id), (change,))

    def _changes(self, row: ModelRow) -> list[ModelChange]:
        changes: list[ModelChange] = []
        if self.name is not None:
            changes.append(RenameModel(name=self.name))
        if self.description is not None:
            changes.append(DescribeModel(description=self.description))
        if self.model_type is not None:
            changes.append(ReclassifyModel(model_type=self.model_type))
        if self.model_size is not None:
            changes.append(RecordModelSize(model_size=self.model_size))
        if self.state is not None:
            changes.append(ArchiveModel() if self.state is ModelState.ARCHIVED else RestoreModel())
        if self.deployment_status is not None:
            current = row.body.deployment_status
            changes.append(DeclareDeploymentStatus(deployment_status=self.deployment_status, current=current))
        if self.tags is not None:
            changes.append(RetagModel(tags=self.tags))
        if self.labels is not None:
            changes.append(RelabelModel(labels=self.labels))
        return changes
