"""What becomes of a canary: all the traffic, or none."""

from msgspec import Struct, structs

from modeltrail.commands.decision import Decision
from modeltrail.commands.deployments import change_service, existing_service, state_of_service
from modeltrail.commands.existing import require_revision
from modeltrail.domain.canary import back_from_canary, require_ready_canary
from modeltrail.domain.errors import RuleError
from modeltrail.domain.ids import DeploymentId, ProjectId, ServiceId
from modeltrail.domain.inference_service_messages import RequestDeployment, Target
from modeltrail.domain.inference_service_state import Service, canary_in

NO_CANARY = "no canary of this inference service is under way; deploy a version with canary_traffic_percent first"


async def _under_way(
    project_id: ProjectId, service_id: ServiceId, expected_revision: int | None
) -> tuple[Service, Target]:
    """The service, and its canary. Raises NotFoundError, StaleError, and RuleError when there is no canary."""
    require_revision(await existing_service(project_id, service_id), expected_revision)
    service = await state_of_service(service_id)
    canary = canary_in(service.deployment)
    if canary is None:
        raise RuleError(NO_CANARY)
    return service, canary


class Promote(Struct, frozen=True, kw_only=True):
    """Give a canary all the traffic."""

    project_id: ProjectId
    service_id: ServiceId
    deployment_id: DeploymentId
    expected_revision: int | None = None

    async def decide(self) -> Decision:
        """Raises RuleError when there is none, or it is not ready."""
        service, canary = await _under_way(self.project_id, self.service_id, self.expected_revision)
        require_ready_canary(service.deployment)
        whole = structs.replace(canary, options=canary.options.with_all_traffic())
        return await change_service(self.service_id, RequestDeployment(deployment_id=self.deployment_id, target=whole))


class Abort(Struct, frozen=True, kw_only=True):
    """Take a canary's traffic back to the version that was live before, ready or not."""

    project_id: ProjectId
    service_id: ServiceId
    deployment_id: DeploymentId
    expected_revision: int | None = None

    async def decide(self) -> Decision:
        """Raises RuleError when there is none."""
        service, canary = await _under_way(self.project_id, self.service_id, self.expected_revision)
        stable = back_from_canary(service, canary)
        return await change_service(self.service_id, RequestDeployment(deployment_id=self.deployment_id, target=stable))
