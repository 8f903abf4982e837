"""An inference service's whole life: what was asked of it, and what the cluster then did unasked.

    Deployed ◀──recovered──▶ interrupted        Failed ──recovered──▶ Deployed
       │
       └──object disappeared──▶ Failed          (with a repair, a deployment of the same target is requested at once)

    Failed, the earlier version live ◀──recovered──▶ Failed, the earlier version interrupted
       ▲
       └──recovered── Failed, the object still of a deployment that had failed before

An observation of a deployment that another has replaced, or that says nothing new, changes nothing.
"""

from typing import assert_never

from msgspec import structs

from modeltrail.domain import inference_service, parked_task
from modeltrail.domain.canary import canary_deployed, end_with_canary
from modeltrail.domain.errors import service_not_found
from modeltrail.domain.ids import DeploymentId, VersionId
from modeltrail.domain.inference_service_facts import (
    ClusterFact,
    EarlierVersionInterrupted,
    EarlierVersionRecovered,
    ObjectDisappeared,
    ObjectDrifted,
    Observation,
    RecordDisappearance,
    RecordDrift,
    RecordInterruption,
    RecordReadiness,
    RecordStall,
    Repair,
    ServiceFact,
    ServiceInterrupted,
    ServiceMoved,
    ServiceRecovered,
    UndeploymentStalled,
)
from modeltrail.domain.inference_service_messages import (
    RequestDeployment,
    ServeModelRemoved,
    ServiceCommand,
    ServiceEvent,
    Target,
)
from modeltrail.domain.inference_service_state import (
    Deleted,
    Deployed,
    Deploying,
    Deployment,
    Failed,
    Live,
    Missing,
    Service,
    ServiceSituation,
    Undeploying,
    attempt_in,
    canary_in,
    live_in,
    lived_with,
    target_in,
)
from modeltrail.domain.parked_task import TaskCommand, TaskFact
from modeltrail.domain.roll_out import found_replaced, gone, serves_on

LifeCommand = ServiceCommand | Observation | TaskCommand
LifeEvent = ServiceEvent | ServiceFact


def decide(command: LifeCommand, state: ServiceSituation) -> list[LifeEvent]:
    """What happens when `command` meets `state`; nothing when it is so already or the news comes too late.

    Raises NotFoundError for a change to a service that does not exist.
    """
    if not isinstance(command, Observation | TaskCommand):
        decided = inference_service.decide(command, state)
        return [*found_replaced(command, state), *decided, *serves_on(command, state)]
    if isinstance(state, Missing):
        raise service_not_found()
    if isinstance(command, TaskCommand):
        return [*parked_task.decide(command, state)]
    if isinstance(state, Deleted):
        return []
    match command:
        case RecordInterruption():
            return _interrupted(command, state)
        case RecordReadiness():
            return _ready(command, state)
        case RecordDisappearance():
            return _disappeared(command, state)
        case RecordDrift():
            return _drifted(command, state)
        case RecordStall():
            return _stalled(command, state)
        case _:
            assert_never(command)


def _deployed(service: Service, deployment: DeploymentId) -> Deployed | None:
    match service.deployment:
        case Deployed(deployment_id=current) as deployed if current == deployment:
            return deployed
        case _:
            return None


def _still_live(service: Service, deployment: DeploymentId) -> Live | None:
    """What serves since that deployment, in the stead of one that has failed."""
    match service.deployment:
        case Failed(still_live=Live(deployment_id=earlier) as live) if earlier == deployment:
            return live
        case _:
            return None


def _interrupted(command: RecordInterruption, service: Service) -> list[LifeEvent]:
    told: type[ServiceInterrupted | EarlierVersionInterrupted]
    if (deployed := _deployed(service, command.deployment_id)) is not None:
        told, version, known = ServiceInterrupted, deployed.target.model_version_id, deployed.live.interruption
    elif (live := _still_live(service, command.deployment_id)) is not None:
        told, version, known = EarlierVersionInterrupted, live.version, live.interruption
    else:
        return []
    if known == command.reason:
        return []
    interrupted = told(
        deployment_id=command.deployment_id,
        registered_model_id=service.registered_model_id,
        model_version_id=version,
        reason=command.reason,
        message=command.message,
    )
    return [interrupted]


