"""An inference service's commands and events, and the values in them."""

from msgspec import Struct

from modeltrail.domain.event import Command, Event
from modeltrail.domain.ids import DeploymentId, EnvironmentId, ModelId, ProjectId, ServiceId, VersionId


class Target(Struct, frozen=True):
    """All that the cluster must be told to serve one version, as it was when the deployment was requested."""

    namespace: str
    model_version_id: VersionId
    model_version_name: str
    model_framework: str
    model_framework_version: str
    storage_uri: str


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


class ConfirmUndeployment(Command, frozen=True):
    """Nothing of the service is left in the cluster."""

    undeployment_id: DeploymentId


ServiceChange = (
    RequestDeployment | RecordApplied | ConfirmDeployment | FailDeployment | RequestUndeployment | ConfirmUndeployment
)
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


ServiceLaterEvent = (
    DeploymentRequested
    | DeploymentApplied
    | DeploymentSucceeded
    | DeploymentFailed
    | UndeploymentRequested
    | Undeployed
)
ServiceEvent = ServiceCreated | ServiceLaterEvent
