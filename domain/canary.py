"""Canaries: how one goes live beside the version before, and how its traffic goes back.

Deployed ──request with a part of the traffic──▶ Deploying ──canary deployed──▶ Deployed (the old version is live)
                                                                                  │
                  the same version, all traffic ◀── promoted ──┤
                  the version before, all traffic ◀── aborted ─┘

It is aborted, too, when the service is undeployed or its object vanishes: what comes next is the version before.
"""

from msgspec import structs

from modeltrail.domain.canary_messages import CanaryAborted, CanaryDeployed
from modeltrail.domain.errors import RuleError
from modeltrail.domain.ids import DeploymentId
from modeltrail.domain.inference_service_messages import OptionsChosen, Target, VersionChosen
from modeltrail.domain.inference_service_state import (
    Deployed,
    Deploying,
    Deployment,
    Failed,
    Service,
    canary_in,
    live_in,
)


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
    if not isinstance(deployment, Deployed) or deployment.live.interruption is not None:
        raise RuleError("the canary of this inference service is not ready; wait until it is, or abort it")


def back_from_canary(service: Service, canary: Target) -> Target:
    """What takes all the traffic back to the version that keeps the rest of it."""
    stable = service.lived[0]
    options = stable.options.with_all_traffic()
    return structs.replace(stable, namespace=canary.namespace, options=options, aborts_canary=True)


def canary_under_way(service: Service) -> Deploying | Deployed | Failed | None:
    """The deployment of a canary beside a version that is live."""
    deployment = service.deployment
    if canary_in(deployment) is None or live_in(deployment) is None:
        return None
    return deployment if isinstance(deployment, Deploying | Deployed | Failed) else None


def unfinished_abort(service: Service) -> Target | None:
    """What is to take the traffic back from a canary, and has not come to that: the canary is the newest that is ready,
    so KServe would give it all the traffic as soon as it were not told to leave that where it was."""
    deployment = service.deployment
    if not isinstance(deployment, Deploying | Failed) or live_in(deployment) is None:
        return None
    return deployment.target if deployment.target.aborts_canary else None


def aborted(canary: Deploying | Deployed | Failed, stable: Target) -> CanaryAborted:
    """The end of a canary that gives way to what was live before."""
    return CanaryAborted(
        deployment_id=canary.deployment_id,
        model_version_id=canary.target.model_version_id,
        stable_version_id=stable.model_version_id,
    )


def end_with_canary(service: Service) -> list[CanaryAborted | VersionChosen | OptionsChosen]:
    """What it means for a canary, if one is under way, that nothing is left of the service in the cluster.

    Nobody promoted it, so the next deployment is not to give it all the traffic.
    """
    canary = canary_under_way(service)
    if canary is None:
        return []
    stable = service.lived[0]
    options = stable.options.with_all_traffic()
    chosen = VersionChosen(model_version_id=stable.model_version_id)
    rest = [] if options.mean_the_same_as(service.options) else [OptionsChosen(options=options)]
    return [aborted(canary, stable), chosen, *rest]


def without_canary(service: Service) -> Service:
    """The service once its canary was aborted. What was asked of a cluster where nothing is left is what was live."""
    deployment = service.deployment
    if isinstance(deployment, Deploying | Failed) and live_in(deployment) is None and service.lived:
        return structs.replace(service, deployment=structs.replace(deployment, target=service.lived[0]))
    return service
