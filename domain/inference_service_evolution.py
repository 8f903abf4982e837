"""What an event makes of an inference service's state, be it of a wish, of an answer, or of what was observed."""

from typing import assert_never

from msgspec import structs

from modeltrail.domain import parked_task
from modeltrail.domain.canary import without_canary
from modeltrail.domain.canary_messages import CanaryAborted, CanaryDeployed, CanaryPromoted
from modeltrail.domain.ids import VersionId
from modeltrail.domain.inference_service_facts import (
    ClusterFact,
    EarlierVersionInterrupted,
    EarlierVersionRecovered,
    InferenceServiceEvent,
    ObjectDisappeared,
    ObjectDrifted,
    ServiceInterrupted,
    ServiceMoved,
    ServiceRecovered,
    UndeploymentStalled,
)
from modeltrail.domain.inference_service_messages import (
    DeploymentApplied,
    DeploymentEvent,
    DeploymentFailed,
    DeploymentPostponed,
    DeploymentRequested,
    DeploymentSucceeded,
    DeploymentWithdrawn,
    OptionsChosen,
    ServeModelAdded,
    ServeModelRemoved,
    ServiceCreated,
    ServiceDeleted,
    ServiceEvent,
    ServiceLaterEvent,
    ServiceRelabelled,
    ServiceRenamed,
    Undeployed,
    UndeploymentRequested,
    VersionChosen,
)
from modeltrail.domain.inference_service_state import (
    Deleted,
    Deployed,
    Deploying,
    Deployment,
    Failed,
    Idle,
    Live,
    Missing,
    Service,
    ServiceSituation,
    Undeploying,
    Waiting,
    attempt_in,
    attempts_in,
    external_id_in,
    live_in,
    lived_with,
    target_in,
)
from modeltrail.domain.parked_task_messages import TaskFact
from modeltrail.domain.serving_options import ServingOptions


def evolve(state: ServiceSituation, event: InferenceServiceEvent) -> ServiceSituation:
    """The state after `event`."""
    if isinstance(event, ServiceEvent):
        return _evolve_asked(state, event)
    if isinstance(event, TaskFact):
        return state if isinstance(state, Missing) else parked_task.evolve(state, event)
    return _evolve_observed(state, event) if isinstance(state, Service) else state


def _evolve_asked(state: ServiceSituation, event: ServiceEvent) -> ServiceSituation:
    """After what was asked for or answered."""
    if isinstance(event, ServiceCreated):
        return Service(
            project_id=event.project_id,
            name=event.name,
            registered_model_id=event.registered_model_id,
            labels=event.labels,
            deployment=Idle(),
            options=ServingOptions(runtime=event.runtime),
        )
    match state:
        case Missing():
            return state
        case Deleted():
            return (
                structs.replace(state, undeployment_id=None, parked=False) if isinstance(event, Undeployed) else state
            )
        case Service():
            return _evolve_service(state, event)
        case _:
            assert_never(state)


def _evolve_service(service: Service, event: ServiceLaterEvent) -> ServiceSituation:
    match event:
        case ServiceRenamed(name=name):
            return structs.replace(service, name=name)
        case ServiceRelabelled(labels=labels):
            return structs.replace(service, labels=labels)
        case OptionsChosen(options=options):
            return structs.replace(service, options=options)
        case VersionChosen() | CanaryPromoted():
            return service
        case CanaryAborted():
            return without_canary(service)
        case ServiceDeleted():
            undeploying = service.deployment if isinstance(service.deployment, Undeploying) else None
            left = undeploying.undeployment_id if undeploying else None
            parked = undeploying is not None and undeploying.parked
            return Deleted(registered_model_id=service.registered_model_id, undeployment_id=left, parked=parked)
        case ServeModelAdded(model_version_id=version):
            return structs.replace(service, served=(*service.served, version))
        case ServeModelRemoved(model_version_id=version):
            return structs.replace(service, served=tuple(each for each in service.served if each != version))
        case _:
            changed = structs.replace(service, deployment=_evolve_deployment(service.deployment, event))
            return _with_options(_with_served(changed, event), event)


def _with_options(service: Service, event: DeploymentEvent) -> Service:
    match event:
        case DeploymentRequested(target=target):
            return structs.replace(service, options=target.options)
        case DeploymentPostponed(options=options):
            return structs.replace(service, options=options)
        case _:
            return service


def _with_served(service: Service, event: DeploymentEvent) -> Service:
    """The service with the versions that have a serve model, and those that were live."""
    match event:
        case DeploymentRequested(target=target):
            others = tuple(each for each in service.served if each != target.model_version_id)
            return structs.replace(service, served=(*others, target.model_version_id))
        case DeploymentSucceeded(model_version_id=version):
            return _went_live(service, version)
        case CanaryDeployed(model_version_id=canary, stable_version_id=stable):
            return structs.replace(service, served=tuple(each for each in service.served if each in (canary, stable)))
        case Undeployed():
            return structs.replace(service, served=())
        case _:
            return service


