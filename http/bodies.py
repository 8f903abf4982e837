"""What callers send: one struct per body. Null is absent, unknown fields are ignored, limits stand in the types."""

from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from modeltrail.domain.model_version_messages import VersionState, VersionStatus
from modeltrail.domain.registered_model_messages import DeploymentStatus, ModelState, Tags
from modeltrail.domain.serving_options import PROTOCOLS, Resources, ServingDefaults, ServingOptions
from modeltrail.projections.service_body import ServiceState

EMAIL_LENGTH = 255

Name = Annotated[str, Meta(min_length=1, max_length=100, examples=["churn"])]
Email = Annotated[str, Meta(max_length=EMAIL_LENGTH, examples=["ada@example.com"])]
ExternalId = Annotated[
    str, Meta(max_length=255, description="The Kubernetes namespace, when it is not the name.", examples=["ml-staging"])
]
Uri = Annotated[str, Meta(max_length=500, examples=["s3://models/churn/1"])]
ContainerImage = Annotated[str, Meta(max_length=500, examples=["registry.example/churn:1"])]
Framework = Annotated[str, Meta(max_length=100, examples=["sklearn"])]
FrameworkVersion = Annotated[str, Meta(max_length=50, examples=["1.4"])]
CatalogName = Annotated[str, Meta(max_length=200, examples=["churn models"])]
Key = Annotated[str, Meta(max_length=500, description="Write-only: no answer shows it.")]
Bytes = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1, examples=[1048576])]
Labels = Annotated[dict[str, str], Meta(examples=[{"team": "growth"}])]
ServiceName = Annotated[str, Meta(min_length=1, max_length=100, examples=["churn-live"])]
Replicas = Annotated[int, Meta(ge=0, le=10_000, examples=[1])]
Runtime = Annotated[
    str,
    Meta(max_length=253, description="The name of a ServingRuntime; `kserve` lets KServe choose.", examples=["kserve"]),
]
Protocol = Annotated[str, Meta(max_length=50, description="One of " + ", ".join(PROTOCOLS) + ".", examples=["v2"])]

Percent = Annotated[
    int,
    Meta(
        ge=0,
        le=100,
        description="How much of the traffic goes to this version, in Knative mode; the rest stays with the one that"
        " was live before, until the canary is promoted or aborted. The first version that is live has all of it.",
        examples=[10],
    ),
]

RequiredUri = Annotated[str, Meta(min_length=1, max_length=500, examples=["s3://models/churn/1"])]
RequiredFramework = Annotated[str, Meta(min_length=1, max_length=100, examples=["sklearn"])]
RequiredFrameworkVersion = Annotated[str, Meta(min_length=1, max_length=50, examples=["1.4"])]


