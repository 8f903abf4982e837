"""A modeltrail under simulation: what callers, other people in the cluster, the cluster itself and crashes do to it."""

import asyncio
import random
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from modeltrail.domain.serving_options import DeploymentMode
from modeltrail.postgres.embedded import EmbeddedPostgres
from modeltrail.simulated_cluster import SimulatedCluster
from support.api import Caller, Json
from support.api_process import mortal_api_process
from support.cluster import SERVICES, Answer, RawApi, service
from support.command_line import SECRET_KEYS
from support.database import Database
from support.worker_process import WorkerProcess

HASTY_WORKER = (str(Path(__file__).parent / "hasty_worker_process.py"), "worker")
NAMES = ("iris", "rose", "aster")
WORKERS = ("first", "second")
URIS = ("s3://models/iris-1", "s3://models/iris-2", "s3://models/simulate-slow", "s3://models/simulate-fail")
WITH_KEYS = {"access_key": "AKIA", "secret_key": "sesame"}
GONE = ("DELETE", "/inference_services/{service}")
HOLD = "example.com/hold"


@dataclass(frozen=True)
class Setting:
    """How this modeltrail is run."""

    mode: DeploymentMode
    on_drift: str
    resync_every: str
    whole_seconds: bool  # in which the cluster writes its times, as real ones do

    @classmethod
    def by_chance(cls, dice: random.Random) -> "Setting":
        return cls(
            mode=dice.choice([DeploymentMode.STANDARD, DeploymentMode.KNATIVE, DeploymentMode.KNATIVE]),
            on_drift=dice.choice(["repair", "repair", "report"]),
            resync_every=dice.choice(["1s", "5m"]),
            whole_seconds=dice.random() < 0.3,
        )


