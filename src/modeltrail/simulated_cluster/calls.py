"""One request to the Kubernetes API, read from HTTP."""

from dataclasses import dataclass
from typing import Any

import msgspec
import yaml
from aiohttp import web

from modeltrail.simulated_cluster.failures import (
    ApiError,
    bad_request,
    method_not_allowed,
    unknown_path,
    unsupported_media,
)
from modeltrail.simulated_cluster.objects import Author, Preconditions
from modeltrail.simulated_cluster.resources import Json, Target, target_of
from modeltrail.simulated_cluster.selectors import Selector, selector

_APPLY = "application/apply-patch+yaml"
_MERGE = "application/merge-patch+json"
_STRATEGIC = "application/strategic-merge-patch+json"


@dataclass(frozen=True, slots=True)
class Call:
    verb: str
    target: Target
    request: web.Request

    @property
    def selector(self) -> Selector:
        query = self.request.query
        return selector(self.target.namespace, query.get("labelSelector", ""), query.get("fieldSelector", ""))

    def number(self, name: str) -> int | None:
        """A whole number from the query; `resourceVersion` 0 and absence both mean "any"."""
        text = self.request.query.get(name, "")
        if not text:
            return None
        if not text.isdecimal():
            raise bad_request(f'invalid {name}: strconv.ParseUint: parsing "{text}": invalid syntax')
        return int(text) or None

    @property
    def author(self) -> Author:
        """Who writes: the field manager, or, as in Kubernetes, the User-Agent up to its first slash."""
        query = self.request.query
        agent = self.request.headers.get("User-Agent", "unknown").partition("/")[0]
        manager = query.get("fieldManager", "")
        force = flag(query.get("force"))
        if self.verb == "apply" and not manager:
            raise _bad_options("fieldManager: Required value: is required for apply patch")
        if self.verb != "apply" and force:
            raise _bad_options("force: Forbidden: may not be specified for non-apply patch")
        dry_run = query.get("dryRun", "")
        if dry_run not in ("", "All"):
            raise _bad_options(f'dryRun: Unsupported value: "{dry_run}": supported values: "All"')
        return Author((manager or agent)[:128], dry_run=bool(dry_run), force=force)

    async def body(self) -> Json:
        """The body as an object; YAML is understood too.

        Raises `ApiError` 400 for anything else.
        """
        raw = await self.request.read()
        try:
            decoded: Any = msgspec.json.decode(raw)
        except msgspec.DecodeError:
            decoded = _yaml(raw)
        if not isinstance(decoded, dict):
            raise bad_request("the body of the request is not an object")
        if not isinstance(decoded.get("metadata", {}), dict):
            raise bad_request("metadata is not an object")
        return decoded

    async def preconditions(self) -> Preconditions:
        """What a DELETE demands of the object; every propagationPolicy is accepted: dependents go in the background."""
        if not self.request.can_read_body:
            return Preconditions()
        asked = (await self.body()).get("preconditions") or {}
        return Preconditions(asked.get("uid"), asked.get("resourceVersion"))


def call_of(request: web.Request) -> Call:
    """Raises `ApiError`: 404 for a path and 405 for a method that is not served, 415 for an unknown patch."""
    target = target_of(request.path)
    if target is None:
        raise unknown_path()
    return Call(_verb(request, target), target, request)


def flag(text: str | None) -> bool:
    """A boolean of a query, read as Kubernetes does: anything but absence, `false` and `0` is true."""
    return text is not None and text.lower() not in ("false", "0", "")


def _verb(request: web.Request, target: Target) -> str:
    if request.method == "PATCH" and target.name:
        return _patch_verb(request, target)
    if target.name:
        verb = {"GET": "get", "PUT": "update", "DELETE": "delete"}.get(request.method)
    else:
        reading = "watch" if flag(request.query.get("watch")) else "list"
        verb = {"GET": reading, "POST": "create"}.get(request.method)
    if verb is None or (target.subresource and verb == "delete"):
        raise method_not_allowed()
    if verb == "create" and target.resource.namespaced and not target.namespace:
        raise method_not_allowed()
    return verb


def _patch_verb(request: web.Request, target: Target) -> str:
    # A strategic merge is told from a plain one by lists keyed by a field, which core kinds here hardly have.
    accepted = [_MERGE, _APPLY] if target.resource.group else [_MERGE, _STRATEGIC, _APPLY]
    if request.content_type not in accepted:
        raise unsupported_media(request.content_type, accepted)
    if request.content_type != _APPLY:
        return "patch"
    if target.subresource:
        raise method_not_allowed()
    return "apply"


def _yaml(raw: bytes) -> object:
    try:
        return yaml.safe_load(raw)
    except yaml.YAMLError as error:
        raise bad_request(f"the body of the request could not be read: {error}") from error


def _bad_options(message: str) -> ApiError:
    return ApiError(422, "Invalid", f'PatchOptions.meta.k8s.io "" is invalid: {message}')