def _went_live(service: Service, version: VersionId) -> Service:
    """The service once this version is the one that it serves."""
    live = target_in(service.deployment)
    lived = service.lived if live is None else lived_with(live, service.lived)
    return structs.replace(service, served=(version,), lived=lived)


def _evolve_deployment(  # noqa: C901 - one flat case per event
    before: Deployment, event: DeploymentEvent
) -> Deployment:
    match event:
        case DeploymentRequested(deployment_id=deployment, target=target):
            return Deploying(
                deployment_id=deployment,
                target=target,
                external_id=external_id_in(before),
                replacing=live_in(before),
                attempted=attempts_in(before),
            )
        case DeploymentApplied(external_id=external_id):
            return structs.replace(before, external_id=external_id) if isinstance(before, Deploying) else before
        case DeploymentSucceeded(external_id=external_id, url=url):
            if not isinstance(before, Deploying):
                return before
            live = Live(event.deployment_id, event.model_version_id, external_id, url)
            return Deployed(deployment_id=event.deployment_id, target=before.target, live=live)
        case DeploymentFailed():
            if not isinstance(before, Deploying):
                return before
            return Failed(
                deployment_id=event.deployment_id,
                target=before.target,
                external_id=before.external_id,
                still_live=before.replacing,
                attempted=before.attempted,
            )
        case CanaryDeployed(deployment_id=deployment, stable_version_id=stable, external_id=external_id, url=url):
            # Live is still the version that keeps the rest of the traffic, not the canary.
            wanted = target_in(before)
            served = Live(deployment, stable, external_id, url)
            return before if wanted is None else Deployed(deployment_id=deployment, target=wanted, live=served)
        case UndeploymentRequested(undeployment_id=undeployment):
            return Undeploying(undeployment_id=undeployment)
        case Undeployed() | DeploymentWithdrawn():
            return Idle()
        case DeploymentPostponed(model_version_id=version, message=message):
            return Waiting(model_version_id=version, message=message)
        case _:
            assert_never(event)


def _evolve_observed(service: Service, event: ClusterFact) -> Service:
    """After what the cluster did unasked."""
    match event:
        case ServiceRecovered(model_version_id=version):
            service = _went_live(service, version)
        case EarlierVersionRecovered(deployment_id=earlier):
            attempt = attempt_in(service.deployment, earlier)
            if attempt is not None and attempt.target.canary_beside is None:
                service = structs.replace(service, lived=lived_with(attempt.target, service.lived))
        case _:
            pass
    return structs.replace(service, deployment=_observed_of(service.deployment, event))


def _observed_of(before: Deployment, event: ClusterFact) -> Deployment:
    match event, before:
        case ServiceInterrupted(reason=reason), Deployed(live=live):
            return structs.replace(before, live=structs.replace(live, interruption=reason))
        case ServiceRecovered(), Deployed(target=target) | Failed(target=target):
            return Deployed(deployment_id=event.deployment_id, target=target, live=_live_since(event))
        case EarlierVersionInterrupted(reason=reason), Failed(still_live=Live() as live):
            return structs.replace(before, still_live=structs.replace(live, interruption=reason))
        case EarlierVersionRecovered(deployment_id=earlier, external_id=external_id), Failed(still_live=live):
            # The object may be of one of those that were attempted as long as it was not seen to be of another.
            is_known = live is not None and live.deployment_id == earlier
            attempted = before.attempted if is_known else ()
            return structs.replace(before, external_id=external_id, still_live=_live_since(event), attempted=attempted)
        case ServiceMoved(external_id=external_id, url=url), Deployed(live=live):
            return structs.replace(before, live=structs.replace(live, external_id=external_id, url=url))
        case ObjectDisappeared(), Deployed(deployment_id=deployment, target=target) | Failed(
            deployment_id=deployment, target=target
        ):
            return Failed(deployment_id=deployment, target=target, external_id=None, still_live=None)
        case ObjectDisappeared(), Deploying():
            return structs.replace(before, external_id=None, replacing=None, attempted=())
        case ObjectDrifted(fields=fields), Deployed():
            return structs.replace(before, drift=fields)
        case UndeploymentStalled(message=message), Undeploying():
            return structs.replace(before, stalled=message)
        case _:
            return before


def _live_since(event: ServiceRecovered | EarlierVersionRecovered) -> Live:
    return Live(event.deployment_id, event.model_version_id, event.external_id, event.url)