@dataclass
class Modeltrail:
    """A database server, an API and workers, each a process to be killed and started again."""

    server: EmbeddedPostgres
    database: Database
    cluster: SimulatedCluster
    kubernetes: RawApi
    folder: Path
    setting: Setting
    caller: Caller = field(default_factory=lambda: Caller(httpx.AsyncClient(timeout=30)))
    namespaces: dict[str, str] = field(default_factory=dict)  # of each name
    orders: dict[str, Json] = field(default_factory=dict)  # what to send to deploy under each name
    models: dict[str, str] = field(default_factory=dict)  # by name
    versions: dict[str, list[str]] = field(default_factory=dict)  # by name
    services: dict[str, str] = field(default_factory=dict)  # the newest of each name
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)  # of what is restarted
    _api: ExitStack = field(default_factory=ExitStack)
    _workers: dict[str, AsyncExitStack] = field(default_factory=dict)
    _processes: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """With an API, a worker, and something to deploy."""
        try:
            await self.start_api()
            await self._start_workers()
            await self._register()
            yield
        finally:
            for name in [*self._workers]:
                await self.kill_worker(name)
            await self.caller.client.aclose()
            await asyncio.to_thread(self._api.close)

    async def _register(self) -> None:
        for number, name in enumerate(NAMES):
            # Two share a model, two an environment.
            if number != 1:
                model = await self.caller.model(f"model-{number}")
                versions = [
                    await self.caller.ready_version(model, f"v{each}", uri=uri, **(WITH_KEYS if each == 1 else {}))
                    for each, uri in enumerate(URIS)
                ]
            if number != 2:
                environment = await self.caller.environment(f"models-{number}")
            self.namespaces[name], self.models[name] = environment["name"], model["id"]
            self.versions[name] = [each["id"] for each in versions]
            self.orders[name] = {
                "name": name,
                "registered_model_id": model["id"],
                "serving_environment_id": environment["id"],
            }

    # --- what callers do ----------------------------------------------------------------------------------

    async def ask(self, name: str, method: str, path: str, body: object = None) -> str:
        """Ask for something about the service, which is deployed if there is none; what the answer was, in words."""
        if "{service}" in path and name not in self.services:
            method, path, body = "POST", "/deploy", self.orders[name]
        place = path.format(service=self.services.get(name), model=self.models[name])
        answer = await self.caller.send(method, place, body)
        if answer.status_code >= 500 and answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
            raise AssertionError(f"{method} {place} was answered {answer.status_code} {answer.text}")
        if answer.is_success and path == "/deploy":
            self.services[name] = answer.json()["inference_service"]["id"]
        if answer.status_code == httpx.codes.NOT_FOUND or (answer.is_success and (method, path) == GONE):
            self.services.pop(name, None)
        return f"{answer.status_code}" + ("" if answer.is_success else f" {answer.text}")

    async def patch(self, name: str, **fields: object) -> str:
        return await self.ask(name, "PATCH", "/inference_services/{service}", fields)

    # --- what others do in the cluster --------------------------------------------------------------------

    async def change_object(self, name: str, patch: Json) -> str:
        return _told(await self.kubernetes.merge(name, patch, self.namespaces[name]))

    async def delete_object(self, name: str) -> str:
        return _told(await self.kubernetes.delete(name, self.namespaces[name]))

    async def take_name(self, name: str) -> str:
        """Create an object of somebody else's."""
        return _told(await self.kubernetes.create(service(name), self.namespaces[name]))

    async def set_readiness(self, name: str, *, ready: bool) -> str:
        path = f"{SERVICES.format(self.namespaces[name])}/{name}"
        found = (await self.kubernetes.send("GET", path)).body
        if "status" not in found or not isinstance(found["status"], dict):
            return "nothing to set"
        condition = {"type": "Ready", "status": str(ready), "reason": "" if ready else "NoPods", "message": "as set"}
        found["status"] |= {"conditions": [condition]}
        return _told(await self.kubernetes.send("PUT", f"{path}/status", found))

    # --- crashes ------------------------------------------------------------------------------------------

    async def start_api(self) -> str:
        opened = mortal_api_process(
            self.database,
            self.folder,
            KSERVE_DEPLOYMENT_MODE=self.setting.mode.value,
            MODELTRAIL_SECRET_KEYS=SECRET_KEYS,
        )
        url, process = await asyncio.to_thread(self._api.enter_context, opened)
        self._api.callback(process.kill)
        self.caller.client.base_url = url
        return "started"

    async def kill_api(self) -> str:
        async with self._lock:
            await asyncio.to_thread(self._api.close)
            return await self.start_api()

    async def start_worker(self, name: str) -> str:
        if name in self._workers:
            return "runs already"
        process = WorkerProcess(
            self.database,
            self.cluster,
            self.folder,
            f"{name}.log",
            self.setting.mode,
            HASTY_WORKER,
            MODELTRAIL_SECRET_KEYS=SECRET_KEYS,
            KSERVE_ON_DRIFT=self.setting.on_drift,
            KSERVE_RESYNC_EVERY=self.setting.resync_every,
        )
        self._workers[name] = stack = AsyncExitStack()
        self._processes[name] = await stack.enter_async_context(process.running())
        return "started"

    async def _start_workers(self) -> None:
        for name in WORKERS:
            if name in self._processes and self._processes[name].returncode is not None:
                await self.kill_worker(name)  # it has ended itself: there was no database when it started
            await self.start_worker(name)

    async def kill_worker(self, name: str) -> str:
        if name not in self._workers:
            return "does not run"
        await self._workers.pop(name).aclose()
        return "killed"

    async def restart_worker(self, name: str) -> str:
        await self.kill_worker(name)
        return await self.start_worker(name)

    async def signal_worker(self, name: str, number: signal.Signals) -> str:
        process = self._processes.get(name)
        if process is None or process.returncode is not None:
            return "does not run"
        process.send_signal(number)
        return "sent"

    async def resume(self) -> None:
        """Let all run again, and end whatever somebody or something does to it."""
        self.cluster.faults.clear()
        self.cluster.drop_watches()  # and what hangs
        for name in NAMES:
            await self._release(name)
        await self._start_workers()
        for name in WORKERS:
            await self.signal_worker(name, signal.SIGCONT)

    async def _release(self, name: str) -> None:
        """Take the finalizer away that holds an object."""
        found = (await self.kubernetes.get(name, self.namespaces[name])).body
        finalizers = (found.get("metadata") or {}).get("finalizers") or []
        if HOLD in finalizers:
            await self.change_object(name, {"metadata": {"finalizers": [each for each in finalizers if each != HOLD]}})

    async def restart_server(self, *, kill: bool) -> str:
        async with self._lock:
            await asyncio.to_thread(self.server.kill if kill else self.server.stop)
            await asyncio.to_thread(self.server.start)
        return "restarted"


def _told(answer: Answer) -> str:
    return str(answer.status)
