"""An inference service: one model, served at one place of the cluster, and everything that was asked of it.

    Missing ──create──▶ Idle ──request deployment──▶ Deploying ──confirm──▶ Deployed
                                                       │  ▲                    │
                                                       │  └─request deployment─┤ (a roll-out: the old one serves on)
                                              fail ────┘                       │
                                                ▼                              │
                            request deployment: Failed                         │
                                                │                              │
                  Idle ◀──confirm undeployment── Undeploying ◀──request undeployment (from any of them)

Every request for a deployment has an id. The cluster's answers carry it, so that a late answer to a request
that another has replaced is told apart and ignored.
"""

from typing import assert_never

from msgspec import Struct, structs

from modeltrail.domain.errors import ConflictError, RuleError, service_not_found
from modeltrail.domain.ids import DeploymentId, ModelId, ProjectId, VersionId
from modeltrail.domain.inference_service_messages import (
    ConfirmDeployment,
    ConfirmUndeployment,
    CreateService,
    DeploymentApplied,
    DeploymentFailed,
    DeploymentRequested,
    DeploymentSucceeded,
    FailDeployment,
    RecordApplied,
    RequestDeployment,
    RequestUndeployment,
    ServiceCommand,
    ServiceCreated,
    ServiceEvent,
    ServiceLaterEvent,
    Target,
    Undeployed,
    UndeploymentRequested,
)

# --- state ------------------------------------------------------------------------------------------------


class Missing(Struct, frozen=True, tag="missing"):
    """No such service, or none yet."""


class Live(Struct, frozen=True):
    """What the cluster serves right now."""

    version: VersionId
    external_id: str
    url: str


class Idle(Struct, frozen=True, tag="idle"):
    """Nothing in the cluster, nothing asked of it."""


class Deploying(Struct, frozen=True, tag="deploying"):
    """Asked for, not answered. `replacing` serves on until the answer."""

    deployment_id: DeploymentId
    target: Target
    external_id: str | None
    replacing: Live | None


class Deployed(Struct, frozen=True, tag="deployed"):
    """Live; `interruption` is the reason why it is not ready just now, `drift` what others changed of it."""

    deployment_id: DeploymentId
    target: Target
    live: Live
    interruption: str | None = None
    drift: tuple[str, ...] = ()


class Failed(Struct, frozen=True, tag="failed"):
    """The last deployment failed. Its object may be in the cluster, and `still_live` may serve."""

    deployment_id: DeploymentId
    target: Target
    external_id: str | None
    still_live: Live | None


class Undeploying(Struct, frozen=True, tag="undeploying"):
    """To be taken away; `stalled` says what it waits for, when it has waited long."""

    undeployment_id: DeploymentId
    stalled: str | None = None


Deployment = Idle | Deploying | Deployed | Failed | Undeploying


class Service(Struct, frozen=True, tag="service"):
    project_id: ProjectId
    name: str
    registered_model_id: ModelId
    labels: dict[str, str]
    deployment: Deployment


ServiceSituation = Missing | Service
INITIAL = Missing()


def decide(command: ServiceCommand, state: ServiceSituation) -> list[ServiceEvent]:
    """What happens when `command` meets `state`; nothing when it is so already or the answer comes too late.

    Raises NotFoundError for a change to a service that does not exist.
    """
    if isinstance(command, CreateService):
        return [_create(command, state)]
    if isinstance(state, Missing):
        raise service_not_found()
    match command:
        case RequestDeployment():
            return _request_deployment(command, state)
        case RecordApplied():
            return _record_applied(command, state)
        case ConfirmDeployment():
            return _confirm_deployment(command, state)
        case FailDeployment():
            return _fail_deployment(command, state)
        case RequestUndeployment():
            return _request_undeployment(command, state)
        case ConfirmUndeployment():
            return _confirm_undeployment(command, state)
        case _:
            assert_never(command)


def _create(command: CreateService, state: ServiceSituation) -> ServiceCreated:
    if not isinstance(state, Missing):
        raise ConflictError("inference service exists already")
    fields = structs.asdict(command)
    del fields["service_id"]
    return ServiceCreated(**fields)


def _request_deployment(command: RequestDeployment, service: Service) -> list[ServiceEvent]:
    if isinstance(service.deployment, Undeploying):
        raise RuleError("inference service is being undeployed; deploy it again once that is done")
    requested = DeploymentRequested(
        deployment_id=command.deployment_id,
        name=service.name,
        registered_model_id=service.registered_model_id,
        labels=service.labels,
        target=command.target,
    )
    return [requested]


def _awaiting(service: Service, deployment_id: DeploymentId) -> Deploying | None:
    """The deployment that this answer is for, or None when it comes too late."""
    match service.deployment:
        case Deploying(deployment_id=current) as deploying if current == deployment_id:
            return deploying
        case _:
            return None


def _record_applied(command: RecordApplied, service: Service) -> list[ServiceEvent]:
    deploying = _awaiting(service, command.deployment_id)
    if deploying is None or deploying.external_id is not None:
        return []
    return [DeploymentApplied(deployment_id=command.deployment_id, external_id=command.external_id)]


def _confirm_deployment(command: ConfirmDeployment, service: Service) -> list[ServiceEvent]:
    deploying = _awaiting(service, command.deployment_id)
    if deploying is None:
        return []
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


def _request_undeployment(command: RequestUndeployment, service: Service) -> list[ServiceEvent]:
    match service.deployment:
        case Idle() | Undeploying():
            return []
        case Deploying(target=target, external_id=external_id) | Failed(target=target, external_id=external_id):
            pass
        case Deployed(target=target, live=live):
            external_id = live.external_id
        case _:
            assert_never(service.deployment)
    requested = UndeploymentRequested(
        undeployment_id=command.undeployment_id,
        name=service.name,
        namespace=target.namespace,
        external_id=external_id,
    )
    return [requested]


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
        )
    if isinstance(state, Missing):
        return state
    return structs.replace(state, deployment=_evolve_deployment(state.deployment, event))


def _evolve_deployment(before: Deployment, event: ServiceLaterEvent) -> Deployment:
    match event:
        case DeploymentRequested(deployment_id=deployment, target=target):
            live = _live(before)
            known = live.external_id if live else None
            return Deploying(deployment_id=deployment, target=target, external_id=known, replacing=live)
        case DeploymentApplied(external_id=external_id):
            return structs.replace(before, external_id=external_id) if isinstance(before, Deploying) else before
        case DeploymentSucceeded(external_id=external_id, url=url):
            if not isinstance(before, Deploying):
                return before
            live = Live(version=event.model_version_id, external_id=external_id, url=url)
            return Deployed(deployment_id=event.deployment_id, target=before.target, live=live)
        case DeploymentFailed():
            if not isinstance(before, Deploying):
                return before
            return Failed(
                deployment_id=event.deployment_id,
                target=before.target,
                external_id=before.external_id,
                still_live=before.replacing,
            )
        case UndeploymentRequested(undeployment_id=undeployment):
            return Undeploying(undeployment_id=undeployment)
        case Undeployed():
            return Idle()
        case _:
            assert_never(event)


def _live(deployment: Deployment) -> Live | None:
    match deployment:
        case Deployed(live=live):
            return live
        case Deploying(replacing=live) | Failed(still_live=live):
            return live
        case Idle() | Undeploying():
            return None
        case _:
            assert_never(deployment)
