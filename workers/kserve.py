"""KServe in a real cluster, through kubernetes_asyncio. With `kubernetes_client` the only module that imports it.

Traps of kubernetes_asyncio 36 that this module goes around:

- A server-side apply that creates answers `201`, for which the generated code knows no type and returns
  None; and error bodies that are not UTF-8 raise out of its error handling. So every call asks for the raw
  response, and bodies are read here.
- `watch.Watch` opens a second session, swallows the first `410`, reconnects without pause or bound, and
  `readline` raises on lines over 4 MiB. So the watch is read here too.
- Tokens out of a kubeconfig (exec plugins, files) are read once and never again. On `401` they are: `RenewableClient`.
- The session honours `HTTP_PROXY` even for loopback addresses, and `KUBECONFIG` is read at import.
"""

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from types import TracebackType
from typing import Any, Self
from uuid import UUID

import aiohttp
from kubernetes_asyncio.config import ConfigException

from modeltrail.workers.access import Access
from modeltrail.workers.answers import change_of, decoded, lines, lost, refusal, service_of
from modeltrail.workers.cluster import (
    Bookmark,
    Change,
    ClusterRefused,
    ClusterUnavailable,
    Deletion,
    Listing,
    ObservedService,
    WatchExpired,
)
from modeltrail.workers.kubernetes_client import RenewableClient
from modeltrail.workers.manifest import SERVICE_ID
from modeltrail.workers.observation import MANAGER, read_list, read_owner

_KIND = ("serving.kserve.io", "v1beta1")
_PLURAL = "inferenceservices"
_PAGE = 500

# The API is Any for the reason given in RenewableClient.
_Call = Callable[[Any], Awaitable[Any]]


