"""A canary: a new version that gets a part of the traffic beside the one that was live before. Its events."""

from modeltrail.domain.event import Event
from modeltrail.domain.ids import DeploymentId, ModelId, VersionId


class CanaryDeployed(Event, frozen=True, tag="inference_service.canary_deployed"):
    """The new version is ready and gets `traffic_percent`; the rest stays with `stable_version_id`."""

    deployment_id: DeploymentId
    registered_model_id: ModelId
    model_version_id: VersionId
    stable_version_id: VersionId
    traffic_percent: int
    external_id: str
    url: str


class CanaryPromoted(Event, frozen=True, tag="inference_service.canary_promoted"):
    """It is to have all the traffic: a deployment of the same version follows."""

    deployment_id: DeploymentId
    model_version_id: VersionId


class CanaryAborted(Event, frozen=True, tag="inference_service.canary_aborted"):
    """All the traffic goes back to `stable_version_id`: a deployment of that follows."""

    deployment_id: DeploymentId
    model_version_id: VersionId
    stable_version_id: VersionId
