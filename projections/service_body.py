"""An inference service as it is shown, and what each event changes of that."""

from enum import StrEnum
from typing import TypeVar, assert_never
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType, structs

from modeltrail.domain.canary_messages import CanaryAborted, CanaryDeployed, CanaryPromoted
from modeltrail.domain.inference_service_facts import (
    EarlierVersionInterrupted,
    EarlierVersionRecovered,
    ObjectDisappeared,
    ObjectDrifted,
    ServiceFact,
    ServiceInterrupted,
    ServiceMoved,
    ServiceRecovered,
    UndeploymentStalled,
    disappearance_message,
    drift_message,
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
    ServiceRelabelled,
    ServiceRenamed,
    Undeployed,
    UndeploymentRequested,
    VersionChosen,
)
from modeltrail.domain.parked_task_messages import TaskDismissed, TaskParked, TaskRetried, parked_message
from modeltrail.domain.serving_options import LET_KSERVE_CHOOSE, Resources, ServingOptions
from modeltrail.eventlog.record import Recorded
from modeltrail.projections.serve_models import ServeModelBody
from modeltrail.projections.times import Microseconds, to_microseconds

T = TypeVar("T")

ServiceBodyChange = (
    DeploymentEvent
    | ServiceRenamed
    | ServiceRelabelled
    | VersionChosen
    | OptionsChosen
    | ServeModelAdded
    | ServeModelRemoved
    | CanaryPromoted
    | CanaryAborted
)


class ServiceState(StrEnum):
    DEPLOYED = "DEPLOYED"
    UNDEPLOYED = "UNDEPLOYED"


class ServiceBody(Struct, frozen=True, kw_only=True):
    """A service as lists show it, in the order of the wire."""

    id: UUID
    created_at: Microseconds
    updated_at: Microseconds
    project_id: UUID
    name: str
    external_id: str | UnsetType = UNSET
    serving_environment_id: UUID
    serving_environment_name: str
    registered_model_id: UUID
    registered_model_name: str
    model_version_id: UUID | None
    desired_state: ServiceState
    current_state: ServiceState
    runtime: str
    url: str | UnsetType = UNSET
    last_error: str | UnsetType = UNSET
    min_replicas: int | UnsetType = UNSET
    max_replicas: int | UnsetType = UNSET
    resources: Resources | UnsetType = UNSET
    protocol_version: str | UnsetType = UNSET
    canary_traffic_percent: int | UnsetType = UNSET
    stable_model_version_id: UUID | UnsetType = UNSET
    labels: dict[str, str]


class ServiceWithModels(ServiceBody, frozen=True, kw_only=True):
    """A service as it is shown on its own, with what it serves or was asked to serve, oldest first."""

    served_models: tuple[ServeModelBody, ...]


def created(event: ServiceCreated, recorded: Recorded) -> ServiceBody:
    """A new service: to be deployed, and not there yet."""
    shown = to_microseconds(recorded.recorded_at)
    return ServiceBody(
        id=recorded.stream,
        created_at=shown,
        updated_at=shown,
        project_id=event.project_id,
        name=event.name,
        external_id=UNSET,
        serving_environment_id=event.serving_environment_id,
        serving_environment_name=event.serving_environment_name,
        registered_model_id=event.registered_model_id,
        registered_model_name=event.registered_model_name,
        model_version_id=event.model_version_id,
        desired_state=ServiceState.DEPLOYED,
        current_state=ServiceState.UNDEPLOYED,
        runtime=event.runtime,
        url=UNSET,
        last_error=UNSET,
        labels=event.labels,
    )


