"""From what was asked of the worker to what it asks of the cluster."""

from enum import Enum
from typing import Protocol
from uuid import UUID

from modeltrail.domain.serving_options import DeploymentMode
from modeltrail.projections.deployment_tasks import ToApply
from modeltrail.workers.cluster import ObservedService
from modeltrail.workers.manifest import DesiredService
from modeltrail.workers.storage import access_name, needs_access


class Holders(Protocol):
    """Knows what the log says of an object that bears a name."""

    async def is_leaving(self, service: UUID) -> bool:
        """Whether the object of this service is to be deleted, and may be there still."""

    async def is_held_by(self, service: UUID, uid: str) -> bool:
        """Whether the object with this UID was the service's when it was seen last, whatever its labels say now."""


class Held(Enum):
    """What an object that bears a name is to who wants to deploy under it."""

    OURS = "ours"
    PASSING = "passing"  # it goes by itself, so that the deployment may wait for that
    ANOTHERS = "another's"


async def held(found: ObservedService, service: UUID, holders: Holders) -> Held:
    """What the object is to `service`."""
    if found.deleting:
        return Held.PASSING
    if found.service_id == service or await holders.is_held_by(service, found.uid):
        return Held.OURS
    if found.service_id is not None and await holders.is_leaving(found.service_id):
        return Held.PASSING
    return Held.ANOTHERS


def name_taken(task: ToApply) -> str:
    """What is said when another's object bears the name."""
    return (
        f"namespace {task.target.namespace!r} already holds an InferenceService named {task.name!r} that does"
        " not belong to this service; delete it or deploy under another name"
    )


def desired(service: UUID, task: ToApply, mode: DeploymentMode) -> DesiredService:
    """What `task` asks of the cluster."""
    return DesiredService(
        name=task.name,
        namespace=task.target.namespace,
        service_id=service,
        model_id=task.registered_model_id,
        version_id=task.target.model_version_id,
        deployment_id=task.deployment_id,
        model_framework=task.target.model_framework,
        model_framework_version=task.target.model_framework_version,
        storage_uri=task.target.storage_uri,
        labels=task.labels,
        mode=mode,
        service_account=access_name(service) if needs_access(task.target) else None,
        options=task.target.served_with,
        aborts_canary=task.target.aborts_canary,
    )
