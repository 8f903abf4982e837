"""Canaries: how one goes live beside the version before, and how its traffic goes back.

Deployed ──request with a part of the traffic──▶ Deploying ──canary deployed──▶ Deployed (the old version is live)
                                                                                  │
                  the same version, all traffic ◀── promoted ──┤
                  the version before, all traffic ◀── aborted ─┘
"""

from msgspec import structs

from modeltrail.domain.canary_messages import CanaryDeployed
from modeltrail.domain.errors import RuleError
from modeltrail.domain.ids import DeploymentId
from modeltrail.domain.inference_service_messages import Target
from modeltrail.domain.inference_service_state import Deployed, Deployment, Service, canary_in, live_in


def canary_deployed(service: Service, deployment: DeploymentId, external_id: str, url: str) -> CanaryDeployed | None:
    """That what was asked for last is ready, if that is a canary."""
    canary = canary_in(service.deployment)
    if canary is None or canary.canary_beside is None or live_in(service.deployment) is None:
        return None
    return CanaryDeployed(
        deployment_id=deployment,
        registered_model_id=service.registered_model_id,
        model_version_id=canary.model_version_id,
        stable_version_id=canary.canary_beside,
        traffic_percent=canary.options.canary_traffic_percent or 0,
        external_id=external_id,
        url=url,
    )


def require_ready_canary(deployment: Deployment) -> None:
    """Raise RuleError unless the canary serves: only then can it be given all the traffic."""
    if not isinstance(deployment, Deployed) or deployment.interruption is not None:
        raise RuleError("the canary of this inference service is not ready; wait until it is, or abort it")


def back_from_canary(service: Service, canary: Target) -> Target:
    """What takes all the traffic back to the version that keeps the rest of it."""
    stable = service.lived[0]
    options = stable.options.with_all_traffic()
    return structs.replace(stable, namespace=canary.namespace, options=options, aborts_canary=True)
