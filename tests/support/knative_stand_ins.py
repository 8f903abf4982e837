"""The parts of Knative that would need pods that run: its autoscaler, and an ingress.

Nobody sends requests here, so every revision that need not have pods loses them, as with Knative's own autoscaler.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from threading import Event, Thread

import httpx

from support.control_plane import ControlPlane, Json
from support.real_knative import PROGRESS_SECONDS

LOOK_SECONDS = 0.2
IDLE_SECONDS = 3.0  # that a revision without requests keeps its pods; Knative's own are 60 at the least
GIVE_UP_SECONDS = PROGRESS_SECONDS + 10.0  # until pods that never were ready are taken away; 30 more in Knative
_AUTOSCALERS = "/apis/autoscaling.internal.knative.dev/v1alpha1/podautoscalers"
_INGRESSES = "/apis/networking.internal.knative.dev/v1alpha1/ingresses"
_DEPLOYMENTS = "/apis/apps/v1/deployments"
_GATEWAY = {"ingress": [{"domainInternal": "gateway.example.com"}]}


@contextmanager
def standing_in(plane: ControlPlane) -> Iterator[None]:
    """They are at work, in a thread, as long as the block lasts."""
    ended = Event()

    def work() -> None:
        while not ended.wait(LOOK_SECONDS):
            _look(plane)

    thread = Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _look(plane: ControlPlane) -> None:
    for ingress in _listed(plane, _INGRESSES).values():
        _say(plane, _INGRESSES, ingress, _routed(ingress))
    deployments = _listed(plane, _DEPLOYMENTS)
    for autoscaler in _listed(plane, _AUTOSCALERS).values():
        key = autoscaler["metadata"]["namespace"], autoscaler["spec"]["scaleTargetRef"]["name"]
        if key in deployments:
            _scale(plane, autoscaler, deployments[key])


def _scale(plane: ControlPlane, autoscaler: Json, deployment: Json) -> None:
    wanted = _wanted(autoscaler)
    if deployment["spec"]["replicas"] != wanted:
        _patch(plane, _DEPLOYMENTS, deployment, {"spec": {"replicas": wanted}})
    ready = deployment.get("status", {}).get("readyReplicas", 0)
    _say(plane, _AUTOSCALERS, autoscaler, _scaled(autoscaler, wanted, ready))


def _listed(plane: ControlPlane, kind: str) -> dict[tuple[str, str], Json]:
    """All of a kind that are to stay, by namespace and name."""
    listed = [each for each in plane.get(kind)["items"] if "deletionTimestamp" not in each["metadata"]]
    return {(each["metadata"]["namespace"], each["metadata"]["name"]): each for each in listed}


def _say(plane: ControlPlane, kind: str, found: Json, status: Json) -> None:
    status |= {"observedGeneration": found["metadata"]["generation"]}
    said = found.get("status", {})
    if any(said.get(name) != value for name, value in status.items()):
        _patch(plane, kind, found, {"status": status}, "/status")


def _patch(plane: ControlPlane, kind: str, found: Json, change: Json, part: str = "") -> None:
    group, plural = kind.rsplit("/", 1)
    namespace, name = found["metadata"]["namespace"], found["metadata"]["name"]
    path = f"{group}/namespaces/{namespace}/{plural}/{name}{part}"
    answer = plane.api.patch(path, json=change, headers={"Content-Type": "application/merge-patch+json"})
    assert answer.is_success or answer.status_code == httpx.codes.NOT_FOUND, answer.text  # it may be gone by now


def _routed(ingress: Json) -> Json:
    """The status of an ingress whose rules are in force."""
    conditions = {"LoadBalancerReady": "True", "NetworkConfigured": "True", "Ready": "True"}
    told = [_condition(ingress, name, status) for name, status in conditions.items()]
    return {"publicLoadBalancer": _GATEWAY, "privateLoadBalancer": _GATEWAY, "conditions": told}


def _wanted(autoscaler: Json) -> int:
    """How many pods: as many as it must have, or one as long as somebody may ask it something."""
    if least := _least(autoscaler):
        return least
    active = _said(autoscaler, "Active")
    patience = {"True": IDLE_SECONDS, "Unknown": GIVE_UP_SECONDS, "False": 0.0}
    return 1 if active is None or _seconds_since(active) < patience[active["status"]] else 0


def _scaled(autoscaler: Json, wanted: int, ready: int) -> Json:
    """The status of one whose Deployment has so many pods."""
    enough = ready >= max(_least(autoscaler), 1)
    was_up = (_said(autoscaler, "ScaleTargetInitialized") or {}).get("status") == "True"
    active: tuple[str, ...] = ("Unknown", "Queued", "Requests are being buffered as resources are provisioned.")
    if wanted == 0:
        active = ("False", "NoTraffic", "The target is not receiving traffic.")
    elif enough:
        active = ("True",)
    name = autoscaler["metadata"]["name"]
    return {
        "serviceName": name,
        "metricsServiceName": f"{name}-private",
        "desiredScale": wanted,
        "actualScale": ready,
        "conditions": [
            _condition(autoscaler, "Active", *active),
            _condition(autoscaler, "Ready", *active),
            _condition(autoscaler, "SKSReady", "True"),
            _condition(autoscaler, "ScaleTargetInitialized", "True" if enough or was_up else "Unknown"),
        ],
    }


def _least(autoscaler: Json) -> int:
    """What nothing is sent to may sleep, whatever it was told."""
    if autoscaler["spec"].get("reachability") == "Unreachable":
        return 0
    return int(autoscaler["metadata"].get("annotations", {}).get("autoscaling.knative.dev/min-scale", 0))


def _condition(found: Json, name: str, status: str, reason: str = "", message: str = "") -> Json:
    """One whose time is that of its last change of status."""
    said = _said(found, name)
    since = (
        said["lastTransitionTime"] if said and said["status"] == status else f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    )
    told = {"type": name, "status": status, "lastTransitionTime": since, "reason": reason, "message": message}
    return {key: value for key, value in told.items() if value}


def _said(found: Json, name: str) -> Json | None:
    conditions: list[Json] = found.get("status", {}).get("conditions", [])
    return next((each for each in conditions if each["type"] == name), None)


def _seconds_since(condition: Json) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(condition["lastTransitionTime"])).total_seconds()
