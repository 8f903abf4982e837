"""What the cluster's answers mean: errors, objects, and the lines of a watch."""

import re
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import TypeVar

import aiohttp
import msgspec

from modeltrail.workers.cluster import (
    Applied,
    Bookmark,
    Change,
    ClusterError,
    ClusterForbids,
    ClusterRefused,
    ClusterUnavailable,
    Deleted,
    FieldConflict,
    ObservedService,
    WatchExpired,
    as_text,
)
from modeltrail.workers.observation import read_event, read_service, read_version

_TRANSIENT = (401, 408, 409, 429)
# The words of the authorizer; those of a quota or a webhook, with the same code, are others.
_LACKS_RIGHT = re.compile(r'is forbidden: User "[^"]*" cannot ')
_LONGEST_LINE = 16 * 2**20  # bytes; etcd takes no object over 1.5 MiB
_LONGEST_PATIENCE = 60.0  # seconds; API servers ask for a few, and a proxy that asks for a day must not be obeyed
_NO_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)  # the last for what is nested too deeply
_Read = TypeVar("_Read")


class _Cause(msgspec.Struct):
    reason: str = ""
    message: str = ""
    field: str = ""


class _Details(msgspec.Struct, rename="camel"):
    kind: str = ""
    causes: tuple[_Cause, ...] | None = None
    retry_after_seconds: float | None = None


class _Status(msgspec.Struct):
    """Kubernetes' error body."""

    message: str = ""
    reason: str = ""
    code: int = 0
    details: _Details | None = None


def refusal(code: int, body: bytes, headers: Mapping[str, str]) -> ClusterError:
    """The error that an answer means. What is no `Status` (a proxy's page) is judged by its code alone."""
    try:
        status = msgspec.json.decode(body, type=_Status)
    except _NO_JSON:
        status = _Status()
    return _judged(code, status, _seconds(headers.get("Retry-After")))


def _event_error(raw: bytes | msgspec.Raw) -> ClusterError:
    """The error that an ERROR event of a watch carries."""
    status = msgspec.json.decode(raw, type=_Status)
    return _judged(status.code, status, None)


def _judged(code: int, status: _Status, retry_after: float | None) -> ClusterError:
    details = status.details or _Details()
    causes = details.causes or ()
    message = as_text(status.message) or f"the cluster answered {code}"
    if code == 410 or any(cause.reason == "ResourceVersionTooLarge" for cause in causes):
        # Too large: the cluster was restored to an earlier state. The cure is the same, to list again.
        return WatchExpired(message)
    conflicts = [cause for cause in causes if cause.reason == "FieldManagerConflict"]
    if code == 409 and conflicts:
        managers = (as_text(found[1]) for cause in conflicts if (found := re.search(r'"([^"]*)"', cause.message)))
        return FieldConflict(tuple(dict.fromkeys(managers)), tuple(cause.field for cause in conflicts))
    if code >= 500 or code in _TRANSIENT or code < 400:
        return ClusterUnavailable(message, _bounded(retry_after, details.retry_after_seconds))
    if code == 404 and not details.kind:
        return ClusterRefused("NotServed", f"{message} (is KServe installed in this cluster?)")
    if code == 403 and _LACKS_RIGHT.search(message):
        return ClusterForbids("Forbidden", message)
    return ClusterRefused(as_text(status.reason) or str(code), message)


def _bounded(*asked_for: float | None) -> float | None:
    """The first pause that was asked for, as far as we have that much patience."""
    seconds = next((each for each in asked_for if each is not None), None)
    return None if seconds is None else min(seconds, _LONGEST_PATIENCE)


def _seconds(header: str | None) -> float | None:
    """`Retry-After` in seconds; its other form, a date, is not used by API servers."""
    return float(header) if header and header.isdecimal() else None


async def lines(response: aiohttp.ClientResponse) -> AsyncGenerator[bytes, None]:
    """Whole lines; one that ends without its newline was cut off and raises `ClusterUnavailable`."""
    buffer = bytearray()
    async for chunk in response.content.iter_any():
        buffer += chunk
        if b"\n" in chunk:
            *whole, buffer = buffer.split(b"\n")
            for line in whole:
                if line.strip():
                    yield bytes(line)
        if len(buffer) > _LONGEST_LINE:
            raise ClusterUnavailable(f"the cluster sent a watch line of more than {_LONGEST_LINE} bytes")
    if buffer.strip():
        raise ClusterUnavailable("the cluster cut a watch off in the middle of a line")


def change_of(line: bytes) -> Change | None:
    """What a line of a watch tells; None when it is nothing to us. Raises `ClusterError` for an ERROR event."""
    event = decoded(read_event, line)
    match event.type:
        case "ADDED" | "MODIFIED":
            return Applied(service_of(event.object))
        case "DELETED":
            return Deleted(service_of(event.object))
        case "BOOKMARK":
            return Bookmark(decoded(read_version, event.object))
        case "ERROR":
            raise decoded(_event_error, event.object)
        case _:
            return None  # a kind of event that a later Kubernetes invented


def service_of(raw: bytes | msgspec.Raw) -> ObservedService:
    """The InferenceService in an answer. Raises `ClusterUnavailable` for what is none."""
    return decoded(read_service, raw)


def decoded(read: Callable[[bytes | msgspec.Raw], _Read], raw: bytes | msgspec.Raw) -> _Read:
    """What `read` makes of an answer. What it cannot read, a proxy may have sent: raises `ClusterUnavailable`."""
    try:
        return read(raw)
    except _NO_JSON as error:
        raise ClusterUnavailable(f"the cluster sent something that is not an object: {error}") from error


def lost(error: Exception) -> ClusterUnavailable:
    """The error that a broken or silent connection means: whether the call was carried out is not known."""
    if isinstance(error, TimeoutError):
        return ClusterUnavailable("the cluster did not answer in time")
    return ClusterUnavailable(f"the connection to the cluster failed: {str(error) or type(error).__name__}")
