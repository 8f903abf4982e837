"""The InferenceService that a deployment asks for.

A user's labels become labels where Kubernetes allows key and value. Others become annotations, with the
characters that a key must not have replaced by `-`; what has no key left then, would stand in the way of
one of ours or of another label, or would speak to KServe or Kubernetes (an annotation such as
`autoscaling.knative.dev/…` changes how a service runs), stays in the registry and out of the cluster.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

import msgspec

from modeltrail.domain.model_format import model_format
from modeltrail.domain.serving_options import DeploymentMode, ServingOptions

PREFIX = "modelregistry.ai-platform"
SERVICE_ID = f"{PREFIX}/inference-service-id"
MODEL_ID = f"{PREFIX}/registered-model-id"
VERSION_ID = f"{PREFIX}/model-version-id"
DEPLOYMENT_ID = f"{PREFIX}/deployment-id"
REPLACES = f"{PREFIX}/replaces-revision"
DEPLOYMENT_MODE = "serving.kserve.io/deploymentMode"

API_VERSION = "serving.kserve.io/v1beta1"
KIND = "InferenceService"

# https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_DOMAIN = re.compile(r"(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_COMMANDING = re.compile(r"(.*\.)?(kserve\.io|knative\.dev|kubernetes\.io|k8s\.io|istio\.io|kubeflow\.org)")
_ANNOTATION_BUDGET = 128 * 1024  # bytes; Kubernetes allows 256 KiB for all annotations together


class DesiredService(msgspec.Struct, frozen=True, kw_only=True):
    """What a deployment asks for."""

    name: str
    namespace: str
    service_id: UUID
    model_id: UUID
    version_id: UUID
    deployment_id: UUID
    model_framework: str
    model_framework_version: str
    storage_uri: str
    labels: Mapping[str, str]
    mode: DeploymentMode = DeploymentMode.STANDARD
    service_account: str | None = None
    options: ServingOptions = ServingOptions()
    aborts_canary: bool = False


def manifest(desired: DesiredService) -> dict[str, Any]:
    """The object to apply. Equal wishes give equal objects."""
    labels, annotations = _user_metadata(desired.labels)
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {
            "name": desired.name,
            "namespace": desired.namespace,
            "labels": {
                **labels,
                SERVICE_ID: str(desired.service_id),
                MODEL_ID: str(desired.model_id),
                VERSION_ID: str(desired.version_id),
            },
            "annotations": {
                **annotations,
                DEPLOYMENT_ID: str(desired.deployment_id),
                DEPLOYMENT_MODE: desired.mode.value,
            },
        },
        "spec": {"predictor": _predictor(desired)},
    }


def replacing(wanted: dict[str, Any], revision: str) -> dict[str, Any]:
    """The object, with a note for whoever reads its status: one that names this revision tells of before the apply."""
    if not revision:
        return wanted
    metadata = wanted["metadata"]
    return {**wanted, "metadata": {**metadata, "annotations": {**metadata["annotations"], REPLACES: revision}}}


def _predictor(desired: DesiredService) -> dict[str, Any]:
    options = desired.options
    account = {"serviceAccountName": desired.service_account} if desired.service_account else {}
    scaling = {
        "minReplicas": options.min_replicas,
        "maxReplicas": options.max_replicas,
        # None for the new revision: all stays with the one that was rolled out last. Without the field, KServe would
        # send all to the newest that is ready, which is the canary until the new one is.
        "canaryTrafficPercent": 0 if desired.aborts_canary else options.canary_traffic_percent,
    }
    set_ = {name: value for name, value in scaling.items() if value is not None}
    return {**account, **set_, "model": _model(desired)}


def _model(desired: DesiredService) -> dict[str, Any]:
    chosen = model_format(desired.model_framework, desired.model_framework_version)
    options, runtime = desired.options, desired.options.named_runtime
    model: dict[str, Any] = {"modelFormat": {"name": chosen.name}, "storageUri": desired.storage_uri}
    # What a runtime that is asked for by name lists and speaks is not known: only built-in ones are chosen by these.
    if chosen.version and runtime is None:
        model["modelFormat"]["version"] = chosen.version
    protocol = options.protocol_version or (chosen.protocol if runtime is None else None)
    if protocol:
        model["protocolVersion"] = protocol
    if runtime:
        model["runtime"] = runtime
    if options.resources is not None:
        given = {"requests": options.resources.requests, "limits": options.resources.limits}
        model["resources"] = {name: quantities for name, quantities in given.items() if quantities}
    return model


def _user_metadata(given: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """The user's labels as labels and annotations of the object."""
    labels = {key: value for key, value in given.items() if _is_label(key, value)}
    annotations: dict[str, str] = {}
    room = _ANNOTATION_BUDGET
    for key, value in _annotations(given, labels):
        room -= len(key.encode()) + len(value.encode())
        if key not in annotations and room >= 0:
            annotations[key] = value
    return labels, annotations


def _annotations(given: Mapping[str, str], labels: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    # Sorted, so that of two keys that become the same one the same wins every time.
    for key in sorted(given.keys() - labels.keys()):
        made = _made_valid(key)
        if made and not _is_reserved(made) and not _COMMANDING.fullmatch(_domain(made)):
            yield made, given[key]


def _is_label(key: str, value: str) -> bool:
    return _is_key(key) and not _is_reserved(key) and (value == "" or bool(_NAME.fullmatch(value)))


def _is_key(key: str) -> bool:
    domain, slash, name = key.rpartition("/")
    return bool(_NAME.fullmatch(name)) and (not slash or bool(_DOMAIN.fullmatch(domain)))


def _is_reserved(key: str) -> bool:
    return _domain(key) == PREFIX


def _domain(key: str) -> str:
    return key.rpartition("/")[0].lower()


def _made_valid(key: str) -> str:
    """The key with whatever Kubernetes refuses replaced or cut; empty when nothing is left."""
    if _is_key(key):
        return key
    domain, _, name = key.rpartition("/")
    if not _DOMAIN.fullmatch(domain):
        domain, name = "", key
    name = re.sub(r"[^-A-Za-z0-9_.]+", "-", name)[:63].strip("-_.")
    return f"{domain}/{name}" if domain and name else name