def changed(body: ServiceBody, event: ServiceBodyChange) -> ServiceBody:  # noqa: C901 - one flat case per event
    """The service after what was asked of it, or answered by the cluster."""
    match event:
        case DeploymentPostponed(model_version_id=version, message=message, options=options):
            return structs.replace(
                _with_options(body, options),
                desired_state=ServiceState.DEPLOYED,
                model_version_id=version or body.model_version_id,
                last_error=message,
            )
        case DeploymentWithdrawn():
            return structs.replace(body, desired_state=ServiceState.UNDEPLOYED, last_error=UNSET)
        case ServiceRenamed(name=name):
            return structs.replace(body, name=name)
        case ServiceRelabelled(labels=labels):
            return structs.replace(body, labels=labels)
        case VersionChosen(model_version_id=version):
            return structs.replace(body, model_version_id=version)
        case OptionsChosen(options=options):
            return _with_options(body, options)
        case CanaryAborted():
            return structs.replace(body, canary_traffic_percent=UNSET, stable_model_version_id=UNSET)
        case ServeModelAdded() | ServeModelRemoved() | CanaryPromoted():
            return body
        case DeploymentRequested(target=target):
            return structs.replace(
                _with_options(body, target.served_with),
                desired_state=ServiceState.DEPLOYED,
                model_version_id=target.model_version_id,
                stable_model_version_id=target.canary_beside or UNSET,
                last_error=UNSET,
            )
        case DeploymentApplied(external_id=external_id):
            return structs.replace(body, external_id=external_id)
        case DeploymentSucceeded(external_id=external_id, url=url) | CanaryDeployed(external_id=external_id, url=url):
            return _live(body, external_id, url)
        case DeploymentFailed(message=message):
            return structs.replace(body, last_error=message)
        case UndeploymentRequested():
            return structs.replace(body, desired_state=ServiceState.UNDEPLOYED)
        case Undeployed():
            return structs.replace(
                body,
                current_state=ServiceState.UNDEPLOYED,
                external_id=UNSET,
                url=UNSET,
                last_error=UNSET,
                canary_traffic_percent=UNSET,
                stable_model_version_id=UNSET,
            )
        case _:
            assert_never(event)


def _live(body: ServiceBody, external_id: str, url: str) -> ServiceBody:
    return structs.replace(
        body, current_state=ServiceState.DEPLOYED, external_id=external_id, url=url or UNSET, last_error=UNSET
    )


def observed(body: ServiceBody, event: ServiceFact) -> ServiceBody:  # noqa: C901 - one flat case per event
    """The service after what the cluster did unasked, or what became of a task that the worker failed at."""
    match event:
        case ServiceInterrupted(message=message):
            return structs.replace(body, current_state=ServiceState.UNDEPLOYED, last_error=message)
        case ServiceRecovered(external_id=external_id, url=url):
            return _live(body, external_id, url)
        case EarlierVersionInterrupted(message=message):
            why = _why_it_failed(body) + _MEANWHILE + message
            return structs.replace(body, current_state=ServiceState.UNDEPLOYED, last_error=why)
        case EarlierVersionRecovered(external_id=external_id, url=url):
            return structs.replace(_live(body, external_id, url), last_error=_why_it_failed(body) or UNSET)
        case ServiceMoved(external_id=external_id, url=url):
            return structs.replace(body, external_id=external_id, url=url or UNSET)
        case ObjectDisappeared():
            return structs.replace(
                body,
                current_state=ServiceState.UNDEPLOYED,
                external_id=UNSET,
                url=UNSET,
                last_error=disappearance_message(event),
            )
        case ObjectDrifted():
            return structs.replace(body, last_error=drift_message(event))
        case UndeploymentStalled(message=message):
            return structs.replace(body, last_error=message)
        case TaskParked():
            return structs.replace(body, last_error=parked_message(event))
        case TaskRetried():
            return structs.replace(body, last_error=UNSET)
        case TaskDismissed():
            return body
        case _:
            assert_never(event)


# Between why the newest deployment failed and why the version that served on does not: each may be told by itself.
_MEANWHILE = "; the version that served on is not ready either: "


def _why_it_failed(body: ServiceBody) -> str:
    return "" if body.last_error is UNSET else body.last_error.partition(_MEANWHILE)[0]


def _with_options(body: ServiceBody, options: ServingOptions) -> ServiceBody:
    def shown(option: T | None) -> T | UnsetType:
        return UNSET if option is None else option

    return structs.replace(
        body,
        runtime=options.runtime or LET_KSERVE_CHOOSE,
        min_replicas=shown(options.min_replicas),
        max_replicas=shown(options.max_replicas),
        resources=shown(options.resources),
        protocol_version=shown(options.protocol_version),
        canary_traffic_percent=shown(options.canary_traffic_percent),
    )
