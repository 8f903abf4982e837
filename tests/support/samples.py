"""A small world to tell stories about: one model, its versions, one environment, one service."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from msgspec import structs

from modeltrail.domain.ids import DeploymentId, EnvironmentId, ModelId, ProjectId, ServiceId, VersionId
from modeltrail.domain.inference_service_messages import (
    CreateService,
    DeploymentApplied,
    DeploymentFailed,
    DeploymentRequested,
    DeploymentSucceeded,
    ServiceCreated,
    Target,
    Undeployed,
    UndeploymentRequested,
)
from modeltrail.domain.model_version_messages import (
    Artifact,
    TakeOverVersion,
    VersionOrigin,
    VersionRegistered,
    VersionTakenOver,
)
from modeltrail.domain.registered_model_messages import (
    DefaultVersionChanged,
    ModelOrigin,
    ModelRegistered,
    ModelTakenOver,
    Tags,
)
from modeltrail.domain.serving_environment import EnvironmentCreated
from modeltrail.domain.serving_options import ServingDefaults

PROJECT = ProjectId(UUID(int=0xA))
MODEL = ModelId(UUID(int=0xB))
VERSION = VersionId(UUID("11111111-0000-4000-8000-000000000001"))
OTHER_VERSION = VersionId(UUID("22222222-0000-4000-8000-000000000002"))
ENVIRONMENT = EnvironmentId(UUID(int=0xE))
SERVICE = ServiceId(UUID(int=0x5))
OTHER_SERVICE = ServiceId(UUID(int=0x6))
FIRST, SECOND, THIRD = (DeploymentId(UUID(int=number)) for number in (0xD1, 0xD2, 0xD3))
NOON = datetime(2026, 2, 10, 12, 0, 0, 250_000, tzinfo=UTC)

ARTIFACT = Artifact("model-artifact", "sklearn", "1.4", "registry.example/serve:1", "s3://models/iris/1")
REGISTERED = ModelRegistered(
    project_id=PROJECT,
    name="Iris Flowers",
    slug="iris-flowers",
    description="tells flowers apart",
    owner_email=None,
    model_type="CUSTOMTRAIN",
    tags=Tags(frameworks=("sklearn",)),
    labels={"team": "botany"},
    parent_model_id=None,
)
VERSION_REGISTERED = VersionRegistered(
    project_id=PROJECT,
    registered_model_id=MODEL,
    name="v1",
    artifact=ARTIFACT,
    description="the first one",
    model_catalog_name="flowers",
    labels={"run": "17"},
    prebuilt_container_id=None,
    created_by_email=None,
    updated_by_email=None,
    has_credentials=False,
)
ENVIRONMENT_CREATED = EnvironmentCreated(
    project_id=PROJECT, name="prod", description="where customers are", external_id="", defaults=ServingDefaults()
)
CREATE = CreateService(
    service_id=SERVICE,
    project_id=PROJECT,
    name="iris",
    serving_environment_id=ENVIRONMENT,
    serving_environment_name="prod",
    registered_model_id=MODEL,
    registered_model_name="Iris Flowers",
    model_version_id=VERSION,
    labels={"team": "botany"},
)
CREATED = ServiceCreated(
    project_id=PROJECT,
    name="iris",
    serving_environment_id=ENVIRONMENT,
    serving_environment_name="prod",
    registered_model_id=MODEL,
    registered_model_name="Iris Flowers",
    model_version_id=VERSION,
    runtime="kserve",
    labels={"team": "botany"},
)


def target(version: VersionId = VERSION, **changes: Any) -> Target:  # Any: any field
    whole = Target(
        namespace="prod",
        model_version_id=version,
        model_version_name="v1",
        model_framework="sklearn",
        model_framework_version="1.4",
        storage_uri="s3://models/iris/1",
    )
    return structs.replace(whole, **changes)


def requested(deployment: DeploymentId = FIRST, version: VersionId = VERSION) -> DeploymentRequested:
    return DeploymentRequested(
        deployment_id=deployment,
        name="iris",
        registered_model_id=MODEL,
        labels={"team": "botany"},
        target=target(version),
    )


def applied(deployment: DeploymentId = FIRST, external_id: str = "uid-1") -> DeploymentApplied:
    return DeploymentApplied(deployment_id=deployment, external_id=external_id)


def succeeded(
    deployment: DeploymentId = FIRST,
    version: VersionId = VERSION,
    *,
    external_id: str = "uid-1",
    url: str = "http://iris",
) -> DeploymentSucceeded:
    return DeploymentSucceeded(
        deployment_id=deployment,
        registered_model_id=MODEL,
        model_version_id=version,
        external_id=external_id,
        url=url,
    )


def failed(deployment: DeploymentId = FIRST, version: VersionId = VERSION) -> DeploymentFailed:
    return DeploymentFailed(
        deployment_id=deployment,
        registered_model_id=MODEL,
        model_version_id=version,
        reason="ModelLoadFailed",
        message="the model does not load",
    )


def undeployment_requested(
    undeployment: DeploymentId = THIRD, external_id: str | None = "uid-1"
) -> UndeploymentRequested:
    return UndeploymentRequested(undeployment_id=undeployment, name="iris", namespace="prod", external_id=external_id)


def undeployed(undeployment: DeploymentId = THIRD) -> Undeployed:
    return Undeployed(undeployment_id=undeployment, registered_model_id=MODEL)


def default_moved(to: VersionId | None, from_: VersionId | None = None) -> DefaultVersionChanged:
    return DefaultVersionChanged(version_id=to, previous_version_id=from_)


# What was in another registry before.
MODEL_ORIGIN = ModelOrigin(
    owner_id=None,
    name="Iris",
    slug="iris",
    description="",
    model_type="LLM",
    model_size=0,
    state="draft",
    deployment_status="",
    tags=Tags(),
    labels={},
    parent_model_id=None,
    default_version_id=OTHER_VERSION,
    created_at=NOON,
    updated_at=NOON,
)
TAKEN_OVER = ModelTakenOver(project_id=PROJECT, owner_email=None, origin=MODEL_ORIGIN, fingerprint="one")
VERSION_ORIGIN = VersionOrigin(
    name="v1",
    description="",
    is_default=False,
    state="LIVE",
    status="DONE",
    created_by_id=None,
    updated_by_id=None,
    artifact=ARTIFACT,
    model_catalog_name="",
    labels={},
    prebuilt_container_id=None,
    created_at=NOON,
    updated_at=NOON,
)
TAKE_OVER_VERSION = TakeOverVersion(
    project_id=PROJECT,
    registered_model_id=MODEL,
    created_by_email=None,
    updated_by_email=None,
    origin=VERSION_ORIGIN,
    has_credentials=False,
    fingerprint="one",
)
VERSION_TAKEN_OVER = VersionTakenOver(**structs.asdict(TAKE_OVER_VERSION), is_again=False)
