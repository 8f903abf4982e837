"""What the cluster answers to what was asked of it: that it has taken it, that it is done, or that it has failed."""

from typing import assert_never

from modeltrail.domain.canary import canary_deployed
from modeltrail.domain.ids import DeploymentId
from modeltrail.domain.inference_service_facts import InferenceServiceEvent
from modeltrail.domain.inference_service_messages import (
    ConfirmDeployment,
    ConfirmUndeployment,
    DeploymentApplied,
    DeploymentFailed,
    DeploymentSucceeded,
    FailDeployment,
    RecordApplied,
    ServiceAnswer,
    ServiceEvent,
    Undeployed,
)
from modeltrail.domain.inference_service_state import Deleted, Deploying, Service, Undeploying
from modeltrail.domain.roll_out import found_replaced, serves_on


def decide_answer(command: ServiceAnswer, state: Service | Deleted) -> list[InferenceServiceEvent]:
    """What happens when `command` meets `state`; nothing when it comes too late."""
    if isinstance(state, Deleted):
        return _decide_of_deleted(command, state)
    return [*found_replaced(command, state), *_decide(command, state), *serves_on(command, state)]


def _decide_of_deleted(command: ServiceAnswer, state: Deleted) -> list[InferenceServiceEvent]:
    """Only that what was left of it is gone."""
    match command:
        case ConfirmUndeployment(undeployment_id=confirmed) if confirmed == state.undeployment_id:
            return [Undeployed(undeployment_id=confirmed, registered_model_id=state.registered_model_id)]
        case _:
            return []


def _decide(command: ServiceAnswer, service: Service) -> list[ServiceEvent]:
    match command:
        case RecordApplied():
            return _record_applied(command, service)
        case ConfirmDeployment():
            return _confirm_deployment(command, service)
        case FailDeployment():
            return _fail_deployment(command, service)
        case ConfirmUndeployment():
            return _confirm_undeployment(command, service)
        case _:
            assert_never(command)


def _awaiting(service: Service, deployment_id: DeploymentId) -> Deploying | None:
    """The deployment that this answer is for, or None when it comes too late."""
    match service.deployment:
        case Deploying(deployment_id=current) as deploying if current == deployment_id:
            return deploying
        case _:
            return None


def _record_applied(command: RecordApplied, service: Service) -> list[ServiceEvent]:
    deploying = _awaiting(service, command.deployment_id)
    if deploying is None or deploying.external_id == command.external_id:
        return []
    return [DeploymentApplied(deployment_id=command.deployment_id, external_id=command.external_id)]


def _confirm_deployment(command: ConfirmDeployment, service: Service) -> list[ServiceEvent]:
    deploying = _awaiting(service, command.deployment_id)
    if deploying is None:
        return []
    canary = canary_deployed(service, command.deployment_id, command.external_id, command.url)
    if canary is not None:
        return [canary]
    succeeded = DeploymentSucceeded(
        deployment_id=command.deployment_id,
        registered_model_id=service.registered_model_id,
        model_version_id=deploying.target.model_version_id,
        external_id=command.external_id,
        url=command.url,
    )
    return [succeeded]


def _fail_deployment(command: FailDeployment, service: Service) -> list[ServiceEvent]:
    deploying = _awaiting(service, command.deployment_id)
    if deploying is None:
        return []
    failed = DeploymentFailed(
        deployment_id=command.deployment_id,
        registered_model_id=service.registered_model_id,
        model_version_id=deploying.target.model_version_id,
        reason=command.reason,
        message=command.message,
    )
    return [failed]


def _confirm_undeployment(command: ConfirmUndeployment, service: Service) -> list[ServiceEvent]:
    match service.deployment:
        case Undeploying(undeployment_id=current) if current == command.undeployment_id:
            return [Undeployed(undeployment_id=current, registered_model_id=service.registered_model_id)]
        case _:
            return []
