"""What the cluster was seen to do with a deployment after its answer: the commands that say so, and their events."""

from msgspec import Struct

from modeltrail.domain.event import Command, Event
from modeltrail.domain.ids import DeploymentId, ModelId, VersionId
from modeltrail.domain.inference_service_messages import ServiceEvent
from modeltrail.domain.parked_task_messages import TaskFact


class Repair(Struct, frozen=True):
    """Apply what was deployed once more, as a deployment with this id."""

    deployment_id: DeploymentId


# --- commands ---------------------------------------------------------------------------------------------


class RecordInterruption(Command, frozen=True):
    """What was live is not ready any more: this deployment, or the one before it that was to be replaced."""

    deployment_id: DeploymentId
    reason: str
    message: str


class RecordReadiness(Command, frozen=True):
    """It is ready, at this address: again, or at last, or still."""

    deployment_id: DeploymentId
    external_id: str
    url: str


class RecordDisappearance(Command, frozen=True):
    """The object with this id is gone, and nobody asked us for that. An empty id means whatever the deployment had.

    `message` says what is gone, where that is not the object.
    """

    deployment_id: DeploymentId
    external_id: str
    repair: Repair | None = None
    message: str = ""


class RecordDrift(Command, frozen=True):
    """Somebody else gave `fields` of ours other values; `managers` are the field managers that did."""

    deployment_id: DeploymentId
    managers: tuple[str, ...]
    fields: tuple[str, ...]
    repair: Repair | None = None


class RecordStall(Command, frozen=True):
    """An undeployment does not come to its end; `finalizers` are those that the object still waits for."""

    undeployment_id: DeploymentId
    reason: str
    message: str
    finalizers: tuple[str, ...] = ()


Observation = RecordInterruption | RecordReadiness | RecordDisappearance | RecordDrift | RecordStall


# --- events -----------------------------------------------------------------------------------------------


class ServiceInterrupted(Event, frozen=True, tag="inference_service.interrupted"):
    """It was live, and is not ready any more."""

    deployment_id: DeploymentId
    registered_model_id: ModelId
    model_version_id: VersionId
    reason: str
    message: str


class ServiceRecovered(Event, frozen=True, tag="inference_service.recovered"):
    """It is ready after all: after an interruption, or after its deployment had failed."""

    deployment_id: DeploymentId
    registered_model_id: ModelId
    model_version_id: VersionId
    external_id: str
    url: str


class EarlierVersionInterrupted(Event, frozen=True, tag="inference_service.earlier_version_interrupted"):
    """The newest deployment had failed, and what served on in its stead is not ready any more either.

    `deployment_id` is that of the version which served on.
    """

    deployment_id: DeploymentId
    registered_model_id: ModelId
    model_version_id: VersionId
    reason: str
    message: str


class EarlierVersionRecovered(Event, frozen=True, tag="inference_service.earlier_version_recovered"):
    """What served on in the stead of a deployment that had failed does so again.

    Or does so after all: the object may be of a deployment that had failed itself, before another was refused.
    """

    deployment_id: DeploymentId
    registered_model_id: ModelId
    model_version_id: VersionId
    external_id: str
    url: str


class ServiceMoved(Event, frozen=True, tag="inference_service.moved"):
    """It is served at another address, or by an object that somebody made anew."""

    deployment_id: DeploymentId
    external_id: str
    url: str


class ObjectDisappeared(Event, frozen=True, tag="inference_service.object_disappeared@2"):
    """The object was deleted behind our back; or, as `message` tells, what it served beside a canary."""

    deployment_id: DeploymentId
    registered_model_id: ModelId
    model_version_id: VersionId
    external_id: str
    message: str = ""


class ObjectDrifted(Event, frozen=True, tag="inference_service.object_drifted"):
    """Fields of ours were changed behind our back."""

    deployment_id: DeploymentId
    managers: tuple[str, ...]
    fields: tuple[str, ...]


class UndeploymentStalled(Event, frozen=True, tag="inference_service.undeployment_stalled"):
    """The object should be gone by now, and is not."""

    undeployment_id: DeploymentId
    reason: str
    message: str
    finalizers: tuple[str, ...]


ClusterFact = (
    ServiceInterrupted
    | ServiceRecovered
    | EarlierVersionInterrupted
    | EarlierVersionRecovered
    | ServiceMoved
    | ObjectDisappeared
    | ObjectDrifted
    | UndeploymentStalled
)
ServiceFact = ClusterFact | TaskFact
InferenceServiceEvent = ServiceEvent | ServiceFact
"""All that happens to an inference service."""


def disappearance_message(event: ObjectDisappeared) -> str:
    """What a person is told of an object that is gone."""
    if event.message:
        return event.message
    return f"the InferenceService in the cluster (UID {event.external_id}) was deleted outside of the registry"


def drift_message(event: ObjectDrifted) -> str:
    """What a person is told of an object that was changed."""
    by = f" by {', '.join(event.managers)}" if event.managers else ""
    return f"the InferenceService in the cluster was changed outside of the registry{by}: {', '.join(event.fields)}"
