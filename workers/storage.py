"""What lets KServe read a version's storage: a Secret with its keys, and a ServiceAccount that lists it.

Both are named after the service, and owned by its InferenceService: Kubernetes' garbage collector removes them with it,
whoever deletes it and whatever becomes of us. Pods wait for the account, which comes last, so none starts without keys.
https://kserve.github.io/website/docs/model-serving/storage/providers/s3
"""

from base64 import b64encode
from collections.abc import Mapping
from typing import Any, Protocol
from uuid import UUID

import msgspec
from asyncpg import Pool
from msgspec import Struct

from modeltrail.domain.inference_service_messages import Target
from modeltrail.eventlog.keys import KeyRing, UnusableKeyError
from modeltrail.postgres.statements import Statements
from modeltrail.projections.deployment_tasks import ToApply
from modeltrail.workers.cluster import ObservedService
from modeltrail.workers.manifest import API_VERSION, KIND, SERVICE_ID

SQL = Statements("modeltrail.workers", "deploy.sql")

MANAGED_BY = "app.kubernetes.io/managed-by"
S3 = "serving.kserve.io/s3-"
# Annotations, and the names of the keys: KServe's pkg/credentials/s3/s3_secret.go. Which names it looks for is up to
# its ConfigMap: the one that it comes with (config/configmap/inferenceservice.yaml, `credentials`) names those of AWS,
# one that names none leaves it at the others.
ABOUT_S3 = (
    "endpoint",
    "usehttps",
    "region",
    "verifyssl",
    "useanoncredential",
    "usevirtualbucket",
    "useaccelerate",
    "cabundle",
    "cabundle-configmap",
)
ACCESS_KEY = ("AWS_ACCESS_KEY_ID", "awsAccessKeyID")
SECRET_KEY = ("AWS_SECRET_ACCESS_KEY", "awsSecretAccessKey")


class StorageError(Exception):
    """A version's storage cannot be opened, however often it is tried. `reason` is a word for programs."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class StorageAccess(Struct, frozen=True):
    """The keys to a version's storage, and KServe's annotations about it. They are shown to nobody."""

    service: UUID
    namespace: str
    access_key: str
    secret_key: str
    annotations: Mapping[str, str]

    def __repr__(self) -> str:
        """Without the keys."""
        return f"StorageAccess(service={self.service})"

    def owned_by(self, owner: ObservedService) -> tuple[dict[str, Any], dict[str, Any]]:
        """Secret and ServiceAccount, which go when `owner` goes."""
        metadata = {
            "name": access_name(self.service),
            "namespace": self.namespace,
            "labels": {SERVICE_ID: str(self.service), MANAGED_BY: "modeltrail"},
            "ownerReferences": [{"apiVersion": API_VERSION, "kind": KIND, "name": owner.name, "uid": owner.uid}],
        }
        keys = dict.fromkeys(ACCESS_KEY, self.access_key) | dict.fromkeys(SECRET_KEY, self.secret_key)
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "Opaque",
            "metadata": metadata | {"annotations": dict(self.annotations)},
            "data": {name: b64encode(value.encode()).decode() for name, value in keys.items()},
        }
        account = {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": metadata,
            "secrets": [{"name": access_name(self.service)}],
        }
        return secret, account


class Storage(Protocol):
    """Knows what opens the storage of versions."""

    async def access(self, service: UUID, task: ToApply) -> StorageAccess | None:
        """What opens the storage of the version to deploy; None when that needs nothing. Raises StorageError."""

    async def was_needed(self, service: UUID) -> bool:
        """Whether anything of that kind may be in the cluster for this service, of any of its deployments."""


class Locked:
    """Has no keys."""

    async def access(self, _service: UUID, task: ToApply) -> StorageAccess | None:
        """None, or StorageError."""
        if needs_access(task.target):
            raise StorageError("CredentialsUnreadable", "this worker was given no keys to open the version's storage")
        return None

    async def was_needed(self, _service: UUID) -> bool:
        """Never."""
        return False


class KeptCredentials:
    """The credentials that were given with versions. `annotations` hold for all of them, unless a version's labels,
    under the same names, say otherwise."""

    def __init__(self, pool: Pool, keys: KeyRing, annotations: Mapping[str, str]) -> None:
        self._pool = pool
        self._keys = keys
        self._annotations = annotations

    async def access(self, service: UUID, task: ToApply) -> StorageAccess | None:
        """What opens the storage of the version to deploy; None when that needs nothing. Raises StorageError."""
        target = task.target
        if not needs_access(target):
            return None
        row = await self._pool.fetchrow(SQL.get_credentials, target.model_version_id)
        if row is None:
            raise StorageError(
                "CredentialsMissing", f"the credentials of version {target.model_version_id} are gone; register it anew"
            )
        try:
            opened = self._keys.unseal(row["key_id"], row["box"], target.model_version_id.bytes)
        except UnusableKeyError as error:
            raise StorageError("CredentialsUnreadable", str(error)) from None
        given = msgspec.json.decode(opened, type=dict[str, str])
        labels = msgspec.json.decode(row["labels"], type=dict[str, str])
        own = {key: value for key, value in labels.items() if key.removeprefix(S3) in ABOUT_S3 and key.startswith(S3)}
        return StorageAccess(
            service, target.namespace, given["access_key"], given["secret_key"], {**self._annotations, **own}
        )

    async def was_needed(self, service: UUID) -> bool:
        """Whether a deployment of the service was one of a version with keys. Asked of the log: it forgets none."""
        needed: bool = await self._pool.fetchval(SQL.needed_access, service)
        return needed


def access_name(service: UUID) -> str:
    """The name of Secret and ServiceAccount: nobody else's, as the id is nobody else's."""
    return f"modeltrail-{service}"


def needs_access(target: Target) -> bool:
    """Whether the version's storage is opened with keys that were given with it: those of S3."""
    return target.has_credentials and target.storage_uri.startswith("s3://")
