"""An inference service's commands and events, and the values in them."""

from msgspec import Struct

from modeltrail.domain.canary_messages import CanaryAborted, CanaryDeployed, CanaryPromoted
from modeltrail.domain.event import Command, Event
from modeltrail.domain.ids import DeploymentId, EnvironmentId, ModelId, ProjectId, ServiceId, VersionId
from modeltrail.domain.serving_options import ServingDefaults, ServingOptions


class Target(Struct, frozen=True, omit_defaults=True):
    """All that the cluster must be told to serve one version, as it was when the deployment was requested.

    `options` are those of this service, `defaults` those of its environment: what holds is `served_with`.
    `canary_beside` is the version that keeps the rest of the traffic. A target that `aborts_canary` leaves all the
    traffic with the revision that has served this version since before the canary.
    """

    namespace: str
    model_version_id: VersionId
    model_version_name: str
    model_framework: str
    model_framework_version: str
    storage_uri: str
    options: ServingOptions = ServingOptions()
    has_credentials: bool = False
    canary_beside: VersionId | None = None
    aborts_canary: bool = False
    defaults: ServingDefaults = ServingDefaults()

    @property
    def served_with(self) -> ServingOptions:
        """The service's options, and where it has none, the environment's."""
        return self.options.over(self.defaults)


# --- commands ---------------------------------------------------------------------------------------------


class CreateService(Command, frozen=True):
    service_id: ServiceId
    project_id: ProjectId
    name: str
    serving_environment_id: EnvironmentId
    serving_environment_name: str
    registered_model_id: ModelId
    registered_model_name: str
    model_version_id: VersionId | None
    runtime: str = "kserve"
    labels: dict[str, str] = {}


class RequestDeployment(Command, frozen=True):
    deployment_id: DeploymentId
    target: Target


class RecordApplied(Command, frozen=True):
    """The cluster took the object. That it will ever be ready is another matter."""

    deployment_id: DeploymentId
    external_id: str


class ConfirmDeployment(Command, frozen=True):
    """The cluster says that the deployment is ready."""

    deployment_id: DeploymentId
    external_id: str
    url: str


class FailDeployment(Command, frozen=True):
    """The cluster refuses the deployment, or says that it failed."""

    deployment_id: DeploymentId
    reason: str
    message: str


class RequestUndeployment(Command, frozen=True):
    undeployment_id: DeploymentId


class PostponeDeployment(Command, frozen=True):
    """Deploy as soon as a version is fit for it: this one, or whichever the model would choose then."""

    model_version_id: VersionId | None
    message: str
    options: ServingOptions


class RenameService(Command, frozen=True):
    name: str


class RelabelService(Command, frozen=True):
    labels: dict[str, str]


class ChooseVersion(Command, frozen=True):
    """Deploy this version when the service is deployed next."""

    model_version_id: VersionId


class ChooseOptions(Command, frozen=True):
    """Serve it like this when the service is deployed next."""

    options: ServingOptions


class DeleteService(Command, frozen=True):
    """Forget the service. What is left of it in the cluster is removed as undeployment `undeployment_id`."""

    undeployment_id: DeploymentId


class AddServeModel(Command, frozen=True):
    model_version_id: VersionId
    model_version_name: str


class RemoveServeModel(Command, frozen=True):
    model_version_id: VersionId


class ConfirmUndeployment(Command, frozen=True):
    """Nothing of the service is left in the cluster."""

    undeployment_id: DeploymentId


ServiceWish = (
    RequestDeployment
    | PostponeDeployment
    | RequestUndeployment
    | RenameService
    | RelabelService
    | ChooseVersion
    | ChooseOptions
    | DeleteService
    | AddServeModel
    | RemoveServeModel
)
ServiceAnswer = RecordApplied | ConfirmDeployment | FailDeployment | ConfirmUndeployment
ServiceChange = ServiceWish | ServiceAnswer
ServiceCommand = CreateService | ServiceChange


# --- events -----------------------------------------------------------------------------------------------


class ServiceCreated(Event, frozen=True, tag="inference_service.created"):
    project_id: ProjectId
    name: str
    serving_environment_id: EnvironmentId
    serving_environment_name: str
    registered_model_id: ModelId
    registered_model_name: str
    model_version_id: VersionId | None
    runtime: str
    labels: dict[str, str]


class DeploymentRequested(Event, frozen=True, tag="inference_service.deployment_requested"):
    deployment_id: DeploymentId
    name: str
    registered_model_id: ModelId
    labels: dict[str, str]
    target: Target


class DeploymentApplied(Event, frozen=True, tag="inference_service.deployment_applied"):
    deployment_id: DeploymentId
    external_id: str


class DeploymentSucceeded(Event, frozen=True, tag="inference_service.deployment_succeeded"):
    deployment_id: DeploymentId
    registered_model_id: ModelId
    model_version_id: VersionId
    external_id: str
    url: str


class DeploymentFailed(Event, frozen=True, tag="inference_service.deployment_failed"):
    deployment_id: DeploymentId
    registered_model_id: ModelId
    model_version_id: VersionId
    reason: str
    message: str


class UndeploymentRequested(Event, frozen=True, tag="inference_service.undeployment_requested"):
    undeployment_id: DeploymentId
    name: str
    namespace: str
    external_id: str | None


class Undeployed(Event, frozen=True, tag="inference_service.undeployed"):
    undeployment_id: DeploymentId
    registered_model_id: ModelId


class DeploymentPostponed(Event, frozen=True, tag="inference_service.deployment_postponed"):
    """It waits until this version, or else any that the model would choose, is fit to be deployed."""

    model_version_id: VersionId | None
    message: str
    options: ServingOptions


class DeploymentWithdrawn(Event, frozen=True, tag="inference_service.deployment_withdrawn"):
    """It waits no more: whoever wanted it deployed has thought better of it."""


class ServiceRenamed(Event, frozen=True, tag="inference_service.renamed"):
    name: str
    previous_name: str


class ServiceRelabelled(Event, frozen=True, tag="inference_service.relabelled"):
    labels: dict[str, str]


class VersionChosen(Event, frozen=True, tag="inference_service.version_chosen"):
    model_version_id: VersionId


class OptionsChosen(Event, frozen=True, tag="inference_service.options_chosen"):
    options: ServingOptions


class ServiceDeleted(Event, frozen=True, tag="inference_service.deleted"):
    """What is left of it in the cluster is on its way out: an undeployment was requested before."""

    name: str
    registered_model_id: ModelId


class ServeModelAdded(Event, frozen=True, tag="inference_service.serve_model_added"):
    model_version_id: VersionId
    model_version_name: str
    inference_service_name: str


class ServeModelRemoved(Event, frozen=True, tag="inference_service.serve_model_removed"):
    model_version_id: VersionId


DeploymentEvent = (
    DeploymentRequested
    | DeploymentApplied
    | DeploymentSucceeded
    | DeploymentFailed
    | UndeploymentRequested
    | Undeployed
    | DeploymentPostponed
    | DeploymentWithdrawn
    | CanaryDeployed
)
ServiceLaterEvent = (
    DeploymentEvent
    | ServiceRenamed
    | ServiceRelabelled
    | VersionChosen
    | OptionsChosen
    | ServiceDeleted
    | ServeModelAdded
    | ServeModelRemoved
    | CanaryPromoted
    | CanaryAborted
)
ServiceEvent = ServiceCreated | ServiceLaterEvent