class Body(Struct, frozen=True, kw_only=True):
    """A body. It never shows what it holds: that may be a key or a person's address."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class GivenTags(Body, frozen=True):
    """Four lists, each of them optional."""

    frameworks: tuple[str, ...] | None = None
    architectures: tuple[str, ...] | None = None
    tasks: tuple[str, ...] | None = None
    subjects: tuple[str, ...] | None = None

    def tags(self) -> Tags:
        """The tags, empty where nothing is given."""
        return Tags(self.frameworks or (), self.architectures or (), self.tasks or (), self.subjects or ())


class ModelCreation(Body, frozen=True):
    name: Name
    description: str | None = None
    owner_email: Email | None = None
    model_type: str | None = None
    tags: GivenTags | None = None
    labels: Labels | None = None
    parent_model_id: UUID | None = None


class ModelPatch(Body, frozen=True):
    name: Name | None = None
    description: str | None = None
    model_type: str | None = None
    model_size: Bytes | None = None
    state: ModelState | None = None
    deployment_status: DeploymentStatus | None = None
    tags: GivenTags | None = None
    labels: Labels | None = None


class GivenVersion(Body, frozen=True):
    """What versions and artifacts are registered with: they are the same, seen from two sides."""

    name: Name
    model_framework: RequiredFramework
    model_framework_version: RequiredFrameworkVersion
    uri: RequiredUri
    description: str | None = None
    artifact_type: str | None = None
    container_image: ContainerImage | None = None
    access_key: Key | None = None
    secret_key: Key | None = None
    labels: Labels | None = None
    prebuilt_container_id: UUID | None = None


class VersionCreation(GivenVersion, frozen=True):
    is_default: bool | None = None
    model_catalog_name: CatalogName | None = None
    created_by_email: Email | None = None
    updated_by_email: Email | None = None


class ArtifactCreation(GivenVersion, frozen=True, kw_only=True):
    registered_model_id: UUID


class ArtifactPatch(Body, frozen=True):
    artifact_type: str | None = None
    model_framework: RequiredFramework | None = None
    model_framework_version: RequiredFrameworkVersion | None = None
    container_image: ContainerImage | None = None
    uri: RequiredUri | None = None
    labels: Labels | None = None


class VersionPatch(ArtifactPatch, frozen=True):
    name: Name | None = None
    description: str | None = None
    is_default: bool | None = None
    state: VersionState | None = None
    status: VersionStatus | None = None


class GivenResources(Body, frozen=True):
    """What each replica asks for, and what it may use at most, as Kubernetes writes it."""

    requests: Annotated[dict[str, str], Meta(examples=[{"cpu": "500m", "memory": "1Gi"}])] | None = None
    limits: Annotated[dict[str, str], Meta(examples=[{"cpu": "1", "memory": "2Gi"}])] | None = None


class GivenDefaults(Body, frozen=True, kw_only=True):
    """How versions are to be served where a deployment does not say otherwise."""

    min_replicas: Replicas | None = None
    max_replicas: Replicas | None = None
    resources: GivenResources | None = None
    runtime: Runtime | None = None
    protocol_version: Protocol | None = None

    def defaults(self) -> ServingDefaults:
        """What is given of them."""
        given = self.resources
        return ServingDefaults(
            min_replicas=self.min_replicas,
            max_replicas=self.max_replicas,
            resources=None if given is None else Resources(given.requests or {}, given.limits or {}),
            runtime=self.runtime or None,
            protocol_version=self.protocol_version or None,
        )


class EnvironmentCreation(Body, frozen=True):
    name: Name
    description: str | None = None
    external_id: ExternalId | None = None
    defaults: GivenDefaults | None = None


class EnvironmentPatch(Body, frozen=True):
    name: Name | None = None
    description: str | None = None
    external_id: ExternalId | None = None
    defaults: GivenDefaults | None = None


class Serving(GivenDefaults, frozen=True, kw_only=True):
    """How a version is to be served."""

    canary_traffic_percent: Percent | None = None

    def options(self) -> ServingOptions:
        """What is given of them."""
        return ServingOptions(canary_traffic_percent=self.canary_traffic_percent).over(self.defaults())


class DeploymentOrder(Serving, frozen=True, kw_only=True):
    registered_model_id: UUID
    serving_environment_id: UUID
    model_version_id: UUID | None = None
    name: Annotated[str, Meta(max_length=100)] | None = None
    labels: Labels | None = None


class ServiceCreation(Serving, frozen=True, kw_only=True):
    name: ServiceName
    serving_environment_id: UUID
    registered_model_id: UUID
    model_version_id: UUID | None = None
    labels: Labels | None = None


class ServicePatch(Serving, frozen=True, kw_only=True):
    name: ServiceName | None = None
    desired_state: ServiceState | None = None
    model_version_id: UUID | None = None
    labels: Labels | None = None


class RollBackOrder(Body, frozen=True):
    model_version_id: UUID | None = None


class ServeModelCreation(Body, frozen=True):
    inference_service_id: UUID
    model_version_id: UUID
