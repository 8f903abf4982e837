"""What comes of what the cluster was seen to do with an inference service unasked.

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

from modeltrail.domain.canary import canary_deployed, end_with_canary
from modeltrail.domain.ids import DeploymentId, VersionId
from modeltrail.domain.inference_service_evolution import evolve
from modeltrail.domain.inference_service_facts import (
    EarlierVersionInterrupted,
    EarlierVersionRecovered,
    InferenceServiceEvent,
    ObjectDrifted,
    Observation,
    RecordDisappearance,
    RecordDrift,
    RecordInterruption,
    RecordReadiness,
    RecordStall,
    Repair,
    ServiceInterrupted,
    ServiceMoved,
    ServiceRecovered,
    UndeploymentStalled,
)
from modeltrail.domain.inference_service_messages import RequestDeployment, ServeModelRemoved, Target
from modeltrail.domain.inference_service_state import (
    Deployed,
    Deploying,
    Failed,
    Live,
    Service,
    ServiceSituation,
    Undeploying,
    attempt_in,
    canary_in,
    live_in,
    target_in,
)
from modeltrail.domain.inference_service_wishes import decide_wish
from modeltrail.domain.roll_out import gone


def decide_observation(command: Observation, service: Service) -> list[InferenceServiceEvent]:
    """What happens when `command` meets `service`; nothing when that is no news, or of what was replaced."""
    match command:
        case RecordInterruption():
            return _interrupted(command, service)
        case RecordReadiness():
            return _ready(command, service)
        case RecordDisappearance():
            return _disappeared(command, service)
        case RecordDrift():
            return _drifted(command, service)
        case RecordStall():
            return _stalled(command, service)
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


def _interrupted(command: RecordInterruption, service: Service) -> list[InferenceServiceEvent]:
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


def _ready(command: RecordReadiness, service: Service) -> list[InferenceServiceEvent]:
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


def _disappeared(command: RecordDisappearance, service: Service) -> list[InferenceServiceEvent]:
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
    told: list[InferenceServiceEvent] = [
        gone(current, version, there, service, command.message),
        *end_with_canary(service),
    ]
    left: ServiceSituation = service
    for event in told:
        left = evolve(left, event)
    return [*told, *_repaired(command.repair, left)]


def _drifted(command: RecordDrift, service: Service) -> list[InferenceServiceEvent]:
    deployed = _deployed(service, command.deployment_id)
    if deployed is None:
        return []
    drifted = ObjectDrifted(deployment_id=command.deployment_id, managers=command.managers, fields=command.fields)
    told: list[InferenceServiceEvent] = [] if deployed.drift == command.fields else [drifted]
    return [*told, *_repaired(command.repair, service)]


def _repaired(repair: Repair | None, state: ServiceSituation) -> list[InferenceServiceEvent]:
    match state:
        case Service(deployment=Deployed(target=target) | Failed(target=target) | Deploying(target=target)) if repair:
            request = RequestDeployment(deployment_id=repair.deployment_id, target=target)
            return [*decide_wish(request, state)]
        case _:
            return []


def _stalled(command: RecordStall, service: Service) -> list[InferenceServiceEvent]:
    match service.deployment:
        case Undeploying(undeployment_id=current, stalled=before) if current == command.undeployment_id:
            if before == command.message:
                return []
            return [UndeploymentStalled(**structs.asdict(command))]
        case _:
            return []
