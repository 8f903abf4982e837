"""What a write must satisfy: the API server's own rules, the InferenceService schema, KServe's webhook.

KServe's rules and words are those of v0.20 (pkg/apis/serving/v1beta1/inference_service_validation.go).
"""

import base64
import re
from collections.abc import Iterator

from modeltrail.simulated_cluster.failures import denied_by_webhook, invalid
from modeltrail.simulated_cluster.resources import INFERENCE_SERVICES, SECRETS, Json, Resource

MODE = "serving.kserve.io/deploymentMode"
Cause = tuple[str, str, str]

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_KEY_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_ISVC_NAME = "[a-z]([-a-z0-9]*[a-z0-9])?"
_ANNOTATION_BYTES = 256 * 1024
_IMPLEMENTATIONS = frozenset(
    {
        "model",
        "containers",
        "sklearn",
        "xgboost",
        "tensorflow",
        "pytorch",
        "triton",
        "onnx",
        "huggingface",
        "pmml",
        "lightgbm",
        "paddle",
    }
)
_OLD_MODES = {"Serverless": "Knative", "RawDeployment": "Standard"}


def with_texts_encoded(obj: Json, resource: Resource) -> Json:
    """A Secret's `stringData` becomes `data`, as the server does on every write."""
    if resource is not SECRETS or "stringData" not in obj:
        return obj
    texts = obj["stringData"] or {}
    encoded = {key: base64.b64encode(str(text).encode()).decode() for key, text in texts.items()}
    kept = {key: value for key, value in obj.items() if key != "stringData"}
    return {**kept, "data": {**(kept.get("data") or {}), **encoded}}


def deployment_mode(obj: Json) -> str:
    asked: str = (obj["metadata"].get("annotations") or {}).get(MODE, "Standard")
    return _OLD_MODES.get(asked, asked)


def check(resource: Resource, old: Json | None, new: Json) -> None:
    """Raise `ApiError` when the API server or KServe would refuse to write `new` over `old`."""
    causes = list(_metadata_causes(resource, old, new))
    if resource is INFERENCE_SERVICES:
        causes.extend(_schema_causes(new))
    if causes:
        raise invalid(resource, new["metadata"]["name"], causes)
    if resource is INFERENCE_SERVICES:
        _ask_webhook(old, new)


def _metadata_causes(resource: Resource, old: Json | None, new: Json) -> Iterator[Cause]:
    metadata = new["metadata"]
    name = metadata["name"]
    pattern, longest = (_SUBDOMAIN, 253) if resource.namespaced else (_LABEL, 63)
    if len(name) > longest or not pattern.fullmatch(name):
        message = (
            f'Invalid value: "{name}": a lowercase RFC 1123 {"subdomain" if longest > 63 else "label"} must '
            "consist of lower case alphanumeric characters, '-' or '.', and must start and end with an "
            "alphanumeric character"
        )
        yield "FieldValueInvalid", "metadata.name", message
    yield from _label_causes(metadata.get("labels") or {})
    yield from _annotation_causes(metadata.get("annotations") or {})
    if old is not None and old["metadata"].get("deletionTimestamp"):
        added = set(metadata.get("finalizers") or ()) - set(old["metadata"].get("finalizers") or ())
        if added:
            reason = "Forbidden: no new finalizers can be added if the object is being deleted"
            yield "FieldValueForbidden", "metadata.finalizers", f"{reason}, found new finalizers {sorted(added)}"


def _label_causes(labels: Json) -> Iterator[Cause]:
    for key, value in labels.items():
        if not _is_qualified(key):
            yield "FieldValueInvalid", "metadata.labels", f'Invalid value: "{key}": name part must be valid'
        if not isinstance(value, str) or (value and not _KEY_NAME.fullmatch(value)):
            message = (
                f'Invalid value: "{value}": a valid label must be an empty string or consist of alphanumeric '
                "characters, '-', '_' or '.', and must start and end with an alphanumeric character"
            )
            yield "FieldValueInvalid", "metadata.labels", message


def _annotation_causes(annotations: Json) -> Iterator[Cause]:
    size = 0
    for key, value in annotations.items():
        if not _is_qualified(key.lower()):
            message = f'Invalid value: "{key}": name part must be valid'
            yield "FieldValueInvalid", "metadata.annotations", message
        if not isinstance(value, str):
            yield "FieldValueTypeInvalid", f"metadata.annotations.{key}", "Invalid value: must be of type string"
        size += len(key.encode()) + len(str(value).encode())
    if size > _ANNOTATION_BYTES:
        yield "FieldValueTooLong", "metadata.annotations", f"Too long: may not be more than {_ANNOTATION_BYTES} bytes"


def _is_qualified(key: str) -> bool:
    prefix, slash, name = key.rpartition("/")
    if slash and (len(prefix) > 253 or not _SUBDOMAIN.fullmatch(prefix)):
        return False
    return bool(_KEY_NAME.fullmatch(name))


def _schema_causes(new: Json) -> Iterator[Cause]:
    spec = new.get("spec")
    predictor = spec.get("predictor") if isinstance(spec, dict) else None
    if not isinstance(predictor, dict):
        yield "FieldValueRequired", "spec.predictor", "Required value"
        return
    model = predictor.get("model")
    if not isinstance(model, dict):
        return
    place = "spec.predictor.model.modelFormat"
    model_format = model.get("modelFormat")
    if not isinstance(model_format, dict):
        yield "FieldValueRequired", place, "Required value"
    elif not isinstance(model_format.get("name"), str):
        yield "FieldValueRequired", f"{place}.name", "Required value"
    elif not isinstance(model_format.get("version", ""), str):
        found = type(model_format["version"]).__name__
        yield (
            "FieldValueTypeInvalid",
            f"{place}.version",
            f'Invalid value: "{found}": {place}.version in body must be of type string: "{found}"',
        )


def _ask_webhook(old: Json | None, new: Json) -> None:
    deleting = bool(new["metadata"].get("deletionTimestamp"))
    in_use = ((old or {}).get("status") or {}).get("deploymentMode")
    asked = (new["metadata"].get("annotations") or {}).get(MODE)
    if in_use and asked and asked != in_use and not deleting:
        raise denied_by_webhook(f"update rejected: deploymentMode cannot be changed from '{in_use}' to '{asked}'")
    name = new["metadata"]["name"]
    if not re.fullmatch(_ISVC_NAME, name):
        raise denied_by_webhook(
            f'the InferenceService "{name}" is invalid: a InferenceService name must consist of lower case '
            "alphanumeric characters or '-', and must start with alphabetical character. "
            f'(e.g. "my-name" or "abc-123", regex used for validation is \'{_ISVC_NAME}\')'
        )
    if not _IMPLEMENTATIONS & new["spec"]["predictor"].keys():
        raise denied_by_webhook("exactly one of [Custom, Model] must be specified in PredictorSpec")
