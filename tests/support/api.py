"""The API in this process, on a test's database, and clients that speak for a project."""

# asyncpg's functions carry no annotations.
# mypy: allow-untyped-calls

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import httpx
import msgspec
from asyncpg import Pool

from modeltrail.commands.committing.committer import Committer
from modeltrail.commands.deployments import Cluster, Report
from modeltrail.commands.preflight import Preflight
from modeltrail.domain.ids import DeploymentId, ServiceId
from modeltrail.domain.inference_service_messages import ConfirmDeployment
from modeltrail.domain.serving_options import DeploymentMode
from modeltrail.eventlog.keys import KeyRing
from modeltrail.eventlog.people import People
from modeltrail.eventlog.record import Context, System
from modeltrail.http.app import BASE_PATH, create_app
from modeltrail.http.application import Application
from modeltrail.http.event_stream import EventStreams
from modeltrail.http.services import Services
from modeltrail.postgres.asking import Asker
from modeltrail.postgres.connect import open_pool, writer
from modeltrail.projections.catalogue import INLINE
from modeltrail.projections.documents import DocumentReader
from modeltrail.projections.list_reader import ListReader
from modeltrail.projections.past import PastReader
from support.committing import address_of
from support.database import Database

Json = dict[str, Any]  # Any: JSON

HOST = "http://test"
ARTIFACT = {"model_framework": "sklearn", "model_framework_version": "1.4", "uri": "s3://models/iris"}


class Caller:
    """A client of the API that sends one project's header with everything."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.id = uuid4()
        self.client = client

    async def send(self, method: str, path: str, body: object = None, **headers: str) -> httpx.Response:
        """Bytes go out as they are, anything else as JSON; underscores in the names of headers become hyphens."""
        named = {"Project-ID": str(self.id)} | {name.replace("_", "-"): value for name, value in headers.items()}
        raw = body if isinstance(body, bytes) else None if body is None else msgspec.json.encode(body)
        return await self.client.request(method, BASE_PATH + path, headers=named, content=raw)

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.send("GET", path, **headers)

    async def post(self, path: str, body: object = None, **headers: str) -> httpx.Response:
        return await self.send("POST", path, body, **headers)

    async def patch(self, path: str, body: object, **headers: str) -> httpx.Response:
        return await self.send("PATCH", path, body, **headers)

    async def delete(self, path: str, **headers: str) -> httpx.Response:
        return await self.send("DELETE", path, **headers)

    async def model(self, name: str = "iris", **fields: object) -> Json:
        return made(await self.post("/models", {"name": name, **fields}))

    async def version(self, model: Json, name: str = "v1", **fields: object) -> Json:
        return made(await self.post(f"/models/{model['id']}/versions", {"name": name, **ARTIFACT, **fields}))

    async def ready_version(self, model: Json, name: str = "v1", **fields: object) -> Json:
        version = await self.version(model, name, **fields)
        return made(await self.patch(f"/model_versions/{version['id']}", {"status": "READY"}), 200)

    async def environment(self, name: str = "models", **fields: object) -> Json:
        return made(await self.post("/serving_environments", {"name": name, **fields}))

    async def deployed(self, model: Json, environment: Json, **fields: object) -> Json:
        order = {"registered_model_id": model["id"], "serving_environment_id": environment["id"], **fields}
        service: Json = made(await self.post("/deploy", order), 202)["inference_service"]
        return service


class Project(Caller):
    """One project, as its callers see it, and what the API in this process works with."""

    def __init__(self, client: httpx.AsyncClient, services: Services) -> None:
        super().__init__(client)
        self.services = services

    async def confirm(self, service: Json) -> None:
        """What the worker reports once the cluster serves it."""
        deployment: UUID = await self.services.pool.fetchval(
            "SELECT (convert_from(state, 'UTF8')::json->>'deployment_id')::uuid FROM stored_events"
            " WHERE originator_id = $1 AND topic LIKE '%deployment_requested' ORDER BY originator_version DESC LIMIT 1",
            UUID(service["id"]),
        )
        news = ConfirmDeployment(
            deployment_id=DeploymentId(deployment), external_id="uid-1", url="http://iris.models.example"
        )
        context = Context(self.id, uuid4(), "the-worker", System("test"))  # type: ignore[arg-type]
        await self.services.committer.submit(Report(ServiceId(UUID(service["id"])), news), context)

    async def events(self) -> int:
        """How many events the project has."""
        count: int = await self.services.pool.fetchval(
            "SELECT count(*) FROM stored_events WHERE project_id = $1", self.id
        )
        return count


class Api:
    """The running API."""

    def __init__(self, client: httpx.AsyncClient, services: Services) -> None:
        self.client = client
        self.services = services

    @property
    def pool(self) -> Pool:
        return self.services.pool

    def project(self) -> Project:
        """A project that has nothing yet."""
        return Project(self.client, self.services)


def made(response: httpx.Response, status: int = 201) -> Json:
    """The body of an answer that must have this status."""
    assert response.status_code == status, response.text
    body: Json = response.json()
    return body


@asynccontextmanager
async def running_services(
    database: Database,
    cluster: Cluster = Cluster.CONFIGURED,
    mode: DeploymentMode = DeploymentMode.KNATIVE,
    connections: int = 4,
) -> AsyncIterator[Services]:
    """All that the API works with; `connections` at most in its pool."""
    keys = KeyRing([("test", b"k" * 32)])
    async with AsyncExitStack() as stack:
        pool = await open_pool(address_of(database), largest=connections)
        stack.push_async_callback(pool.close)
        committer = await stack.enter_async_context(Committer(writer(address_of(database)), INLINE))
        yield Services(
            committer=committer,
            documents=DocumentReader(pool),
            lists=ListReader(pool),
            pool=pool,
            people=People(pool, keys),
            keys=keys,
            cluster=cluster,
            default_namespace="model-serving",
            asker=Asker(pool),
            past=PastReader(pool, keys),
            streams=EventStreams(writer(address_of(database))),
            mode=mode,
        )


# Applications of tests that have ended well. Putting one together takes as long as a test.
_idle: list[Application] = []


@asynccontextmanager
async def client_of(services: Services) -> AsyncIterator[Api]:
    """The API over these services."""
    app = _idle.pop() if _idle else create_app(services)
    app.work_with(services)
    transport = httpx.ASGITransport(app)  # type: ignore[arg-type] # one and the same protocol, typed twice
    async with httpx.AsyncClient(transport=transport, base_url=HOST) as client:
        yield Api(client, services)
    _idle.append(app)


@asynccontextmanager
async def running_api(database: Database, cluster: Cluster = Cluster.CONFIGURED) -> AsyncIterator[Api]:
    """The API on this database."""
    async with running_services(database, cluster) as services, client_of(services) as api:
        yield api


@asynccontextmanager
async def asking_api(database: Database) -> AsyncIterator[Api]:
    """The same, with preflight: it asks the cluster before it accepts a deployment."""
    async with running_services(database) as services:
        asking = replace(services, preflight=Preflight(services.pool, INLINE))
        async with client_of(asking) as api:
            yield api


def refusal(response: httpx.Response) -> tuple[int, str]:
    """Status and message of an answer that says what is wrong, and nothing else."""
    body: Json = response.json()
    assert list(body) == ["error"], response.text
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    return response.status_code, body["error"]
