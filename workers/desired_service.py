"""From what was asked of the worker to what it asks of the cluster."""

from collections.abc import Awaitable, Callable
from uuid import UUID

from modeltrail.domain.serving_options import DeploymentMode
from modeltrail.projections.deployment_tasks import ToApply
from modeltrail.workers.cluster import ObservedService
from modeltrail.workers.manifest import DesiredService
from modeltrail.workers.storage import access_name, needs_access

IsLeaving = Callable[[UUID], Awaitable[bool]]
"""Tells whether the object of a service of ours is to be deleted, and may be there still."""


async def is_passing(found: ObservedService, is_leaving: IsLeaving) -> bool:
    """Whether the object that bears a name goes by itself, so that a deployment may wait for that."""
    return found.deleting or (found.service_id is not None and await is_leaving(found.service_id))


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
