"""The status of an InferenceService as KServe v0.20 words it, for each stage of its life."""

import hashlib

import msgspec

from modeltrail.simulated_cluster.admission import deployment_mode
from modeltrail.simulated_cluster.resources import Json

DOMAIN = "example.simulated"
# Reasons of a Deployment's conditions.
_GIVEN_UP = "ProgressDeadlineExceeded"
_ROLLING_OUT = "MinimumReplicasAvailable"
_ROLLED_OUT = "NewReplicaSetAvailable"
_NO_INGRESS = ("False", "Predictor ingress not created", "")  # what KServe says of the whole while its pods are not up
_STOP = "serving.kserve.io/stop"


def revision(obj: Json) -> str:
    """The name of the revision that the object asks for now.

    KServe copies labels and annotations to the pods, so they make a new revision just as the spec does.
    """
    metadata = obj["metadata"]
    template = (obj["spec"], metadata.get("labels"), metadata.get("annotations"))
    digest = hashlib.sha256(msgspec.json.encode(template, order="sorted")).hexdigest()[:10]
    return f"{metadata['name']}-predictor-{digest}"


def is_ready(obj: Json) -> bool:
    return bool(_said_of(obj, "Ready")["status"] == "True")


def created_revision(obj: Json) -> str | None:
    predictor = ((obj.get("status") or {}).get("components") or {}).get("predictor") or {}
    name: str | None = predictor.get("latestCreatedRevision")
    return name


def transition(obj: Json) -> str | None:
    status: str | None = ((obj.get("status") or {}).get("modelStatus") or {}).get("transitionStatus")
    return status


def is_to_stop(obj: Json) -> bool:
    """Whether somebody wants nothing of it to run; nothing that is changed meanwhile has an effect then."""
    annotations = obj["metadata"].get("annotations") or {}
    return str(annotations.get(_STOP, "")).lower() == "true"


def is_stopped(obj: Json) -> bool:
    return _said_of(obj, "Ready").get("reason") == "Stopped"


def stopped(obj: Json, now: str) -> Json:
    """All that was said before is cleared, as by `Reconcile` in pkg/controller/v1beta1/inferenceservice/components/
    predictor.go, so that a service that goes on begins anew."""
    unready = ("False", "Stopped", "")
    conditions = {"IngressReady": unready, "PredictorReady": unready, "Ready": unready, "Stopped": ("True", "", "")}
    return {
        "conditions": _conditions({}, conditions, now),
        "deploymentMode": deployment_mode(obj),
        "modelStatus": {"transitionStatus": ""},
    }


def may_sleep(obj: Json) -> bool:
    """Whether Knative takes the pods away, since nobody calls them."""
    is_allowed = obj["spec"]["predictor"].get("minReplicas") == 0 and deployment_mode(obj) == "Knative"
    return is_allowed and is_ready(obj) and transition(obj) == "UpToDate"


def is_asleep(obj: Json) -> bool:
    copies = ((obj.get("status") or {}).get("modelStatus") or {}).get("copies") or {}
    return is_ready(obj) and copies.get("totalCopies") == 0


def asleep(obj: Json, _now: str) -> Json:
    """No pods, and so a model that KServe takes for one that is still to come, though the next call wakes it.

    https://github.com/kserve/kserve/issues/6079
    """
    old: Json = obj["status"]
    pending = {
        "transitionStatus": "InProgress",
        "states": {"activeModelState": "Loaded", "targetModelState": "Pending"},
        "copies": {"failedCopies": 0, "totalCopies": 0},
    }
    return {**old, "modelStatus": {**_kept_failure(old), **pending}}


def starting(obj: Json, now: str) -> Json:
    """A new revision is being rolled out.

    In `Standard` mode the old pods go on serving meanwhile, so a service that was ready keeps its address, and KServe
    goes on saying that it is ready.
    """
    old = obj.get("status") or {}
    serving = is_ready(obj) or _serves_on(obj)
    states = {"activeModelState": "Loaded" if serving else "", "targetModelState": "Loading"}
    model_status = {**_kept_failure(old), "transitionStatus": "InProgress", "states": states}
    status = _common(obj, model_status)
    if _serves_on(obj):
        return {**status, "conditions": _conditions(old, _UNDER_WAY, now), **_addresses(obj)}
    return {**status, "conditions": _conditions(old, _UNAVAILABLE, now)}


def ready(obj: Json, now: str) -> Json:
    """The revision serves. KServe does not clear an earlier `lastFailureInfo`, so neither does this."""
    old = obj.get("status") or {}
    states = {"activeModelState": "Loaded", "targetModelState": "Loaded"}
    model_status = {
        **_kept_failure(old),
        "transitionStatus": "UpToDate",
        "states": states,
        "copies": {"failedCopies": 0, "totalCopies": 1},
    }
    status = _common(obj, model_status, newly_ready=revision(obj))
    done = (_ROLLED_OUT, f'ReplicaSet "{revision(obj)}" has successfully progressed.')
    return {**status, "conditions": _conditions(old, _available(*done), now), **_addresses(obj)}


