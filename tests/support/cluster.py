"""A simulated cluster for tests, quick enough not to wait for, and two ways to talk to it."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from ssl import SSLContext
from typing import Any, TypeVar
from uuid import UUID

import aiohttp

from modeltrail.simulated_cluster import Options, SimulatedCluster, Timing
from modeltrail.workers.access import Access
from modeltrail.workers.kserve import KServeCluster
from modeltrail.workers.manifest import DesiredService

Json = dict[str, Any]
Found = TypeVar("Found")

QUICK = Timing(ready_after=0.02, slow_after=0.5, linger=0.02, finalize_after=0.02)
# A rollout that does not end within a test, so that its first stage can be looked at.
STUCK = Timing(ready_after=60, slow_after=60, linger=0.02, finalize_after=0.02)
SERVICES = "/apis/serving.kserve.io/v1beta1/namespaces/{}/inferenceservices"


def options(
    *,
    data: Path | None = None,
    token: str | None = None,
    token_file: Path | None = None,
    tls: SSLContext | None = None,
    strict_namespaces: bool = False,
    history: int = 10_000,
    bookmark_every: float = 30.0,
    timing: Timing = QUICK,
) -> Options:
    return Options(
        data=data,
        token=token,
        token_file=token_file,
        tls=tls,
        strict_namespaces=strict_namespaces,
        history=history,
        bookmark_every=bookmark_every,
        timing=timing,
    )


async def eventually(probe: Callable[[], Awaitable[Found | None]], within: float = 5.0) -> Found:
    """What `probe` finds, asked again until it finds something or the time is up."""
    deadline = time.monotonic() + within
    while True:
        found = await probe()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"did not happen within {within} s")
        await asyncio.sleep(0.005)


def desired(
    name: str = "iris",
    *,
    namespace: str = "models",
    deployment: int = 1,
    storage_uri: str = "s3://models/iris",
    labels: dict[str, str] | None = None,
    framework: str = "scikit-learn",
    framework_version: str = "1.4.2",
) -> DesiredService:
    return DesiredService(
        name=name,
        namespace=namespace,
        service_id=UUID(int=1),
        model_id=UUID(int=2),
        version_id=UUID(int=3),
        deployment_id=UUID(int=deployment),
        model_framework=framework,
        model_framework_version=framework_version,
        storage_uri=storage_uri,
        labels=labels or {},
    )


def service(name: str = "iris", *, uri: str = "s3://models/iris", **metadata: Any) -> Json:  # metadata is JSON
    """A plain InferenceService, as anybody might write it."""
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": name, **metadata},
        "spec": {"predictor": {"model": {"modelFormat": {"name": "sklearn"}, "storageUri": uri}}},
    }


@dataclass(frozen=True)
class Answer:
    status: int
    body: Json
    headers: Json


class RawApi:
    """The Kubernetes API over bare HTTP, where a test must see every byte of an answer."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.session = session
        self.url = url

    async def send(
        self, method: str, path: str, body: object = None, *, content_type: str | None = None, **query: str
    ) -> Answer:
        headers = {"Content-Type": content_type} if content_type else {}
        async with self.session.request(method, self.url + path, json=body, params=query, headers=headers) as response:
            text = await response.text()
            is_json = response.content_type == "application/json"
            decoded = await response.json() if is_json and text else {"text": text}
            return Answer(response.status, decoded, dict(response.headers))

    async def create(self, body: Json, namespace: str = "models", **query: str) -> Answer:
        return await self.send("POST", SERVICES.format(namespace), body, **query)

    async def get(self, name: str, namespace: str = "models") -> Answer:
        return await self.send("GET", f"{SERVICES.format(namespace)}/{name}")

    async def apply(self, body: Json, *, manager: str = "tester", namespace: str = "models", **query: str) -> Answer:
        return await self.send(
            "PATCH",
            f"{SERVICES.format(namespace)}/{body['metadata']['name']}",
            body,
            content_type="application/apply-patch+yaml",
            fieldManager=manager,
            **query,
        )

    async def merge(self, name: str, patch: Json, namespace: str = "models", **query: str) -> Answer:
        path = f"{SERVICES.format(namespace)}/{name}"
        return await self.send("PATCH", path, patch, content_type="application/merge-patch+json", **query)

    async def delete(self, name: str, namespace: str = "models", body: object = None, **query: str) -> Answer:
        return await self.send("DELETE", f"{SERVICES.format(namespace)}/{name}", body, **query)


@asynccontextmanager
async def raw_api(
    cluster: SimulatedCluster, token: str | None = None, patience: float | None = None
) -> AsyncIterator[RawApi]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    timeout = aiohttp.ClientTimeout(total=patience)
    async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:
        yield RawApi(session, cluster.url)


@asynccontextmanager
async def kserve(
    cluster: SimulatedCluster,
    *,
    token: str | None = None,
    call_seconds: float = 5.0,
    watch_seconds: int = 60,
) -> AsyncIterator[KServeCluster]:
    """The worker's own client, connected to the simulated cluster."""
    access = Access(url=cluster.url, token=token)
    async with await KServeCluster.connect(access, call_seconds=call_seconds, watch_seconds=watch_seconds) as connected:
        yield connected
