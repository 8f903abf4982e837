"""A worker process killed with SIGKILL at the worst moments: nothing is lost, nothing is done twice."""

import asyncio
import random
import signal
from functools import partial
from pathlib import Path

import asyncpg
import pytest

from modeltrail.eventlog.log import LOCK
from modeltrail.simulated_cluster import SimulatedCluster
from support.cluster import eventually, raw_api
from support.database import Database
from support.registry import Registry
from support.worker_process import PATIENCE, WorkerProcess


@pytest.fixture
def process(database: Database, cluster: SimulatedCluster, tmp_path: Path) -> WorkerProcess:
    return WorkerProcess(database, cluster, tmp_path)


async def services_in(cluster: SimulatedCluster) -> list[str]:
    async with raw_api(cluster) as api:
        listed = await api.send("GET", "/apis/serving.kserve.io/v1beta1/inferenceservices")
    return [item["metadata"]["name"] for item in listed.body["items"]]


async def test_killed_between_the_cluster_call_and_its_confirmation(
    world: Registry, cluster: SimulatedCluster, process: WorkerProcess, connection: asyncpg.Connection
) -> None:
    deployed = await world.deploy(name="iris")
    # Whoever holds the log's lock keeps the worker from confirming, but not from calling the cluster.
    await connection.execute(f"SELECT pg_advisory_lock({LOCK})")

    async def handled() -> bool:
        return any(request.status in (200, 201) for request in cluster.requests.all("apply", "iris"))

    async with process.running() as first:
        await eventually(handled, within=PATIENCE)
        first.send_signal(signal.SIGKILL)
        await first.wait()
    await connection.execute(f"SELECT pg_advisory_unlock({LOCK})")
    assert "DeploymentApplied" not in await world.event_names(deployed)

    async def succeeded() -> bool:
        return "DeploymentSucceeded" in await world.event_names(deployed)

    async with process.running():
        await eventually(succeeded, within=PATIENCE)
    assert await world.event_names(deployed) == [
        "ServiceCreated",
        "DeploymentRequested",
        "DeploymentApplied",
        "DeploymentSucceeded",
    ]
    assert await services_in(cluster) == ["iris"]


async def test_killed_at_random_moments_every_request_has_one_answer(
    world: Registry, cluster: SimulatedCluster, process: WorkerProcess
) -> None:
    moments = random.Random(20)
    deployed = [await world.deploy(name=f"iris-{number}") for number in range(20)]
    undeployed = deployed[::3]

    async def done() -> bool:
        states = [await world.service(each) for each in deployed]
        return all(state["desired_state"] == state["current_state"] for state in states)

    for kill in range(8):
        async with process.running() as running:
            await eventually(partial(process.has_begun, kill + 1), within=PATIENCE)
            await asyncio.sleep(moments.uniform(0, 0.08))  # the moment is what is random here
            running.send_signal(signal.SIGKILL)
        if kill == 2:
            for each in undeployed:
                await world.undeploy(each)
    async with process.running():
        await eventually(done, within=PATIENCE)

    for each in deployed:
        names = await world.event_names(each)
        assert names.count("DeploymentRequested") == 1
        assert names.count("DeploymentApplied") <= 1
        assert names.count("DeploymentSucceeded") == 1 or each in undeployed
        assert names.count("Undeployed") == (each in undeployed)
    assert len(await services_in(cluster)) == len(deployed) - len(undeployed)
