"""Refusals of the Kubernetes API, each as the `Status` object that a real API server sends."""

from collections.abc import Iterable, Sequence

from modeltrail.simulated_cluster.resources import Json, Resource


class ApiError(Exception):
    """A refusal; `status()` is its body.

    Shapes follow k8s.io/apimachinery/pkg/api/errors.
    """

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        *,
        details: Json | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details or {}
        self.retry_after = retry_after

    def status(self) -> Json:
        body: Json = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code,
        }
        details = dict(self.details)
        if self.retry_after is not None:
            details["retryAfterSeconds"] = self.retry_after
        if details:
            body["details"] = details
        return body


def success(resource: Resource, name: str, uid: str) -> Json:
    """The answer to a delete that removed the object at once."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {**_named(resource, name), "uid": uid},
    }


def _named(resource: Resource, name: str) -> Json:
    details: Json = {"name": name, "kind": resource.plural}
    if resource.group:
        details["group"] = resource.group
    return details


def bad_request(message: str) -> ApiError:
    return ApiError(400, "BadRequest", message)


def unauthorized() -> ApiError:
    return ApiError(401, "Unauthorized", "Unauthorized")


def unknown_path() -> ApiError:
    return ApiError(404, "NotFound", "the server could not find the requested resource")


def not_found(resource: Resource, name: str) -> ApiError:
    return ApiError(404, "NotFound", f'{resource.qualified} "{name}" not found', details=_named(resource, name))


def method_not_allowed() -> ApiError:
    return ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")


def already_exists(resource: Resource, name: str) -> ApiError:
    message = f'{resource.qualified} "{name}" already exists'
    return ApiError(409, "AlreadyExists", message, details=_named(resource, name))


def conflict(resource: Resource, name: str, why: str) -> ApiError:
    message = f'Operation cannot be fulfilled on {resource.qualified} "{name}": {why}'
    return ApiError(409, "Conflict", message, details=_named(resource, name))


def modified(resource: Resource, name: str) -> ApiError:
    return conflict(
        resource,
        name,
        "the object has been modified; please apply your changes to the latest version and try again",
    )


def apply_conflict(conflicts: Sequence[tuple[str, str]]) -> ApiError:
    """`conflicts` pairs each other manager (as Kubernetes prints it) with a field of its own."""
    by_manager: dict[str, list[str]] = {}
    for manager, field in conflicts:
        by_manager.setdefault(manager, []).append(field)
    parts = []
    for manager, fields in by_manager.items():
        if len(fields) == 1:
            parts.append(f"conflict with {manager}: {fields[0]}")
        else:
            parts.append(f"conflicts with {manager}:\n" + "\n".join(f"- {field}" for field in fields))
    plural = "conflict" if len(conflicts) == 1 else "conflicts"
    causes = [
        {"reason": "FieldManagerConflict", "message": f"conflict with {manager}", "field": field}
        for manager, field in conflicts
    ]
    message = f"Apply failed with {len(conflicts)} {plural}: " + "\n".join(parts)
    return ApiError(409, "Conflict", message, details={"causes": causes})


def gone(asked: int, current: int) -> ApiError:
    return ApiError(410, "Expired", f"too old resource version: {asked} ({current})")


def from_the_future(asked: int, current: int) -> ApiError:
    """A resourceVersion that this cluster has not reached, such as one kept across a wiped data file."""
    return ApiError(
        504,
        "Timeout",
        f"Too large resource version: {asked}, current: {current}",
        details={"causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]},
        retry_after=1,
    )


def unsupported_media(kind: str, accepted: Iterable[str]) -> ApiError:
    message = (
        "the body of the request was in an unknown format - accepted media types include: "
        f"{', '.join(accepted)} (got {kind or 'none'})"
    )
    return ApiError(415, "UnsupportedMediaType", message)


def invalid(resource: Resource, name: str, causes: Sequence[tuple[str, str, str]]) -> ApiError:
    """`causes` are (reason, field, message), such as `("FieldValueRequired", "spec.x", "Required value")`."""
    kind = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    lines = [f"{field}: {message}" for _, field, message in causes]
    summary = lines[0] if len(lines) == 1 else f"[{', '.join(lines)}]"
    details = {
        **_named(resource, name),
        "kind": resource.kind,
        "causes": [{"reason": reason, "message": text, "field": field} for reason, field, text in causes],
    }
    return ApiError(422, "Invalid", f'{kind} "{name}" is invalid: {summary}', details=details)


def denied_by_webhook(message: str) -> ApiError:
    """A refusal of KServe's validating webhook, as the API server passes it on."""
    webhook = "inferenceservice.kserve-webhook-server.validator"
    return ApiError(403, "Forbidden", f'admission webhook "{webhook}" denied the request: {message}')


def terminating(resource: Resource, name: str, namespace: str) -> ApiError:
    message = (
        f'{resource.qualified} "{name}" is forbidden: unable to create new content in namespace {namespace} '
        "because it is being terminated"
    )
    causes = [
        {
            "reason": "NamespaceTerminating",
            "message": f"namespace {namespace} is being terminated",
            "field": "metadata.namespace",
        }
    ]
    return ApiError(403, "Forbidden", message, details={**_named(resource, name), "causes": causes})
