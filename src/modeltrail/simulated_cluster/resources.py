"""The kinds of object that the simulated cluster knows, and how a URL names them."""

from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]  # Kubernetes objects are open-ended JSON; only their users know the shape


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind: its place in the API and what the API server does differently for it."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    has_status: bool = False
    has_generation: bool = False

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """The name that Kubernetes uses in messages, such as `inferenceservices.serving.kserve.io`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def root(self) -> str:
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"


INFERENCE_SERVICES = Resource(
    "serving.kserve.io", "v1beta1", "inferenceservices", "InferenceService", has_status=True, has_generation=True
)
SECRETS = Resource("", "v1", "secrets", "Secret")
SERVICE_ACCOUNTS = Resource("", "v1", "serviceaccounts", "ServiceAccount")
NAMESPACES = Resource("", "v1", "namespaces", "Namespace", namespaced=False, has_status=True)

RESOURCES = (INFERENCE_SERVICES, SECRETS, SERVICE_ACCOUNTS, NAMESPACES)
_BY_ROOT = {(each.root, each.plural): each for each in RESOURCES}
_ROOTS = {each.root for each in RESOURCES}


@dataclass(frozen=True, slots=True)
class Target:
    """What a URL points at: a collection when `name` is empty, else one object or its subresource."""

    resource: Resource
    namespace: str = ""
    name: str = ""
    subresource: str = ""


def target_of(path: str) -> Target | None:
    """Read a Kubernetes API path; None when it names no object or collection that is served here."""
    parts = path.strip("/").split("/")
    length = 2 if parts[0] == "api" else 3
    root, rest = "/" + "/".join(parts[:length]), parts[length:]
    if root not in _ROOTS or not rest or not all(rest):
        return None
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and (root, rest[2]) in _BY_ROOT:
        namespace, rest = rest[1], rest[2:]
    resource = _BY_ROOT.get((root, rest[0]))
    if resource is None or len(rest) > 3 or (namespace and not resource.namespaced):
        return None
    if resource.namespaced and not namespace and len(rest) > 1:
        return None
    name, subresource = (*rest[1:], "", "")[:2]
    if subresource and not (subresource == "status" and resource.has_status):
        return None
    return Target(resource, namespace, name, subresource)
