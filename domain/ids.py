"""Typed identities. All are UUIDs on the wire and in the database."""

from typing import NewType
from uuid import UUID, uuid5

ProjectId = NewType("ProjectId", UUID)
ModelId = NewType("ModelId", UUID)
VersionId = NewType("VersionId", UUID)
EnvironmentId = NewType("EnvironmentId", UUID)
ServiceId = NewType("ServiceId", UUID)
DeploymentId = NewType("DeploymentId", UUID)
ServeModelId = NewType("ServeModelId", UUID)


def serve_model_id(service: ServiceId, version: VersionId) -> ServeModelId:
    """The identity of "this version on this service": one for the pair, however often it is deployed."""
    return ServeModelId(uuid5(service, str(version)))


def later_deployment_id(service: ServiceId, revision: int) -> DeploymentId:
    """The identity of a deployment that nobody's request names: of a service at a revision, which it has once."""
    return DeploymentId(uuid5(service, f"deployment at {revision}"))
