"""Deploying what waits for a version, in the transaction in which one becomes fit for it."""

from uuid import UUID

from modeltrail.commands.decision import Change, carry_on
from modeltrail.commands.environments import existing_environment
from modeltrail.commands.question import RowAt, RowsHaving, StateOf
from modeltrail.commands.targets import Candidate, candidate_in, defaults_in, namespace_in
from modeltrail.domain.decider import INFERENCE_SERVICE
from modeltrail.domain.errors import RuleError
from modeltrail.domain.ids import EnvironmentId, ModelId, ProjectId, ServiceId, later_deployment_id
from modeltrail.domain.inference_service_messages import PostponeDeployment, RequestDeployment
from modeltrail.domain.inference_service_state import Service, Waiting
from modeltrail.domain.service_name import check_name
from modeltrail.projections.inference_services import INFERENCE_SERVICES, ServiceRow
from modeltrail.projections.model_versions import MODEL_VERSIONS


async def deployments_of_waiting(model_id: ModelId, changed: Candidate, chosen: UUID | None) -> list[Change]:
    """What becomes of the services that wait for a version of the model.

    `changed` is the version that a command changes, as it leaves it; `chosen` is the model's default, else its latest.
    A deployment that could not work goes on waiting, and says why.
    """
    changes = []
    for row in await RowsHaving(INFERENCE_SERVICES, "awaiting_model_id", model_id):
        service = await StateOf(INFERENCE_SERVICE, row.id)
        if isinstance(service, Service) and isinstance(service.deployment, Waiting):
            version = await _fit_version(service.deployment, row, changed, chosen)
            if version is not None:
                wish = await _wish(row, service, service.deployment, version)
                changes.append(await carry_on(INFERENCE_SERVICE, row.id, wish))
    return changes


async def _fit_version(waiting: Waiting, row: ServiceRow, changed: Candidate, chosen: UUID | None) -> Candidate | None:
    """The version to deploy: the one that was asked for, else the model's choice, else the one that is shown."""
    wanted = [waiting.model_version_id] if waiting.model_version_id else [chosen, row.body.model_version_id]
    for version_id in wanted:
        if version_id == changed.id:
            if changed.is_ready:
                return changed
        elif version_id is not None:
            other = await RowAt(MODEL_VERSIONS, version_id)
            if other is not None and candidate_in(other).is_ready:
                return candidate_in(other)
    return None


async def _wish(
    row: ServiceRow, service: Service, waiting: Waiting, version: Candidate
) -> RequestDeployment | PostponeDeployment:
    project_id, environment_id = ProjectId(row.project_id), EnvironmentId(row.body.serving_environment_id)
    environment = await existing_environment(project_id, environment_id)
    try:
        namespace = namespace_in(environment, environment.body.name)
        check_name(service.name, namespace)
        target = version.target(namespace, service.options, defaults_in(environment))
    except RuleError as refusal:
        return PostponeDeployment(
            model_version_id=waiting.model_version_id, message=refusal.message, options=service.options
        )
    return RequestDeployment(deployment_id=later_deployment_id(ServiceId(row.id), row.revision), target=target)
