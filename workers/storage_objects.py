"""Whose the Secret and the ServiceAccount are that bear the name of a service's: ours, and so to be brought and waited
for, or somebody else's, and so not to be touched. Both ask the cluster only about services that need or needed any."""

from uuid import UUID

from modeltrail.projections.deployment_tasks import ToApply
from modeltrail.workers.cluster import Cluster
from modeltrail.workers.storage import Storage, StorageAccess, StorageError, access_name


async def opened(storage: Storage, cluster: Cluster, service: UUID, task: ToApply) -> StorageAccess | None:
    """What opens the storage of the version to deploy; None when that needs nothing. Raises StorageError."""
    found = await storage.access(service, task)
    if found is None:
        return None
    name = access_name(service)
    for kind, owner in (await cluster.access_owners(found.namespace, name)).items():
        if owner != service:
            text = f"namespace {found.namespace!r} already holds a {kind} named {name!r} that is not ours; delete it"
            raise StorageError("NameTaken", text)
    return found


async def left_of(storage: Storage, cluster: Cluster, service: UUID, namespace: str) -> str:
    """What of it is still there after its InferenceService, in words for a person; nothing when all is gone."""
    if not await storage.was_needed(service):
        return ""
    name = access_name(service)
    owners = await cluster.access_owners(namespace, name)
    kinds = " and ".join(kind for kind, owner in owners.items() if owner == service)
    return f"{kinds} {name!r}" if kinds else ""
