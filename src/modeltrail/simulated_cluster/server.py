"""The HTTP face of the simulated cluster."""

import asyncio
import hmac
import logging
import socket
import struct
from collections.abc import Callable
from contextlib import aclosing
from typing import NoReturn

import msgspec
from aiohttp import web

from modeltrail.simulated_cluster import failures
from modeltrail.simulated_cluster.admin import Admin
from modeltrail.simulated_cluster.calls import Call, call_of
from modeltrail.simulated_cluster.discovery import discovery
from modeltrail.simulated_cluster.failures import ApiError
from modeltrail.simulated_cluster.faults import Action, Delay, ExpireHistory, Fail, Hang, Recorded, Reset, TearWatch
from modeltrail.simulated_cluster.listing import list_body
from modeltrail.simulated_cluster.objects import Objects
from modeltrail.simulated_cluster.resources import Json
from modeltrail.simulated_cluster.store import Store
from modeltrail.simulated_cluster.watches import WatchRequest, error_line, watch_lines

_log = logging.getLogger(__name__)
Token = Callable[[], str | None]
"""The bearer token that is demanded right now, if any."""

_HEADER = "X-Simulated-Cluster"
_OPEN_TO_ALL = ("/version", "/healthz", "/livez", "/readyz")
_LONGEST_WATCH = 1800.0
_LARGEST_BODY = 3 * 2**20  # as a real API server


class _LostError(Exception):
    """The connection was cut on purpose; nobody is left to answer."""


