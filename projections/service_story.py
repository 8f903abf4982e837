"""An inference service's life as a person reads it: each of its events as a sentence, and as fields for programs."""

from datetime import datetime
from typing import assert_never
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType

from modeltrail.domain.canary_messages import CanaryAborted, CanaryDeployed, CanaryPromoted
from modeltrail.domain.inference_service_facts import (
    EarlierVersionInterrupted,
    EarlierVersionRecovered,
    InferenceServiceEvent,
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
    ServiceRelabelled,
    ServiceRenamed,
    Undeployed,
    UndeploymentRequested,
    VersionChosen,
)
from modeltrail.domain.parked_task_messages import TaskDismissed, TaskParked, TaskRetried, parked_message
from modeltrail.projections.times import Microseconds, to_microseconds


class Moment(Struct, frozen=True, kw_only=True):
    """One thing that happened. `type` is the event's name in the log, without the number of a shape, `says` the same in
    words.

    `deployment_id` is that of the deployment or undeployment that it is about, `by` whoever made it happen: a person's
    address, `(erased)` for one who was erased, or a part of modeltrail such as `deploy-worker`.
    """

    position: int
    at: Microseconds
    type: str
    says: str
    by: str | UnsetType = UNSET
    deployment_id: UUID | UnsetType = UNSET
    model_version_id: UUID | UnsetType = UNSET
    model_version_name: str | UnsetType = UNSET
    namespace: str | UnsetType = UNSET
    external_id: str | UnsetType = UNSET
    url: str | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    message: str | UnsetType = UNSET
    fields: tuple[str, ...] | UnsetType = UNSET
    managers: tuple[str, ...] | UnsetType = UNSET
    finalizers: tuple[str, ...] | UnsetType = UNSET


class Facts(Struct, frozen=True, kw_only=True):
    """What the fields of a moment are taken from: an event's own, as far as it has them."""

    deployment_id: UUID | None = None
    model_version_id: UUID | None = None
    namespace: str = ""
    external_id: str | None = None
    url: str = ""
    reason: str = ""
    message: str = ""
    fields: tuple[str, ...] = ()
    managers: tuple[str, ...] = ()
    finalizers: tuple[str, ...] = ()


def facts_of(event: InferenceServiceEvent) -> Facts:
    """The fields of `event` that a program would ask for."""
    named = {name: getattr(event, name) for name in Facts.__struct_fields__ if hasattr(event, name)}
    match event:
        case DeploymentRequested(target=target):
            named |= {"model_version_id": target.model_version_id, "namespace": target.namespace}
        case UndeploymentRequested() | Undeployed() | UndeploymentStalled():
            named["deployment_id"] = event.undeployment_id
        case TaskParked() | TaskRetried() | TaskDismissed():
            named["deployment_id"] = event.task_id
        case _:
            pass
    return Facts(**named)


def moment(
    position: int,
    at: datetime,
    by: str | None,
    event: InferenceServiceEvent,
    facts: Facts,
    version_name: str | None = None,
) -> Moment:
    """The event as it is told, with its `facts`. `version_name` is what its version is called, when that is known."""
    version = version_name or str(facts.model_version_id)
    return Moment(
        position=position,
        at=to_microseconds(at),
        type=str(event.__struct_config__.tag).partition("@")[0],
        says=_in_words(event, version),
        by=by or UNSET,
        deployment_id=facts.deployment_id or UNSET,
        model_version_id=facts.model_version_id or UNSET,
        model_version_name=(version_name or UNSET) if facts.model_version_id else UNSET,
        namespace=facts.namespace or UNSET,
        external_id=facts.external_id or UNSET,
        url=facts.url or UNSET,
        reason=facts.reason or UNSET,
        message=facts.message or UNSET,
        fields=facts.fields or UNSET,
        managers=facts.managers or UNSET,
        finalizers=facts.finalizers or UNSET,
    )


def _in_words(event: InferenceServiceEvent, version: str) -> str:
    return _unasked(event) if isinstance(event, ServiceFact) else _asked_or_answered(event, version)


def _asked_or_answered(event: ServiceEvent, version: str) -> str:  # noqa: C901 - one flat case per event
    match event:
        case ServiceCreated(registered_model_name=model, serving_environment_name=environment):
            return f"created for model {model!r} in environment {environment!r}"
        case DeploymentRequested(target=target) if target.canary_beside is not None:
            percent = target.options.canary_traffic_percent
            return f"deployment of version {version!r} as canary with {percent} % of the traffic requested"
        case CanaryDeployed(traffic_percent=percent):
            return f"canary ready: version {version!r} gets {percent} % of the traffic"
        case CanaryPromoted():
            return f"canary promoted: version {version!r} is to have all the traffic"
        case CanaryAborted():
            return f"canary aborted: version {version!r} is to have no traffic any more"
        case DeploymentRequested(target=target):
            return f"deployment of version {version!r} to namespace {target.namespace!r} requested"
        case DeploymentPostponed(message=message):
            return f"deployment waits: {message}"
        case DeploymentWithdrawn():
            return "deployment withdrawn before it began"
        case DeploymentApplied(external_id=uid):
            return f"applied: the cluster holds the InferenceService (UID {uid})"
        case DeploymentSucceeded(url=url):
            return f"ready: version {version!r} is live" + (f" at {url}" if url else "")
        case DeploymentFailed(message=message):
            return f"deployment of version {version!r} failed: {message}"
        case UndeploymentRequested(namespace=namespace):
            return f"undeployment from namespace {namespace!r} requested"
        case Undeployed():
            return "undeployed: nothing of it is left in the cluster"
        case ServiceRenamed(name=name, previous_name=previous):
            return f"renamed from {previous!r} to {name!r}"
        case ServiceRelabelled():
            return "labels changed"
        case VersionChosen():
            return f"version {version!r} chosen for the next deployment"
        case OptionsChosen():
            return "serving options chosen for the next deployment"
        case ServeModelAdded(model_version_name=name):
            return f"serve model of version {name!r} added"
        case ServeModelRemoved():
            return f"serve model of version {version!r} removed"
        case ServiceDeleted():
            return "deleted"
        case _:
            assert_never(event)


def _unasked(event: ServiceFact) -> str:  # noqa: C901 - one flat case per event
    match event:
        case ServiceInterrupted(message=message):
            return f"not ready any more: {message}"
        case ServiceRecovered(url=url):
            return "ready again" + (f" at {url}" if url else "")
        case EarlierVersionInterrupted(message=message):
            return f"the version that served on is not ready any more either: {message}"
        case EarlierVersionRecovered(url=url):
            return "the version that served on is ready again" + (f" at {url}" if url else "")
        case ServiceMoved(url=url):
            return f"moved: now served at {url or 'no address'}"
        case ObjectDisappeared():
            return f"gone: {disappearance_message(event)}"
        case ObjectDrifted():
            return f"drifted: {drift_message(event)}"
        case UndeploymentStalled(message=message):
            return f"undeployment stalled: {message}"
        case TaskParked():
            return parked_message(event)
        case TaskRetried(reason=reason):
            return "retried by an operator" + (f": {reason}" if reason else "")
        case TaskDismissed(reason=reason):
            return f"dismissed by an operator: {reason}"
        case _:
            assert_never(event)
