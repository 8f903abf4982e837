"""Deployments through the worker against the simulated cluster, each in a process of its own.

First many requested at once; then the cost of having very many live ones: start-up, resync, and idling.
The simulated cluster shares the machine, so what the worker could do against a cluster elsewhere is more.
"""

import asyncio
import os
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
from asyncpg import Connection

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
from modeltrail.simulated_cluster import Options, SimulatedCluster, Timing, write_kubeconfig

AT_ONCE = int(os.environ.get("BENCH_DEPLOYMENTS", "1000"))
LIVE = int(os.environ.get("BENCH_LIVE", "10000"))
IDLE_SECONDS = 10.0
RESYNC_EVERY = "5s"
QUICK = Timing(ready_after=0.05, linger=0.0, finalize_after=0.0)
PATIENCE_SECONDS = 300.0
TICKS = os.sysconf("SC_CLK_TCK")


async def run(server: EmbeddedPostgres) -> list[Figure]:
    """Deploy `AT_ONCE`, then up to `LIVE`, then restart the worker among them."""
    address = await fresh_database(server, "bench_deployments")
    connection = await writer(address)()
    with tempfile.TemporaryDirectory(prefix="modeltrail-bench-") as folder:
        async with _cluster_process(Path(folder)) as kubeconfig:
            log = Path(folder) / "worker.log"
            async with _worker(address, kubeconfig, log) as worker:
                await _until(lambda: _logged(log, "lease taken"))
                figures = await _at_once(address, connection, worker, AT_ONCE)
                await _at_once(address, connection, worker, LIVE - AT_ONCE)
            figures += await _among_many(address, kubeconfig, Path(folder) / "second.log")
    await connection.close()
    return figures


async def _at_once(
    address: DatabaseAddress, connection: Connection, worker: asyncio.subprocess.Process, number: int
) -> list[Figure]:
    before = await connection.fetchval("SELECT count(*) FROM standing_deployments")
    started = time.monotonic()
    async with Committer(writer(address), INLINE) as committer:
        await _deploy(committer, number)
    accepted = time.monotonic() - started
    target = before + number
    await _until(lambda: _at_least(connection, "external_id IS NOT NULL", target))
    applied = time.monotonic() - started
    await _until(lambda: _at_least(connection, "current_state = 'DEPLOYED'", target))
    ready = time.monotonic() - started
    rate = number / applied
    return [
        Figure(f"{number:,} deployments: accepted", f"{number / accepted:,.0f} /s"),
        Figure("  applied", f"{rate:,.0f} /s", "200 /s", rate / 200, wanted=1.0),
        Figure("  ready", f"{number / ready:,.0f} /s"),
        Figure("  the worker's memory", f"{_memory(worker.pid) / 2**20:,.0f} MiB"),
    ]


async def _among_many(address: DatabaseAddress, kubeconfig: Path, log: Path) -> list[Figure]:
    async with _worker(address, kubeconfig, log) as worker:
        started = time.monotonic()
        await _until(lambda: _logged(log, '"event":"synced"'))
        synced = time.monotonic() - started
        cpu, began = _cpu(worker.pid), time.monotonic()
        await asyncio.sleep(IDLE_SECONDS)
        share = (_cpu(worker.pid) - cpu) / (time.monotonic() - began)
        memory = _memory(worker.pid)
    synced_lines = [msgspec.json.decode(line) for line in _lines(log) if '"event":"synced"' in line]
    seconds = [line["seconds"] for line in synced_lines]
    slowest = max(seconds)
    return [
        Figure(f"{LIVE:,} live: start-up to synced", f"{synced:.1f} s"),
        Figure("  a resync, the slowest", f"{slowest:.2f} s", "10 s", 10 / slowest, wanted=1.0),
        Figure(f"  CPU, with a resync each {RESYNC_EVERY}", f"{share:.1%} of a core"),
        Figure("  the worker's memory", f"{memory / 2**20:,.0f} MiB"),
    ]


async def _deploy(committer: Committer, number: int) -> None:
    project, model, environment = ProjectId(new_id()), ModelId(new_id()), EnvironmentId(new_id())
    version = VersionId(new_id())

    async def submit(command: Command) -> None:
        await committer.submit(command, Context(project, new_id(), "benchmark"))

    await submit(models.Register(RegisterModel(model_id=model, project_id=project, name="iris")))
    artifact = Artifact("model-artifact", "sklearn", "1", "", "s3://models/iris")
    wish = RegisterVersion(project_id=project, registered_model_id=model, name="v1", artifact=artifact)
    await submit(versions.Register(version_id=version, wish=wish))
    await submit(versions.Revise(project_id=project, version_id=version, status=VersionStatus.READY))
    place = CreateEnvironment(environment_id=environment, project_id=project, name=f"ns-{environment.hex[-12:]}")
    await submit(environments.Create(place))

    async def deploy(index: int) -> None:
        command = deployments.Deploy(
            project_id=project,
            service_id=ServiceId(new_id()),
            deployment_id=DeploymentId(new_id()),
            model_id=model,
            environment_id=environment,
            default_namespace="models",
            name=f"iris-{index}",
        )
        await submit(command)

    for first in range(0, number, 500):  # no more than the committer's queue holds
        await asyncio.gather(*map(deploy, range(first, min(number, first + 500))))


@asynccontextmanager
async def _cluster_process(folder: Path) -> AsyncIterator[Path]:
    kubeconfig = folder / "kubeconfig"
    command = (sys.executable, "-m", "benchmarks.deployments", str(kubeconfig))
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)

    async def is_there() -> bool:
        return kubeconfig.exists()

    try:
        await _until(is_there)
        yield kubeconfig
    finally:
        process.terminate()
        await process.wait()


@asynccontextmanager
async def _worker(address: DatabaseAddress, kubeconfig: Path, log: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    environment = os.environ | {
        "DATABASE_HOST": address.host,
        "DATABASE_PORT": str(address.port),
        "DATABASE_USER": address.user,
        "DATABASE_DBNAME": address.database,
        "KSERVE_ENABLED": "true",
        "KSERVE_RESYNC_EVERY": RESYNC_EVERY,
        "KUBERNETES_KUBECONFIG": str(kubeconfig),
        "MODELTRAIL_SECRET_KEYS": "bench:" + b64encode(bytes(32)).decode(),
    }
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "modeltrail", "worker", env=environment, stdout=output, stderr=output
        )
    try:
        yield process
    finally:
        process.terminate()
        await process.wait()


async def _until(probe: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await probe():  # noqa: ASYNC110 - what is waited for happens in other processes
            await asyncio.sleep(0.05)


async def _logged(log: Path, words: str) -> bool:
    return any(words in line for line in _lines(log))


def _lines(log: Path) -> list[str]:
    return log.read_text().splitlines()


async def _at_least(connection: Connection, condition: str, number: int) -> bool:
    query = f"SELECT count(*) FROM inference_services WHERE {condition}"
    return bool(await connection.fetchval(query) >= number)


def _memory(pid: int) -> int:
    """Resident bytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE")


def _cpu(pid: int) -> float:
    """Seconds of CPU so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


async def _serve_cluster(kubeconfig: Path) -> None:
    async with SimulatedCluster(Options(timing=QUICK, history=100_000)) as cluster:
        draft = kubeconfig.with_suffix(".new")
        write_kubeconfig(draft, cluster.url)
        draft.replace(kubeconfig)
        await asyncio.Future[None]()


if __name__ == "__main__":
    asyncio.run(_serve_cluster(Path(sys.argv[1])))
