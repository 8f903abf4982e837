"""The cluster as the deploy worker sees it: what it can be asked, what it answers, how it fails.

Nothing here knows Kubernetes' client: `workers.kserve` turns its answers and errors into these.
"""

from collections.abc import AsyncGenerator, Iterable, Mapping
from datetime import datetime
from enum import Enum
from typing import Any, Protocol
from uuid import UUID

import msgspec


class ClusterError(Exception):
    """Anything that went wrong between us and the cluster; the message is for a person."""


class ClusterNotConfigured(ClusterError):  # noqa: N818 - a state of affairs, named like its siblings
    """No way to a cluster was found in the settings."""


class ClusterUnavailable(ClusterError):  # noqa: N818 - what happened, not that it is an error
    """It may work later: no connection, a time-out, an overloaded or restarting API server.

    A write may have happened all the same. `retry_after` is in seconds, when the cluster named a time.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ClusterRefused(ClusterError):  # noqa: N818
    """It will not work however often it is tried: forbidden, invalid, denied by a webhook.

    `reason` is Kubernetes' word for it, such as `Forbidden` or `Invalid`.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class ClusterForbids(ClusterRefused):
    """We lack the right; or the API server has just started, and says so of everybody until it has read the roles."""


class FieldConflict(ClusterError):  # noqa: N818
    """Other field managers own these fields and gave them other values; force would take them over."""

    def __init__(self, managers: tuple[str, ...], fields: tuple[str, ...]) -> None:
        super().__init__(f"{', '.join(managers)} changed what we manage: {', '.join(fields)}")
        self.managers = managers
        self.fields = fields


class WatchExpired(ClusterError):  # noqa: N818
    """The cluster no longer knows what happened since that version: list again, then watch from there."""


def as_text(said: str) -> str:
    """What the cluster said, such that it can be kept: PostgreSQL holds no U+0000, which a container's log may."""
    return said.replace("\0", "\ufffd")


class Failure(msgspec.Struct, frozen=True):
    """Why KServe could not bring a model up, in its own words; `exit_code` is 0 when it named none."""

    reason: str
    message: str
    exit_code: int = 0

    def in_words(self) -> str:
        """All of it, for a person."""
        code = f", exit code {self.exit_code}" if self.exit_code else ""
        return f"{self.message} ({self.reason}{code})"


class Condition(msgspec.Struct, frozen=True):
    """One condition of a status; `status` is `True`, `False` or `Unknown`."""

    type: str
    status: str
    reason: str = ""
    message: str = ""


def why_unready(conditions: Iterable[Condition]) -> Condition | None:
    """The condition that tells why the service is not ready; None when it is, or nothing is said of that.

    That of the predictor, where there is one: of the service itself KServe says then that there is no ingress; and, in
    Knative mode, of the predictor that it has no revision, where its configuration tells what became of that.
    """
    unready = {each.type: each for each in conditions if each.status != "True"}
    if "Ready" not in unready:
        return None
    configuration = unready.get("PredictorConfigurationReady")
    if configuration is not None and configuration.status == "False":
        return configuration
    return unready.get("PredictorReady", unready["Ready"])


class ObservedService(msgspec.Struct, frozen=True, kw_only=True):
    """An InferenceService as it was seen at one moment.

    KServe's status does not say which version of the object it speaks of. What can be known is whether it
    was last written before our last apply: then it is `stale`, and tells of the deployment before.
    When it was written in the very second of that apply or in the next, nobody knows, and it is `unsure`.
    `revision` is the newest that the status names, in Standard mode a ReplicaSet; every apply makes a new one, for our
    deployment id is part of the pods. The status is `of_before` where it still names the one that was there when we
    applied: KServe has written since, but has not come to what we asked for.
    `serving` is what the status says as it stands; `ready` and `failed` hold only of a status that is not stale,
    `failed` of none that is of before, except for a service that somebody `stopped`, which the object itself tells.
    What is `alone` has nothing beside it that might have a part of the traffic, as a canary should.
    """

    namespace: str
    name: str
    uid: str
    resource_version: str
    generation: int
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    finalizers: tuple[str, ...]
    conditions: tuple[Condition, ...]
    url: str | None
    stopped: bool
    alone: bool
    revision: str
    serving: bool
    stale: bool
    unsure: bool
    of_before: bool
    ready: bool
    failed: Failure | None
    deleting: bool
    applied_at: datetime | None
    service_id: UUID | None
    deployment_id: UUID | None
    spec: Mapping[str, Any]  # Any: KServe's, and open-ended

    @property
    def interruption(self) -> tuple[str, str] | None:
        """Why it does not serve, as a reason and a message; None while it does, or nothing is said.

        `Unknown` is nothing: so KServe calls a roll-out that is under way, as after a change of the ServingRuntime,
        while the pods of before serve on (https://github.com/kserve/kserve/pull/4667). One that breaks off is `False`.
        """
        said = why_unready(self.conditions)
        if said is None:
            return None
        if self.failed is not None:
            return self.failed.reason, self.failed.in_words()
        if said.status == "Unknown":
            return None
        reason = said.reason or "NotReady"
        return reason, f"KServe says that the service is not ready: {said.message or reason}"

    @property
    def pending_deletion(self) -> str:
        """What it means that it is `deleting`, for a person."""
        names = ", ".join(self.finalizers) or "none"
        return f"the InferenceService is marked for deletion but still there; its finalizers: {names}"


class Applied(msgspec.Struct, frozen=True):
    """The object exists, new or changed."""

    service: ObservedService


class Deleted(msgspec.Struct, frozen=True):
    """The object is gone; this is what it was last."""

    service: ObservedService


class Bookmark(msgspec.Struct, frozen=True):
    """Nothing happened up to this version; a watch can be resumed from it."""

    resource_version: str


Change = Applied | Deleted | Bookmark


Listing = tuple[list[ObservedService], str]


class Deletion(Enum):
    """What became of a request to delete."""

    STARTED = "started"  # it goes when its finalizers are done; `get` tells
    GONE = "gone"  # it was not there
    NOT_OURS = "not ours"  # another object bears the name now: ours is gone


class Cluster(Protocol):
    """Where services run. Every method may raise `ClusterUnavailable` and `ClusterRefused`."""

    async def apply(self, manifest: Mapping[str, Any], *, force: bool = False) -> ObservedService:
        """Make the cluster hold what `manifest` states; repeating it is harmless.

        Raises `FieldConflict` when somebody else changed a field of ours and `force` is off.
        """
        ...

    async def dry_run(self, manifest: Mapping[str, Any]) -> ObservedService:
        """What `apply` would leave, or its error; nothing is changed."""
        ...

    async def get(self, namespace: str, name: str) -> ObservedService | None: ...

    async def delete(self, namespace: str, name: str, uid: str | None = None) -> Deletion:
        """With `uid`, only that very object."""
        ...

    async def access_owners(self, namespace: str, name: str) -> Mapping[str, UUID | None]:
        """Which of the Secret and the ServiceAccount of this name there are, by kind, and whose: our service's id."""
        ...

    async def apply_access(self, secret: Mapping[str, Any], account: Mapping[str, Any]) -> None:
        """Make the cluster hold a Secret and the ServiceAccount that lists it, as these state."""
        ...

    async def list(self) -> Listing:
        """All services of ours, and the version from which to watch."""
        ...

    def watch(self, resource_version: str) -> AsyncGenerator[Change, None]:
        """What happens to services of ours after this version, without end.

        Raises `WatchExpired` when that is too long ago.
        """
        ...
