"""What callers want of serving environments."""

from msgspec import Struct

from modeltrail.commands.decision import Answer, Decision, begin, carry_on
from modeltrail.commands.existing import existing, require_revision
from modeltrail.commands.question import RowsHaving, row_named
from modeltrail.domain.decider import SERVING_ENVIRONMENT
from modeltrail.domain.errors import ConflictError, RuleError, environment_not_found
from modeltrail.domain.ids import EnvironmentId, ProjectId
from modeltrail.domain.serving_environment import (
    ChooseDefaults,
    ChooseNamespace,
    CreateEnvironment,
    DeleteEnvironment,
    DescribeEnvironment,
    EnvironmentChange,
    RenameEnvironment,
)
from modeltrail.domain.serving_options import ServingDefaults
from modeltrail.projections.inference_services import INFERENCE_SERVICES
from modeltrail.projections.serving_environments import SERVING_ENVIRONMENTS, EnvironmentRow


async def existing_environment(project_id: ProjectId, environment_id: EnvironmentId) -> EnvironmentRow:
    """The environment's row. Raises NotFoundError when the project has none with this id."""
    return await existing(SERVING_ENVIRONMENTS, project_id, environment_id, environment_not_found)


async def _require_free(project_id: ProjectId, name: str) -> None:
    if await row_named(SERVING_ENVIRONMENTS, project_id, name) is not None:
        raise ConflictError("serving environment name already exists")


class Create(Struct, frozen=True):
    """Create an environment."""

    wish: CreateEnvironment

    async def decide(self) -> Decision:
        wish = self.wish
        await _require_free(wish.project_id, wish.name)
        created = begin(SERVING_ENVIRONMENT, wish.environment_id, wish)
        return Decision(Answer(SERVING_ENVIRONMENTS, wish.environment_id), (created,))


class Revise(Struct, frozen=True, kw_only=True):
    """Change what is named; None leaves it as it is. What is deployed stays in the namespace where it is."""

    project_id: ProjectId
    environment_id: EnvironmentId
    expected_revision: int | None = None
    name: str | None = None
    description: str | None = None
    external_id: str | None = None
    defaults: ServingDefaults | None = None

    async def decide(self) -> Decision:
        row = await existing_environment(self.project_id, self.environment_id)
        require_revision(row, self.expected_revision)
        if self.name is not None and self.name != row.body.name:
            await _require_free(self.project_id, self.name)
        change = await carry_on(SERVING_ENVIRONMENT, self.environment_id, *self._changes())
        return Decision(Answer(SERVING_ENVIRONMENTS, self.environment_id), (change,))

    def _changes(self) -> list[EnvironmentChange]:
        changes: list[EnvironmentChange] = []
        if self.name is not None:
            changes.append(RenameEnvironment(name=self.name))
        if self.description is not None:
            changes.append(DescribeEnvironment(description=self.description))
        if self.external_id is not None:
            changes.append(ChooseNamespace(external_id=self.external_id))
        if self.defaults is not None:
            changes.append(ChooseDefaults(defaults=self.defaults))
        return changes


class Delete(Struct, frozen=True, kw_only=True):
    """Delete an environment that no inference service is in, deployed or not."""

    project_id: ProjectId
    environment_id: EnvironmentId
    expected_revision: int | None = None

    async def decide(self) -> Decision:
        row = await existing_environment(self.project_id, self.environment_id)
        require_revision(row, self.expected_revision)
        if await RowsHaving(INFERENCE_SERVICES, "serving_environment_id", self.environment_id):
            raise RuleError("serving environment has active inference services")
        change = await carry_on(SERVING_ENVIRONMENT, self.environment_id, DeleteEnvironment())
        return Decision(Answer(SERVING_ENVIRONMENTS, self.environment_id), (change,))
