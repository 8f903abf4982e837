"""What the answers to a roll-out say of the version that it was to replace."""

from modeltrail.domain.ids import DeploymentId, VersionId
from modeltrail.domain.inference_service_facts import EarlierVersionRecovered, ObjectDisappeared
from modeltrail.domain.inference_service_messages import FailDeployment, RecordApplied, ServiceAnswer
from modeltrail.domain.inference_service_state import Deploying, Live, Service, canary_in


def found_replaced(command: ServiceAnswer, service: Service) -> list[ObjectDisappeared]:
    """That a roll-out made a new object: what it was to replace is not there any more, and serves nothing."""
    match command, service:
        case (
            RecordApplied(deployment_id=applied, external_id=found),
            Service(deployment=Deploying(deployment_id=current, replacing=Live() as live)),
        ) if applied == current and found != live.external_id and canary_in(service.deployment) is None:
            return [gone(current, live.version, live.external_id, service)]
        case _:
            return []


def serves_on(command: ServiceAnswer, service: Service) -> list[EarlierVersionRecovered]:
    """That what is live still is, if a deployment of it was asked for and never came to it, and this one fails, too."""
    match command, service:
        case (
            FailDeployment(deployment_id=failed),
            Service(
                deployment=Deploying(
                    deployment_id=current, target=target, replacing=Live(interruption=None) as live, attempted=attempted
                )
            ),
        ) if failed == current and target.model_version_id != live.version:
            recovered = EarlierVersionRecovered(
                deployment_id=live.deployment_id,
                registered_model_id=service.registered_model_id,
                model_version_id=live.version,
                external_id=live.external_id,
                url=live.url,
            )
            return [recovered] if any(each.target.model_version_id == live.version for each in attempted) else []
        case _:
            return []


def gone(
    deployment: DeploymentId, version: VersionId, external_id: str, service: Service, message: str = ""
) -> ObjectDisappeared:
    """That the object which served this version is not there any more, or what `message` says."""
    return ObjectDisappeared(
        deployment_id=deployment,
        registered_model_id=service.registered_model_id,
        model_version_id=version,
        external_id=external_id,
        message=message,
    )