def _ready(command: RecordReadiness, service: Service) -> list[LifeEvent]:
    seen = (command.external_id, command.url)
    live = _still_live(service, command.deployment_id)
    if live is not None:
        is_news = live.interruption is not None or (live.external_id, live.url) != seen
        return [_recovered(EarlierVersionRecovered, live.version, command, service)] if is_news else []
    if (attempt := attempt_in(service.deployment, command.deployment_id)) is not None:
        return [
            _recovered(EarlierVersionRecovered, attempt.version, command, service),
            *_no_longer_served(service, attempt.version),
        ]
    match service.deployment:
        case Deployed(deployment_id=current, live=Live(interruption=None) as live) if current == command.deployment_id:
            return [] if (live.external_id, live.url) == seen else [ServiceMoved(**structs.asdict(command))]
        case Deployed(deployment_id=current, target=target) | Failed(deployment_id=current, target=target):
            if current != command.deployment_id:
                return []
            canary = canary_deployed(service, current, command.external_id, command.url)
            return [canary or _recovered(ServiceRecovered, target.model_version_id, command, service)]
        case _:
            return []


def _no_longer_served(service: Service, version: VersionId) -> list[ServeModelRemoved]:
    """That what served on does so no more, as this version has taken its place."""
    live, wanted = live_in(service.deployment), target_in(service.deployment)
    if live is None or live.version == version or (wanted and live.version == wanted.model_version_id):
        return []  # what was asked for last keeps its serve model, which says that it has failed
    return [ServeModelRemoved(model_version_id=live.version)]


def _recovered(
    told: type[ServiceRecovered | EarlierVersionRecovered],
    version: VersionId,
    command: RecordReadiness,
    service: Service,
) -> ServiceRecovered | EarlierVersionRecovered:
    return told(
        deployment_id=command.deployment_id,
        registered_model_id=service.registered_model_id,
        model_version_id=version,
        external_id=command.external_id,
        url=command.url,
    )


def _disappeared(command: RecordDisappearance, service: Service) -> list[LifeEvent]:
    match service.deployment:
        case Deployed(deployment_id=current, live=live) | Failed(deployment_id=current, still_live=Live() as live):
            version, there = live.version, live.external_id
        case Deploying(deployment_id=current, replacing=Live() as live) if canary_in(service.deployment) is not None:
            version, there = live.version, live.external_id
        case Failed(deployment_id=current, external_id=None) if current == command.deployment_id:
            return _repaired(command.repair, service)  # it was told before; the repair had to wait
        case Failed(deployment_id=current, target=Target(model_version_id=version), external_id=str(there)):
            pass  # it never served, and yet its object is what was asked for
        case _:
            return []
    if current != command.deployment_id or command.external_id not in (there, ""):
        return []
    told: list[LifeEvent] = [gone(current, version, there, service), *end_with_canary(service)]
    left: ServiceSituation = service
    for event in told:
        left = evolve(left, event)
    return [*told, *_repaired(command.repair, left)]


def _drifted(command: RecordDrift, service: Service) -> list[LifeEvent]:
    deployed = _deployed(service, command.deployment_id)
    if deployed is None:
        return []
    drifted = ObjectDrifted(deployment_id=command.deployment_id, managers=command.managers, fields=command.fields)
    told: list[LifeEvent] = [] if deployed.drift == command.fields else [drifted]
    return [*told, *_repaired(command.repair, service)]


def _repaired(repair: Repair | None, state: ServiceSituation) -> list[LifeEvent]:
    match state:
        case Service(deployment=Deployed(target=target) | Failed(target=target) | Deploying(target=target)) if repair:
            request = RequestDeployment(deployment_id=repair.deployment_id, target=target)
            return [*inference_service.decide(request, state)]
        case _:
            return []


def _stalled(command: RecordStall, service: Service) -> list[LifeEvent]:
    match service.deployment:
        case Undeploying(undeployment_id=current, stalled=before) if current == command.undeployment_id:
            if before == command.message:
                return []
            return [UndeploymentStalled(**structs.asdict(command))]
        case _:
            return []


def evolve(state: ServiceSituation, event: LifeEvent) -> ServiceSituation:
    """The state after `event`."""
    if not isinstance(event, ServiceFact):
        return inference_service.evolve(state, event)
    if isinstance(event, TaskFact):
        return state if isinstance(state, Missing) else parked_task.evolve(state, event)
    if not isinstance(state, Service):
        return state
    if isinstance(event, ServiceRecovered):
        state = inference_service.went_live(state, event.model_version_id)
    elif isinstance(event, EarlierVersionRecovered):
        attempt = attempt_in(state.deployment, event.deployment_id)
        if attempt is not None and attempt.target.canary_beside is None:
            state = structs.replace(state, lived=lived_with(attempt.target, state.lived))
    return structs.replace(state, deployment=_evolved(state.deployment, event))


def _evolved(before: Deployment, event: ClusterFact) -> Deployment:
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
