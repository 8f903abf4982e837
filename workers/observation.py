"""Reading what the cluster says of InferenceServices, straight from its JSON.

Facts of KServe v0.17 to v0.20 (pkg/apis/serving/v1beta1/inference_service_status.go, `PropagateRawStatus` above all),
which `make kserve` tries: ready is the condition `Ready`; but in Standard mode v0.20 says so during a roll-out, too, as
long as pods of before serve, and only the reason of `PredictorReady`, which is the Deployment's, tells. That one also
tells why a service is not ready, since `Ready` then has the reason that there is no ingress. `observedGeneration` is
that of the Deployment and says nothing of this object. `modelStatus.lastFailureInfo` is not cleared on recovery, so it
counts only while `transitionStatus` says that the model is blocked. A service in Knative mode that was scaled to zero
is `InProgress` until somebody calls it (https://github.com/kserve/kserve/issues/6079): it serves all the same.
"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from modeltrail.workers.cluster import Condition, Failure, ObservedService, as_text, why_unready
from modeltrail.workers.manifest import DEPLOYMENT_ID, REPLACES, SERVICE_ID

MANAGER = "modeltrail"
_UP_TO_DATE = ("", "UpToDate")
_BLOCKED = ("BlockedByFailedLoad", "InvalidSpec")
# Reasons of a Deployment's conditions: https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#deployment-status
_ROLLING_OUT = "MinimumReplicasAvailable"  # enough pods, old and new, while not all are new
_GIVEN_UP = ("ProgressDeadlineExceeded", "FailedCreate", "RevisionFailed")  # the last one is Knative's
_REPLICA_SET = re.compile(r'[Rr]eplica ?[Ss]et "([^"]+)"')
# KServe passes on what the container wrote, and who is killed writes nothing.
_MEANINGS = {137: "the container was killed, as a rule because it took more memory than its limit"}
# Whoever sets it keeps KServe from running anything, whatever is applied (`GetForceStopRuntime` in pkg/utils/utils.go;
# https://github.com/kserve/kserve/issues/4207). KServe writes no new status then, so only the annotation tells.
_STOP = "serving.kserve.io/stop"


class _Wire(msgspec.Struct, rename="camel"):
    """A part of a Kubernetes object; what is not named is skipped unread."""


class _ManagedFields(_Wire):
    manager: str = ""
    operation: str = ""
    subresource: str = ""
    time: datetime | None = None


class _Metadata(_Wire):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    finalizers: tuple[str, ...] | None = None
    creation_timestamp: datetime | None = None
    deletion_timestamp: str | None = None
    managed_fields: tuple[_ManagedFields, ...] | None = None


class _FailureInfo(_Wire):
    reason: str = ""
    message: str = ""
    exit_code: int = 0


class _ModelStatus(_Wire):
    transition_status: str = ""
    last_failure_info: _FailureInfo | None = None


class _Component(_Wire):
    """Only Knative has revisions."""

    latest_ready_revision: str = ""
    latest_created_revision: str = ""
    latest_rolledout_revision: str = ""  # the one beside a canary


class _Status(_Wire):
    components: dict[str, _Component] | None = None
    conditions: tuple[Condition, ...] | None = None
    model_status: _ModelStatus | None = None
    url: str | None = None


class _Object(_Wire):
    metadata: _Metadata
    status: _Status | None = None
    spec: dict[str, Any] | None = None  # Any: KServe's, and open-ended


class _ListMetadata(_Wire):
    resource_version: str = ""
    continue_: str = msgspec.field(default="", name="continue")


class ServiceList(_Wire):
    """One page of a list."""

    metadata: _ListMetadata
    items: tuple[_Object, ...] | None = None

    def services(self) -> list[ObservedService]:
        return [_observed(each) for each in self.items or ()]


class WatchEvent(_Wire):
    """One line of a watch; `object` is read according to `type`."""

    type: str
    object: msgspec.Raw


_objects = msgspec.json.Decoder(_Object)
_lists = msgspec.json.Decoder(ServiceList)
_events = msgspec.json.Decoder(WatchEvent)


def read_service(raw: bytes | msgspec.Raw) -> ObservedService:
    """Raises `msgspec.DecodeError` for what is no object."""
    return _observed(_objects.decode(raw))


def read_list(raw: bytes | msgspec.Raw) -> ServiceList:
    return _lists.decode(raw)


def read_event(raw: bytes | msgspec.Raw) -> WatchEvent:
    return _events.decode(raw)


def read_version(raw: bytes | msgspec.Raw) -> str:
    """The resource version that a bookmark carries."""
    return _objects.decode(raw).metadata.resource_version


def read_owner(raw: bytes | msgspec.Raw) -> UUID | None:
    """The service of ours that an object of any kind belongs to. What a Secret holds is not read."""
    return _uuid((_objects.decode(raw).metadata.labels or {}).get(SERVICE_ID))


def _observed(found: _Object) -> ObservedService:
    metadata, status = found.metadata, found.status or _Status()
    model = status.model_status or _ModelStatus()
    conditions = tuple(map(_kept, status.conditions or ()))
    labels, annotations = metadata.labels or {}, metadata.annotations or {}
    applied_at = _latest(metadata, manager=MANAGER, operation="Apply", subresource="")
    reported_at = _latest(metadata, manager=None, operation="", subresource="status")
    stale = applied_at is not None and (reported_at is None or reported_at < applied_at)
    predictor = (status.components or {}).get("predictor") or _Component()
    revision = predictor.latest_created_revision or _replica_set(conditions)
    replaced = annotations.get(REPLACES, "")
    of_before = revision == replaced != ""
    is_first = metadata.generation <= 1 and metadata.creation_timestamp == applied_at and not replaced
    is_after = is_first or (replaced != "" and revision not in ("", replaced))
    unsure = _is_of_that_moment(reported_at, applied_at) and not is_after
    deleting = metadata.deletion_timestamp is not None
    up = predictor.latest_ready_revision == predictor.latest_created_revision
    sleeps = model.transition_status == "InProgress" and up and predictor.latest_created_revision != ""
    serving = _is_said_ready(conditions) and up and (model.transition_status in _UP_TO_DATE or sleeps) and not deleting
    ready, stopped = serving and not stale, _stopped(annotations)
    has_all = predictor.latest_rolledout_revision == predictor.latest_created_revision != ""
    return ObservedService(
        namespace=metadata.namespace,
        name=metadata.name,
        uid=metadata.uid,
        resource_version=metadata.resource_version,
        generation=metadata.generation,
        labels=labels,
        annotations=annotations,
        finalizers=metadata.finalizers or (),
        conditions=conditions,
        url=status.url or None,
        stopped=stopped is not None,
        alone=stopped is not None or (ready and not of_before and has_all),
        serving=serving,
        stale=stale,
        revision=revision,
        of_before=of_before,
        unsure=unsure,
        ready=ready,
        failed=stopped or (None if stale or of_before else _failure(model, conditions)),
        deleting=deleting,
        applied_at=applied_at,
        service_id=_uuid(labels.get(SERVICE_ID)),
        deployment_id=_uuid(annotations.get(DEPLOYMENT_ID)),
        spec=found.spec or {},
    )


def _latest(metadata: _Metadata, *, manager: str | None, operation: str, subresource: str) -> datetime | None:
    """When such a manager last wrote. Real clusters keep whole seconds, so equal times leave it open."""
    times = [
        each.time
        for each in metadata.managed_fields or ()
        if each.time is not None
        and each.subresource == subresource
        and manager in (None, each.manager)
        and operation in ("", each.operation)
    ]
    return max(times, default=None)


def _is_of_that_moment(reported_at: datetime | None, applied_at: datetime | None) -> bool:
    """Whether a status may still tell of before the apply, as far as the clock can tell.

    What KServe writes first after an apply may be the readiness of the pods before, beside the name of the new
    ServingRuntime: the Deployment, just changed, still has its old status (`reconcileModel` and `PropagateRawStatus` in
    pkg/controller/v1beta1/inferenceservice/components/predictor.go). Of whole seconds, the next may begin in between.
    """
    if reported_at is None or applied_at is None or reported_at < applied_at:
        return False
    are_whole = reported_at.microsecond == applied_at.microsecond == 0
    return reported_at - applied_at <= (timedelta(seconds=1) if are_whole else timedelta())


def _replica_set(conditions: tuple[Condition, ...]) -> str:
    """The ReplicaSet that KServe names, in Standard mode; during a roll-out it names none, or the new one."""
    told = next((each.message for each in conditions if each.type == "PredictorReady"), "")
    found = _REPLICA_SET.search(told)
    return found[1] if found else ""


def _is_said_ready(conditions: tuple[Condition, ...]) -> bool:
    """Whether KServe says so of all that was asked for last."""
    told = {each.type: each for each in conditions if each.status == "True"}
    predictor = told.get("PredictorReady")
    return "Ready" in told and (predictor is None or predictor.reason != _ROLLING_OUT)


def _kept(said: Condition) -> Condition:
    return Condition(said.type, said.status, as_text(said.reason), as_text(said.message))


def _stopped(annotations: Mapping[str, str]) -> Failure | None:
    if annotations.get(_STOP, "").lower() != "true":
        return None
    return Failure("Stopped", f"somebody stopped the service with the annotation {_STOP}; it runs once that is gone")


def _failure(model: _ModelStatus, conditions: tuple[Condition, ...]) -> Failure | None:
    unready = why_unready(conditions)
    if model.transition_status not in _BLOCKED:
        gave_up = unready is not None and unready.status == "False" and unready.reason in _GIVEN_UP
        return Failure(unready.reason, unready.message) if unready is not None and gave_up else None
    info = model.last_failure_info or _FailureInfo()
    said = unready.message if unready is not None else ""
    message = info.message or _MEANINGS.get(info.exit_code) or said or "KServe gave no reason"
    return Failure(as_text(info.reason or model.transition_status), as_text(message), info.exit_code)


def _uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        return None
