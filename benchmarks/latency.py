"""From a committed DeploymentRequested to the apply call's arrival at the cluster, with nothing else going on.

API side, worker and simulated cluster are three processes. The clock starts when the caller has its answer, which is
after the commit, and stops when the simulated cluster has read the request.
"""

import asyncio
import os
import statistics
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from benchmarks.database import fresh_database
from benchmarks.figures import Figure
from modeltrail.commands import deployments, environments, models, versions
from modeltrail.commands.committing.committer import Committer
from modeltrail.commands.decision import Command
from modeltrail.domain.ids import DeploymentId, EnvironmentId, ModelId, ProjectId, ServiceId, VersionId
from modeltrail.domain.model_version_messages import Artifact, RegisterVersion, VersionStatus
from modeltrail.domain.registered_model_messages import RegisterModel
from modeltrail.domain.serving_environment import CreateEnvironment
from modeltrail.eventlog.record import Context
from modeltrail.postgres.connect import DatabaseAddress, writer
from modeltrail.postgres.embedded import EmbeddedPostgres
from modeltrail.postgres.ids import new_id
from modeltrail.projections.catalogue import INLINE
from modeltrail.simulated_cluster import write_kubeconfig

DEPLOYMENTS = 100
PATIENCE_SECONDS = 20.0
AIM_MILLISECONDS = 20.0


async def run(server: EmbeddedPostgres) -> list[Figure]:
    """Request deployments one after the other, and ask the cluster when each arrived."""
    address = await fresh_database(server, "bench_latency")
    with tempfile.TemporaryDirectory(prefix="modeltrail-bench-") as folder:
        async with (
            _cluster() as url,
            _worker(address, url, Path(folder)),
            aiohttp.ClientSession(url) as session,
            Committer(writer(address), INLINE) as committer,
        ):
            caller = _Caller(committer)
            model, environment = await caller.prepare()
            await caller.deploy_and_wait(session, model, environment, "warm-up")
            taken = [
                await caller.deploy_and_wait(session, model, environment, f"iris-{number}")
                for number in range(DEPLOYMENTS)
            ]
    median = statistics.median(taken)
    slow = sorted(taken)[int(len(taken) * 0.95)]
    figure = Figure(
        "request to cluster",
        f"median {median:.1f} ms, p95 {slow:.1f} ms",
        f"the aim of {AIM_MILLISECONDS:g} ms (higher is better)",
        AIM_MILLISECONDS / median,
        wanted=1.0,
    )
    return [figure]


class _Caller:
    def __init__(self, committer: Committer) -> None:
        self._committer = committer
        self._project = ProjectId(new_id())

    async def submit(self, command: Command) -> None:
        await self._committer.submit(command, Context(self._project, new_id(), "benchmark"))

    async def prepare(self) -> tuple[ModelId, EnvironmentId]:
        model, version, environment = ModelId(new_id()), VersionId(new_id()), EnvironmentId(new_id())
        project = self._project
        await self.submit(models.Register(RegisterModel(model_id=model, project_id=project, name="iris")))
        artifact = Artifact("model-artifact", "sklearn", "1", "", "s3://models/iris")
        wish = RegisterVersion(project_id=project, registered_model_id=model, name="v1", artifact=artifact)
        await self.submit(versions.Register(version_id=version, wish=wish))
        await self.submit(versions.Revise(project_id=project, version_id=version, status=VersionStatus.READY))
        create = CreateEnvironment(environment_id=environment, project_id=project, name="models")
        await self.submit(environments.Create(create))
        return model, environment

    async def deploy_and_wait(
        self, session: aiohttp.ClientSession, model: ModelId, environment: EnvironmentId, name: str
    ) -> float:
        """Milliseconds from the answer to the arrival of the apply call."""
        deploy = deployments.Deploy(
            project_id=self._project,
            service_id=ServiceId(new_id()),
            deployment_id=DeploymentId(new_id()),
            model_id=model,
            environment_id=environment,
            default_namespace="models",
            name=name,
        )
        await self.submit(deploy)
        answered = time.time()
        # Asked only after a while, so that the asking does not disturb what is measured.
        await asyncio.sleep(0.05)
        arrived = await _arrival(session, name)
        return (arrived - answered) * 1000


async def _arrival(session: aiohttp.ClientSession, name: str) -> float:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        async with session.get("/simulated/requests") as response:
            for request in await response.json():
                if request["verb"] == "apply" and request["name"] == name:
                    async with session.delete("/simulated/requests"):
                        return float(request["at"])
        await asyncio.sleep(0.02)
    raise TimeoutError(f"the apply call for {name} did not arrive within {PATIENCE_SECONDS:g} s")


@asynccontextmanager
async def _cluster() -> AsyncGenerator[str, None]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "modeltrail.simulated_cluster", "--port", "0", stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        line = (await process.stdout.readline()).decode()
        yield line.rsplit(maxsplit=1)[-1].strip()
    finally:
        process.terminate()
        await process.wait()


@asynccontextmanager
async def _worker(address: DatabaseAddress, url: str, folder: Path) -> AsyncGenerator[None, None]:
    kubeconfig = folder / "kubeconfig"
    write_kubeconfig(kubeconfig, url)
    environment = os.environ | {
        "DATABASE_HOST": address.host,
        "DATABASE_PORT": str(address.port),
        "DATABASE_USER": address.user,
        "DATABASE_DBNAME": address.database,
        "KSERVE_ENABLED": "true",
        "KUBERNETES_KUBECONFIG": str(kubeconfig),
        "LOGGER_LEVEL": "error",
        "MODELTRAIL_SECRET_KEYS": "bench:" + b64encode(bytes(32)).decode(),
    }
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "modeltrail", "worker", env=environment)
    try:
        yield
    finally:
        process.terminate()
        await process.wait()
