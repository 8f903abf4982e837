"""Watches: the stream of what happens to a kind of object."""

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass

import msgspec

from modeltrail.simulated_cluster.failures import ApiError, gone
from modeltrail.simulated_cluster.resources import Resource
from modeltrail.simulated_cluster.selectors import Selector
from modeltrail.simulated_cluster.store import Change, Store


@dataclass(frozen=True, slots=True)
class WatchRequest:
    """`resource_version` None asks for everything that exists, then for what changes."""

    resource: Resource
    selector: Selector
    resource_version: int | None
    seconds: float
    bookmarks: bool
    bookmark_every: float


def line(kind: str, raw: bytes) -> bytes:
    return b'{"type":"%b","object":%b}\n' % (kind.encode(), raw)


def error_line(error: ApiError) -> bytes:
    return line("ERROR", msgspec.json.encode(error.status()))


async def watch_lines(store: Store, request: WatchRequest) -> AsyncGenerator[bytes, None]:
    """Lines of JSON until the time is up.

    A client that asks for, or falls back behind, the history is sent an ERROR event with `410 Gone`.
    """
    deadline = time.monotonic() + request.seconds
    next_bookmark = time.monotonic() + request.bookmark_every
    cursor, lines = _opening(store, request)
    for text in lines:
        yield text
    with store.listening() as changed:
        while True:
            changed.clear()
            if cursor < store.horizon:
                yield error_line(gone(cursor, store.resource_version))
                return
            for change in store.changes_after(cursor):
                cursor = change.resource_version
                for text in _seen(change, request):
                    yield text
            now = time.monotonic()
            if request.bookmarks and now >= min(next_bookmark, deadline):
                next_bookmark = now + request.bookmark_every
                yield _bookmark(request.resource, cursor)
            if now >= deadline:
                return
            await _wait(changed, min(next_bookmark if request.bookmarks else deadline, deadline) - now)


def _opening(store: Store, request: WatchRequest) -> tuple[int, list[bytes]]:
    """The version to go on from, and what is sent at once to those who named none."""
    if request.resource_version is not None:
        return request.resource_version, []
    present = store.all(request.resource)
    return store.resource_version, [line("ADDED", each.raw) for each in present if request.selector.matches(each)]


def _seen(change: Change, request: WatchRequest) -> Iterator[bytes]:
    """A change as this watcher sees it: leaving the selection looks like a deletion, entering like a birth."""
    if change.after.key.resource is not request.resource:
        return
    was = change.before is not None and request.selector.matches(change.before)
    now = change.kind != "DELETED" and request.selector.matches(change.after)
    if was or now:
        kind = "MODIFIED" if was and now else "ADDED" if now else "DELETED"
        yield line(kind, _as_it_left(change) if kind == "DELETED" and change.before is not None else change.after.raw)


def _as_it_left(change: Change) -> bytes:
    """The object as it last was in the selection, with the version of when it left (`convertToWatchEvent` in
    staging/src/k8s.io/apiserver/pkg/storage/cacher/cache_watcher.go)."""
    assert change.before is not None  # noqa: S101 - what leaves was there
    metadata = {**change.before.obj["metadata"], "resourceVersion": str(change.resource_version)}
    return msgspec.json.encode({**change.before.obj, "metadata": metadata})


def _bookmark(resource: Resource, resource_version: int) -> bytes:
    body = {
        "kind": resource.kind,
        "apiVersion": resource.api_version,
        "metadata": {"resourceVersion": str(resource_version), "creationTimestamp": None},
    }
    return line("BOOKMARK", msgspec.json.encode(body))


async def _wait(changed: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(max(seconds, 0.001)):
            await changed.wait()
    except TimeoutError:
        return
