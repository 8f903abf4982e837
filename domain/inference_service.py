"""An inference service: one model, served at one place of the cluster, and everything that was asked of it.

Its states, and what leads from one to the next, are listed in inference_service_state.py. What a command comes to is
decided in several modules: what callers wish in inference_service_wishes.py, what the cluster answers here, what it did
unasked in inference_service_life.py, and what operators make of a task that was set aside in parked_task.py. The
decider of the whole, which `decider.INFERENCE_SERVICE` names, is that of inference_service_life.py.

Every request for a deployment has an id. The cluster's answers carry it, so that a late answer to a request
that another has replaced is told apart and ignored.
"""

from typing import assert_never

from msgspec import structs

from modeltrail.domain.canary import canary_deployed, without_canary
from modeltrail.domain.canary_messages import CanaryAborted, CanaryDeployed, CanaryPromoted
from modeltrail.domain.errors import ConflictError, service_not_found
from modeltrail.domain.ids import DeploymentId, VersionId
from modeltrail.domain.inference_service_messages import (
    ConfirmDeployment,
    ConfirmUndeployment,
    CreateService,
    DeploymentApplied,
    DeploymentEvent,
    DeploymentFailed,
    DeploymentPostponed,
    DeploymentRequested,
    DeploymentSucceeded,
    DeploymentWithdrawn,
    FailDeployment,
    OptionsChosen,
    RecordApplied,
    ServeModelAdded,
    ServeModelRemoved,
    ServiceChange,
    ServiceCommand,
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
    attempts_in,
    external_id_in,
    live_in,
    lived_with,
    target_in,
)
from modeltrail.domain.inference_service_wishes import decide_wish
from modeltrail.domain.serving_options import ServingOptions

INITIAL = Missing()


def decide(command: ServiceCommand, state: ServiceSituation) -> list[ServiceEvent]:
    """What happens when `command` meets `state`; nothing when it is so already or the answer comes too late.

    Raises NotFoundError for a change to a service that does not exist.
    """
    if isinstance(command, CreateService):
        return [_create(command, state)]
    if isinstance(state, Missing):
        raise service_not_found()
    if isinstance(state, Deleted):
        return _answer_to_deleted(command, state)
    match command:
        case RecordApplied():
            return _record_applied(command, state)
        case ConfirmDeployment():
            return _confirm_deployment(command, state)
        case FailDeployment():
            return _fail_deployment(command, state)
        case ConfirmUndeployment():
            return _confirm_undeployment(command, state)
        case _:
            return decide_wish(command, state)


def _answer_to_deleted(command: ServiceChange, state: Deleted) -> list[ServiceEvent]:
    """What comes of the cluster's answers once the service is deleted. Wishes find nothing any more."""
    match command:
        case ConfirmUndeployment(undeployment_id=confirmed) if confirmed == state.undeployment_id:
            return [Undeployed(undeployment_id=confirmed, registered_model_id=state.registered_model_id)]
        case RecordApplied() | ConfirmDeployment() | FailDeployment() | ConfirmUndeployment():
            return []
        case _:
            raise service_not_found()


def _create(command: CreateService, state: ServiceSituation) -> ServiceCreated:
    if not isinstance(state, Missing):
        raise ConflictError("inference service exists already")
    fields = structs.asdict(command)
    del fields["service_id"]
    return ServiceCreated(**fields)


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


def evolve(state: ServiceSituation, event: ServiceEvent) -> ServiceSituation:
    """The state after `event`."""
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
            return went_live(service, version)
        case CanaryDeployed(model_version_id=canary, stable_version_id=stable):
            return structs.replace(service, served=tuple(each for each in service.served if each in (canary, stable)))
        case Undeployed():
            return structs.replace(service, served=())
        case _:
            return service


def went_live(service: Service, version: VersionId) -> Service:
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