class Server:
    """Answers requests from a store; `application()` is what aiohttp serves."""

    def __init__(self, store: Store, objects: Objects, admin: Admin, *, token: Token, bookmark_every: float) -> None:
        self._store = store
        self._objects = objects
        self._admin = admin
        self._token = token
        self._bookmark_every = bookmark_every
        self._open: list[web.Request] = []  # watches, and requests left hanging on purpose

    def application(self) -> web.Application:
        application = web.Application(client_max_size=_LARGEST_BODY)
        application.router.add_route("*", "/{path:.*}", self._answer)
        application.on_response_prepare.append(_mark)
        application.on_shutdown.append(self._close_open)
        return application

    def drop_watches(self) -> None:
        """Reset every open watch, as a restarting API server does."""
        for request in list(self._open):
            _cut(request)

    async def _close_open(self, _: web.Application) -> None:
        self.drop_watches()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        try:
            return await self._route(request)
        except ApiError as refusal:
            return _refused(refusal)
        except web.HTTPRequestEntityTooLarge:
            return _refused(ApiError(413, "RequestEntityTooLarge", "Request entity too large: limit is 3145728"))
        except _LostError:
            return web.Response(status=500)  # goes nowhere: the connection is gone
        except ConnectionError:
            raise  # a watcher went away
        except Exception:  # noqa: BLE001 - an unforeseen body gets a Status too, as from a real API server
            _log.exception("simulated cluster: %s %s broke", request.method, request.path)
            return _refused(ApiError(500, "InternalError", "the simulated cluster broke; its log says how"))

    async def _route(self, request: web.Request) -> web.StreamResponse:
        path = request.path
        if path not in _OPEN_TO_ALL:
            self._authenticate(request)
        if path in ("/healthz", "/livez", "/readyz"):
            return web.Response(text="ok")
        if path.startswith("/simulated/"):
            return await self._admin.answer(request, self.drop_watches)
        known = discovery(path)
        if known is not None:
            return _json(known)
        return await self._record(call_of(request))

    def _authenticate(self, request: web.Request) -> None:
        demanded = self._token()
        if demanded is None:
            return
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), demanded.encode()):
            raise failures.unauthorized()

    async def _record(self, call: Call) -> web.StreamResponse:
        target = call.target
        row = self._admin.requests.add(
            verb=call.verb,
            method=call.request.method,
            path=call.request.path_qs,
            resource=target.resource.plural,
            namespace=target.namespace,
            name=target.name,
        )
        try:
            response = await self._with_fault(call, row)
        except ApiError as refusal:
            row.status = refusal.code
            raise
        row.status = row.status or response.status
        return response

    async def _with_fault(self, call: Call, row: Recorded) -> web.StreamResponse:
        action = self._admin.faults.take(call.verb, call.target.resource.plural, call.target.name)
        match action:
            case Fail():
                raise ApiError(action.code, action.reason, action.message, retry_after=action.retry_after)
            case Reset():
                if action.after_handling:
                    await self._handle(call, row, None)
                _lose(call.request)
            case Hang():
                await self._hang(call.request)
            case Delay():
                await asyncio.sleep(action.seconds)
            case ExpireHistory(form="http"):
                self._store.forget_history()
                raise failures.gone(call.number("resourceVersion") or 0, self._store.resource_version)
            case _:
                pass
        return await self._handle(call, row, action)

    async def _handle(self, call: Call, row: Recorded, action: Action | None) -> web.StreamResponse:
        match call.verb:
            case "watch":
                return await self._watch(call, row, action)
            case "list":
                return _raw(self._list(call))
            case "get":
                return _raw(self._objects.get(call.target).raw)
            case "create":
                return _raw(self._objects.create(call.target, await call.body(), call.author).raw, 201)
            case "update":
                return _raw(self._objects.replace(call.target, await call.body(), call.author).raw)
            case "patch":
                return _raw(self._objects.merge_patch(call.target, await call.body(), call.author).raw)
            case "apply":
                stored, is_new = self._objects.apply(call.target, await call.body(), call.author)
                return _raw(stored.raw, 201 if is_new else 200)
            case _:
                return await self._delete(call)

    def _list(self, call: Call) -> bytes:
        return list_body(
            self._store,
            call.target.resource,
            call.selector,
            namespace=call.target.namespace,
            limit=call.number("limit") or 0,
            token=call.request.query.get("continue", ""),
        )

    async def _delete(self, call: Call) -> web.Response:
        preconditions = await call.preconditions()
        found = self._objects.get(call.target)
        kept = self._objects.delete(call.target, preconditions, dry_run=call.author.dry_run)
        if kept:
            return _raw(kept.raw)
        return _json(failures.success(call.target.resource, call.target.name, found.uid))

    async def _watch(self, call: Call, row: Recorded, action: Action | None) -> web.StreamResponse:
        version = call.number("resourceVersion")
        asked = WatchRequest(
            resource=call.target.resource,
            selector=call.selector,
            resource_version=version,
            seconds=float(call.number("timeoutSeconds") or _LONGEST_WATCH),
            bookmarks=bool(call.request.query.get("allowWatchBookmarks", "").lower() in ("true", "1")),
            bookmark_every=self._bookmark_every,
        )
        if version is not None and version > self._store.resource_version:
            raise failures.from_the_future(version, self._store.resource_version)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(call.request)
        row.status = response.status
        if isinstance(action, ExpireHistory):
            self._store.forget_history()
            await response.write(error_line(failures.gone(version or 0, self._store.resource_version)))
            return response
        self._open.append(call.request)
        try:
            async with aclosing(watch_lines(self._store, asked)) as lines:
                async for text in lines:
                    if isinstance(action, TearWatch):
                        await response.write(text[: len(text) // 2])
                        _lose(call.request)
                    await response.write(text)
        except ConnectionResetError:
            raise _LostError from None  # whoever watched has gone in the middle of a line
        finally:
            self._open.remove(call.request)
        return response

    async def _hang(self, request: web.Request) -> NoReturn:
        self._open.append(request)
        try:
            await asyncio.Future[None]()  # until the client goes away, which cancels this handler
        finally:
            self._open.remove(request)
        raise _LostError


def _lose(request: web.Request) -> NoReturn:
    _cut(request)
    raise _LostError


def _cut(request: web.Request) -> None:
    transport = request.transport
    if transport is None:
        return
    connection = transport.get_extra_info("socket")
    if connection is not None:
        # Linger 0 turns the close into a reset, which is what a crash looks like from afar.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def _mark(_: web.Request, response: web.StreamResponse) -> None:
    response.headers[_HEADER] = "true"


def _raw(body: bytes, status: int = 200) -> web.Response:
    return web.Response(body=body, status=status, content_type="application/json")


def _json(body: Json, status: int = 200) -> web.Response:
    return _raw(msgspec.json.encode(body), status)


def _refused(refusal: ApiError) -> web.Response:
    response = _json(refusal.status(), refusal.code)
    if refusal.retry_after is not None:
        response.headers["Retry-After"] = str(refusal.retry_after)
    return response
