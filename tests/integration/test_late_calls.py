"""What is heard twice, or arrives late: the same request again, and calls of a worker that was killed meanwhile."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest

from modeltrail.commands.deployments import Report
from modeltrail.domain.ids import DeploymentId
from modeltrail.domain.inference_service_messages import (
    ConfirmDeployment,
    ConfirmUndeployment,
    DeploymentRequested,
    UndeploymentRequested,
)
from modeltrail.eventlog.log import CHANNEL
from modeltrail.postgres.connect import writer
from modeltrail.simulated_cluster import SimulatedCluster
from modeltrail.workers.manifest import DEPLOYMENT_ID
from modeltrail.workers.observation import MANAGER
from support.cluster import RawApi, eventually
from support.committing import address_of
from support.deploy_worker import until, worker
from support.registry import Registry

SLOW = "s3://models/simulate-slow"


@pytest.fixture
def api(kubernetes: RawApi) -> RawApi:
    return kubernetes


async def deliver_again(world: Registry) -> None:
    """Let the worker read each open request once more, as if it were a new one."""
    connection = await writer(address_of(world.database))()
    try:
        await connection.execute("UPDATE deployment_tasks SET requested_position = requested_position + 1")
        await connection.execute(f"NOTIFY {CHANNEL}")
    finally:
        await connection.close()


async def namespace_of(world: Registry, service: UUID) -> str:
    name: str = (await world.service(service))["serving_environment_name"]
    return name


async def apply_late(api: RawApi, namespace: str, deployment: str, uri: str = "s3://models/late") -> None:
    """An apply of the worker for an earlier deployment, which was under way when it was killed."""
    now = (await api.get("iris", namespace)).body
    metadata = {key: now["metadata"][key] for key in ("name", "labels")}
    metadata["annotations"] = {**now["metadata"]["annotations"], DEPLOYMENT_ID: deployment}
    late: dict[str, Any] = {key: now[key] for key in ("apiVersion", "kind", "spec")} | {"metadata": metadata}
    late["spec"]["predictor"]["model"]["storageUri"] = uri
    assert (await api.apply(late, manager=MANAGER, namespace=namespace)).status in (200, 201)


async def test_a_request_that_is_delivered_twice_is_carried_out_once(
    world: Registry, cluster: SimulatedCluster
) -> None:
    async with worker(world, cluster):
        deployed = await world.deploy(uri=SLOW, name="iris")
        await until(world, deployed, "DeploymentApplied")
        looks = len(cluster.requests.all("get", "iris"))
        await deliver_again(world)

        async def looked_again() -> bool:
            return len(cluster.requests.all("get", "iris")) > looks

        await eventually(looked_again)
        names = await until(world, deployed, "DeploymentSucceeded")
    assert names.count("DeploymentApplied") == names.count("DeploymentSucceeded") == 1
    assert len(cluster.requests.all("apply", "iris")) == 1


async def test_an_undeployment_that_is_delivered_twice_is_carried_out_once(
    world: Registry, cluster: SimulatedCluster, api: RawApi
) -> None:
    async with worker(world, cluster):
        deployed = await world.deploy(name="iris")
        await until(world, deployed, "DeploymentSucceeded")
        hold = {"metadata": {"finalizers": ["example.org/hold"]}}
        namespace = await namespace_of(world, deployed)
        await api.merge("iris", hold, namespace)
        await world.undeploy(deployed)

        async def deleting() -> bool:
            return bool(cluster.requests.all("delete", "iris"))

        await eventually(deleting)
        await deliver_again(world)
        await api.merge("iris", {"metadata": {"finalizers": None}}, namespace)
        names = await until(world, deployed, "Undeployed")
    assert names.count("Undeployed") == 1
    assert len(cluster.requests.all("delete", "iris")) == 1


async def test_an_answer_that_is_given_twice_is_one_event(world: Registry) -> None:
    deployed = await world.deploy(name="iris")
    requested = (await world.events(deployed))[-1].event
    assert isinstance(requested, DeploymentRequested)
    yes = ConfirmDeployment(deployment_id=requested.deployment_id, external_id="uid-1", url="http://iris")
    await asyncio.gather(*(world.submit(Report(deployed, yes)) for _ in range(3)))
    await world.undeploy(deployed)
    asked = (await world.events(deployed))[-1].event
    assert isinstance(asked, UndeploymentRequested)
    gone = ConfirmUndeployment(undeployment_id=asked.undeployment_id)
    await asyncio.gather(*(world.submit(Report(deployed, gone)) for _ in range(3)))

    assert (await world.event_names(deployed))[1:] == [
        "DeploymentRequested",
        "DeploymentSucceeded",
        "UndeploymentRequested",
        "Undeployed",
    ]


async def test_an_apply_that_arrives_while_no_worker_runs_leaves_no_orphan(
    world: Registry, cluster: SimulatedCluster, api: RawApi
) -> None:
    async with worker(world, cluster):
        deployed = await world.deploy(name="iris")
        await until(world, deployed, "DeploymentSucceeded")
        namespace = await namespace_of(world, deployed)
        late = (await api.get("iris", namespace)).body
        await world.undeploy(deployed)
        await until(world, deployed, "Undeployed")
    metadata = {key: late["metadata"][key] for key in ("name", "labels", "annotations")}
    assert (await api.create({**late, "metadata": metadata}, namespace)).status == 201

    async with worker(world, cluster):

        async def gone() -> bool:
            return (await api.get("iris", namespace)).status == 404

        await eventually(gone)
    assert (await world.event_names(deployed))[-1] == "Undeployed"


async def test_an_earlier_apply_that_arrives_before_the_verdict_does_not_keep_it_away_for_ever(
    world: Registry, cluster: SimulatedCluster, api: RawApi
) -> None:
    async with worker(world, cluster):
        deployed = await world.deploy(uri=SLOW, name="iris")
        await until(world, deployed, "DeploymentApplied")
        namespace = await namespace_of(world, deployed)
        await apply_late(api, namespace, str(DeploymentId(uuid4())))
        names = await until(world, deployed, "DeploymentSucceeded")
    assert names.count("DeploymentSucceeded") == 1
    served = (await api.get("iris", namespace)).body
    assert served["spec"]["predictor"]["model"]["storageUri"] == SLOW


async def test_an_earlier_apply_that_arrived_while_no_worker_ran_is_put_right(
    world: Registry, cluster: SimulatedCluster, api: RawApi
) -> None:
    async with worker(world, cluster):
        deployed = await world.deploy(uri="s3://models/simulate-never", name="iris")
        await until(world, deployed, "DeploymentApplied")
    namespace = await namespace_of(world, deployed)
    await apply_late(api, namespace, str(DeploymentId(uuid4())))
    async with worker(world, cluster):

        async def right_again() -> bool:
            model = (await api.get("iris", namespace)).body["spec"]["predictor"]["model"]
            return bool(model["storageUri"] == "s3://models/simulate-never")

        await eventually(right_again)
