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
