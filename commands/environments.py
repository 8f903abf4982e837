"""What callers want of serving environments."""

from msgspec import Struct

from modeltrail.commands.decision import Answer, Decision, begin
from modeltrail.commands.existing import existing
from modeltrail.commands.question import row_named
from modeltrail.domain.decider import SERVING_ENVIRONMENT
from modeltrail.domain.errors import ConflictError, environment_not_found
from modeltrail.domain.ids import EnvironmentId, ProjectId
from modeltrail.domain.serving_environment import CreateEnvironment
from modeltrail.projections.serving_environments import SERVING_ENVIRONMENTS, EnvironmentRow


async def existing_environment(project_id: ProjectId, environment_id: EnvironmentId) -> EnvironmentRow:
    """The environment's row. Raises NotFoundError when the project has none with this id."""
    return await existing(SERVING_ENVIRONMENTS, project_id, environment_id, environment_not_found)


class Create(Struct, frozen=True):
    """Create an environment."""

    wish: CreateEnvironment

    async def decide(self) -> Decision:
        wish = self.wish
        if await row_named(SERVING_ENVIRONMENTS, wish.project_id, wish.name) is not None:
            raise ConflictError("serving environment name already exists")
        created = begin(SERVING_ENVIRONMENT, wish.environment_id, wish)
        return Decision(Answer(SERVING_ENVIRONMENTS, wish.environment_id), (created,))