class KServeCluster:
    """A `Cluster`. Open it with `connect`, and close it.

    `call_seconds` is the time-out of each call. A watch is renewed every `watch_seconds`, which is also how long a
    connection that died without a word can go unnoticed.
    """

    def __init__(self, client: RenewableClient, *, call_seconds: float = 15.0, watch_seconds: int = 120) -> None:
        self._client = client
        self._call_seconds = call_seconds
        self._watch_seconds = watch_seconds

    @classmethod
    async def connect(cls, access: Access, *, call_seconds: float = 15.0, watch_seconds: int = 120) -> Self:
        """Raises `ClusterNotConfigured`. Nothing is sent yet."""
        client = await RenewableClient.open(access)
        return cls(client, call_seconds=call_seconds, watch_seconds=watch_seconds)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._client.close()

    async def apply(self, manifest: Mapping[str, Any], *, force: bool = False) -> ObservedService:
        """Server-side apply as field manager `modeltrail`.

        Not forced unless asked: what we state is ours to decide, but another manager's hand in it (a person
        with kubectl, a GitOps tool that would put its value back for ever) should be seen before it is
        overruled. The caller records the `FieldConflict` and may then repeat with force.
        """
        return await self._apply(manifest, force=force)

    async def dry_run(self, manifest: Mapping[str, Any]) -> ObservedService:
        return await self._apply(manifest, force=False, dry="All")

    async def _apply(self, manifest: Mapping[str, Any], *, force: bool, dry: str | None = None) -> ObservedService:
        metadata = manifest["metadata"]
        body = await self._body(
            lambda api: api.patch_namespaced_custom_object(
                *_KIND,
                metadata["namespace"],
                _PLURAL,
                metadata["name"],
                dict(manifest),
                field_manager=MANAGER,
                force=force,
                **({"dry_run": dry} if dry else {}),
                _content_type="application/apply-patch+yaml",
                **self._raw(),
            )
        )
        return service_of(body)

    async def get(self, namespace: str, name: str) -> ObservedService | None:
        try:
            body = await self._body(
                lambda api: api.get_namespaced_custom_object(*_KIND, namespace, _PLURAL, name, **self._raw())
            )
        except ClusterRefused as error:
            if error.reason == "NotFound":
                return None
            raise
        return service_of(body)

    async def delete(self, namespace: str, name: str, uid: str | None = None) -> Deletion:
        options: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
        }
        if uid:
            options["preconditions"] = {"uid": uid}
        try:
            await self._body(
                lambda api: api.delete_namespaced_custom_object(
                    *_KIND, namespace, _PLURAL, name, body=options, **self._raw()
                )
            )
        except ClusterRefused as error:
            if error.reason == "NotFound":
                return Deletion.GONE
            raise
        except ClusterUnavailable:
            # A precondition that does not hold is answered with the same 409 as a passing conflict, and a
            # lost answer leaves it open whether anything happened; only the object can tell.
            found = await self.get(namespace, name) if uid else None
            if uid and found is None:
                return Deletion.GONE
            if found and found.uid != uid:
                return Deletion.NOT_OURS
            raise
        return Deletion.STARTED

    async def access_owners(self, namespace: str, name: str) -> Mapping[str, UUID | None]:
        found = {}
        for kind, read in (
            ("Secret", lambda: self._client.core.read_namespaced_secret),
            ("ServiceAccount", lambda: self._client.core.read_namespaced_service_account),
        ):
            try:
                found[kind] = await self._owner(read, namespace, name)
            except ClusterRefused as error:
                if error.reason != "NotFound":
                    raise
        return found

    async def _owner(self, read: Callable[[], Any], namespace: str, name: str) -> UUID | None:
        return decoded(read_owner, await self._body(lambda _: read()(name, namespace, **self._raw())))

    async def apply_access(self, secret: Mapping[str, Any], account: Mapping[str, Any]) -> None:
        """By server-side apply, with force: they are ours alone. The account last: pods wait for it."""
        await self._apply_core(lambda: self._client.core.patch_namespaced_secret, secret)
        await self._apply_core(lambda: self._client.core.patch_namespaced_service_account, account)

    async def _apply_core(self, patch: Callable[[], Any], manifest: Mapping[str, Any]) -> None:
        metadata = manifest["metadata"]
        await self._body(
            lambda _: patch()(
                metadata["name"],
                metadata["namespace"],
                dict(manifest),
                field_manager=MANAGER,
                force=True,
                _content_type="application/apply-patch+yaml",
                **self._raw(),
            )
        )

    async def list(self) -> Listing:
        try:
            return await self._pages(_PAGE)
        except WatchExpired:
            # The list changed too fast to be read in pages: read it in one go.
            return await self._pages(None)

    async def watch(self, resource_version: str) -> AsyncGenerator[Change, None]:
        last = resource_version
        while True:
            started, first = time.monotonic(), last
            async with aclosing(self._watch_once(last)) as changes:
                async for change in changes:
                    last = _version_of(change)
                    yield change
            if last == first and time.monotonic() - started < min(1.0, self._watch_seconds / 2):
                # A server that hangs up at once would have us reconnect in a tight loop.
                raise ClusterUnavailable("the cluster ended the watch as soon as it began")

    async def _watch_once(self, resource_version: str) -> AsyncGenerator[Change, None]:
        """One connection's worth, until the server ends it in good order."""
        quiet = aiohttp.ClientTimeout(
            sock_connect=self._call_seconds, sock_read=self._watch_seconds + self._call_seconds
        )
        response = await self._send(
            lambda api: api.list_cluster_custom_object(
                *_KIND,
                _PLURAL,
                label_selector=SERVICE_ID,
                resource_version=resource_version,
                watch=True,
                allow_watch_bookmarks=True,
                timeout_seconds=self._watch_seconds,
                _preload_content=False,
                _request_timeout=quiet,
            )
        )
        try:
            async for line in lines(response):
                if change := change_of(line):
                    yield change
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise lost(error) from error
        finally:
            response.close()

    async def _pages(self, size: int | None) -> Listing:
        services, token = [], ""
        while True:
            page = decoded(read_list, await self._body(self._page(size, token)))
            services += page.services()
            token = page.metadata.continue_
            if not token:
                return services, page.metadata.resource_version

    def _page(self, size: int | None, token: str) -> _Call:
        paging = ({"limit": size} if size else {}) | ({"_continue": token} if token else {})
        return lambda api: api.list_cluster_custom_object(
            *_KIND, _PLURAL, label_selector=SERVICE_ID, **paging, **self._raw()
        )

    def _raw(self) -> dict[str, Any]:
        return {"_preload_content": False, "_request_timeout": self._call_seconds}

    async def _body(self, call: _Call) -> bytes:
        response = await self._send(call)
        try:
            return await response.read()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise lost(error) from error

    async def _send(self, call: _Call) -> aiohttp.ClientResponse:
        """Send, and once more with fresh credentials when the cluster does not know us, or we do not know it.

        Whoever rotates a cluster's authority replaces `ca.crt` in running pods:
        https://kubernetes.io/docs/tasks/tls/manual-rotation-of-ca-certificates/
        """
        for attempt in (1, 2):
            shown = self._client.credentials
            try:
                response: aiohttp.ClientResponse = await call(self._client.custom)
                if response.status < 300:
                    return response
                body = await response.read()
            except aiohttp.ClientConnectorCertificateError as error:
                if attempt == 1 and await self._client.renew(shown):
                    continue
                raise lost(error) from error
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                raise lost(error) from error
            except ConfigException as error:
                raise ClusterUnavailable(f"the token of this pod cannot be read just now: {error}") from error
            if response.status != 401 or attempt == 2 or not await self._client.renew(shown):
                break
        raise refusal(response.status, body, response.headers)


def _version_of(change: Change) -> str:
    return change.resource_version if isinstance(change, Bookmark) else change.service.resource_version