def failed(obj: Json, now: str) -> Json:
    """The model could not be loaded.

    The old pods of a service that was ready serve on in `Standard` mode: the roll-out stops at the new ones.
    """
    old = obj.get("status") or {}
    serves_on = _serves_on(obj)
    message = "simulated: the model at storageUri could not be loaded"
    failure = {
        "location": f"{revision(obj)}-simulated",
        "reason": "ModelLoadFailed",
        "message": message,
        "modelRevisionName": revision(obj),
        "time": now,
        "exitCode": 1,
    }
    model_status = {
        "transitionStatus": "BlockedByFailedLoad",
        "states": {"activeModelState": "Loaded" if serves_on else "", "targetModelState": "FailedToLoad"},
        "copies": {"failedCopies": 1, "totalCopies": 1},
        "lastFailureInfo": failure,
    }
    if serves_on:
        return {**_common(obj, model_status), "conditions": _conditions(old, _UNDER_WAY, now), **_addresses(obj)}
    return {**_common(obj, model_status), "conditions": _conditions(old, _UNAVAILABLE, now)}


def may_be_given_up(obj: Json) -> bool:
    """Whether a roll-out makes no progress while the old pods serve, which is when KServe tells of its end."""
    return deployment_mode(obj) == "Standard" and _said_of(obj, "PredictorReady").get("reason") == _ROLLING_OUT


def given_up(obj: Json, now: str) -> Json:
    """The Deployment's deadline has passed. The model stays `InProgress`: KServe looks at one pod, an old one."""
    old: Json = obj["status"]
    timed_out = ("False", _GIVEN_UP, f'ReplicaSet "{revision(obj)}" has timed out progressing.')
    conditions = {"IngressReady": _NO_INGRESS, "PredictorReady": timed_out, "Ready": _NO_INGRESS}
    return {**old, "conditions": _conditions(old, conditions, now)}


def _serves_on(obj: Json) -> bool:
    """Whether the pods of the spec before serve while those of the new one do not."""
    said = _said_of(obj, "PredictorReady")
    return deployment_mode(obj) == "Standard" and (said["status"] == "True" or said.get("reason") == _GIVEN_UP)


def _said_of(obj: Json, what: str) -> Json:
    conditions = (obj.get("status") or {}).get("conditions") or []
    return next((each for each in conditions if each["type"] == what), {"status": "False"})


def _available(reason: str, message: str) -> dict[str, tuple[str, str, str]]:
    return {"IngressReady": ("True", "", ""), "PredictorReady": ("True", reason, message), "Ready": ("True", "", "")}


# Of a Deployment whose new pods are not up yet, or never will be, beside enough old ones.
_UNDER_WAY = _available(_ROLLING_OUT, "Deployment has minimum availability.")
_UNAVAILABLE = {
    "IngressReady": _NO_INGRESS,
    "PredictorReady": ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability."),
    "Ready": _NO_INGRESS,
}


def _common(obj: Json, model_status: Json, newly_ready: str | None = None) -> Json:
    return {
        "components": {"predictor": _component(obj, newly_ready)},
        "deploymentMode": deployment_mode(obj),
        "modelStatus": model_status,
        # That of the Deployment underneath, which the real controller copies here; never the object's own.
        "observedGeneration": 1,
    }


def _component(obj: Json, newly_ready: str | None) -> Json:
    """The revisions of the predictor, and in `Knative` mode which of them has which part of the traffic.

    KServe sends `canaryTrafficPercent` to the newest revision that is ready, and the rest to the one that had all of it
    last; without the field the newest that is ready has all of it (pkg/controller/v1beta1/inferenceservice/reconcilers/
    knative/ksvc_reconciler.go, pkg/apis/serving/v1beta1/inference_service_status.go).
    """
    old = ((obj.get("status") or {}).get("components") or {}).get("predictor") or {}
    ready = newly_ready or old.get("latestReadyRevision")
    component: Json = {"latestCreatedRevision": revision(obj)}
    if ready:
        component["latestReadyRevision"] = ready
    if deployment_mode(obj) != "Knative" or not ready:
        return component
    before, rolled_out = old.get("previousRolledoutRevision"), old.get("latestRolledoutRevision")
    percent = obj["spec"]["predictor"].get("canaryTrafficPercent")
    newest = {"latestRevision": True, "revisionName": ready}
    if percent is None or percent >= 100 or rolled_out is None:
        if rolled_out != ready:
            before, rolled_out = rolled_out, ready
        traffic = [{**newest, "percent": 100}]
    else:
        rest = {"latestRevision": False, "revisionName": rolled_out, "percent": 100 - percent, "tag": "prev"}
        traffic = [{**newest, "percent": percent}, rest]
    if before:
        component["previousRolledoutRevision"] = before
    return {**component, "latestRolledoutRevision": rolled_out, "traffic": traffic}


def _addresses(obj: Json) -> Json:
    name, namespace = obj["metadata"]["name"], obj["metadata"]["namespace"]
    return {
        "url": f"http://{name}.{namespace}.{DOMAIN}",
        "address": {"url": f"http://{name}.{namespace}.svc.simulated"},
    }


def _kept_failure(old: Json) -> Json:
    failure = (old.get("modelStatus") or {}).get("lastFailureInfo")
    return {"lastFailureInfo": failure} if failure else {}


def _conditions(old: Json, wanted: dict[str, tuple[str, str, str]], now: str) -> list[Json]:
    before = {each["type"]: each for each in old.get("conditions") or []}
    rows = []
    for kind, (status, reason, message) in wanted.items():
        known = before.get(kind, {})
        since = known.get("lastTransitionTime", now) if known.get("status") == status else now
        row: Json = {"type": kind, "status": status, "lastTransitionTime": since}
        row |= {key: text for key, text in (("reason", reason), ("message", message)) if text}
        rows.append(row)
    return rows
