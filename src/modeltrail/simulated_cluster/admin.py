"""`/simulated/…`: what a test, or a curious person, asks of the simulated cluster itself.

`/simulated/faults` GET, POST (a JSON list of faults), DELETE · `/simulated/requests` GET, DELETE ·
`/simulated/objects` GET · `/simulated/watches` DELETE (resets every open watch).
"""

from collections.abc import Callable

import msgspec
from aiohttp import web

from modeltrail.simulated_cluster.failures import bad_request, method_not_allowed, unknown_path
from modeltrail.simulated_cluster.faults import Fault, Faults, Requests
from modeltrail.simulated_cluster.resources import INFERENCE_SERVICES, RESOURCES, Json
from modeltrail.simulated_cluster.serving_status import is_ready, transition
from modeltrail.simulated_cluster.store import Store, Stored


class Admin:
    """Faults and the record of requests, in reach of HTTP and of tests in the same process."""

    def __init__(self, store: Store) -> None:
        self.faults = Faults()
        self.requests = Requests()
        self._store = store

    async def answer(self, request: web.Request, drop_watches: Callable[[], None]) -> web.Response:
        place = request.path.removeprefix("/simulated/").rstrip("/")
        match request.method, place:
            case "POST", "faults":
                self.faults.add(*_faults(await request.read()))
            case "DELETE", "faults":
                self.faults.clear()
            case "DELETE", "requests":
                self.requests.clear()
            case "DELETE", "watches":
                drop_watches()
            case "GET", "faults":
                return _pretty(self.faults.left())
            case "GET", "requests":
                return _pretty(self.requests.all())
            case "GET", "objects":
                return _pretty(self._summary())
            case _, "faults" | "requests" | "objects" | "watches":
                raise method_not_allowed()
            case _:
                raise unknown_path()
        return web.Response(status=204)

    def _summary(self) -> Json:
        return {
            "note": "This is a simulated cluster: nothing here serves a model.",
            "resource_version": self._store.resource_version,
            "objects": [_described(each) for resource in RESOURCES for each in self._store.all(resource)],
        }


def _described(found: Stored) -> Json:
    row: Json = {
        "kind": found.key.resource.kind,
        "namespace": found.key.namespace,
        "name": found.key.name,
        "deleting": found.deleting,
    }
    if found.key.resource is INFERENCE_SERVICES:
        status = found.obj.get("status") or {}
        row |= {"ready": is_ready(found.obj), "model": transition(found.obj), "url": status.get("url")}
    return row


def _faults(raw: bytes) -> list[Fault]:
    try:
        return msgspec.json.decode(raw, type=list[Fault])
    except msgspec.DecodeError as error:
        raise bad_request(f"not a list of faults: {error}") from error


def _pretty(value: object) -> web.Response:
    body = msgspec.json.format(msgspec.json.encode(value), indent=2)
    return web.Response(body=body + b"\n", content_type="application/json")
