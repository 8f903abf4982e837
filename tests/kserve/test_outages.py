"""A real cluster whose parts die, and a worker that dies: every request has its answer, and one object."""

import asyncio
import random
from functools import partial

import pytest

from support.api import Json
from support.cluster import eventually
from support.control_plane import ControlPlane
from support.real_kserve import GROUP, MANAGER
from support.real_serving import ROUND, Serving, is_live, is_ready
from support.worker_process import PATIENCE, WorkerProcess


async def requested(serving: Serving, many: int) -> list[Json]:
    return [await serving.deploy(await serving.version()) for _ in range(many)]


async def all_are_live(serving: Serving, services: list[Json]) -> None:
    """Each once, and as the cluster says."""
    for each in services:
        live = await serving.until(each, "is live", is_live)
        found = serving.found(each)
        assert is_ready(found)
        assert found is not None
        assert live["external_id"] == found["metadata"]["uid"]
        assert await serving.story(each) == ["created", *ROUND]
    found_there = serving.plane.get(f"{GROUP}/v1beta1/namespaces/{serving.namespace}/inferenceservices")["items"]
    assert len(found_there) == len(services)


@pytest.mark.parametrize("program", ["kube-apiserver", "etcd", MANAGER])
async def test_what_was_asked_for_while_a_part_of_the_cluster_was_dead_is_live_after(
    serving: Serving, worker: WorkerProcess, plane: ControlPlane, program: str
) -> None:
    before = await serving.deployed()
    plane.kill(program)
    try:
        services = await requested(serving, 4)
        assert is_live(await serving.shown(before))  # nobody says otherwise
    finally:
        plane.restart(program)
        await asyncio.to_thread(plane.wait_until_answering)

    await all_are_live(serving, [before, *services])


async def test_an_undeployment_is_not_done_before_kserve_has_done_its_part(
    serving: Serving, worker: WorkerProcess, plane: ControlPlane
) -> None:
    service = await serving.deployed()
    with plane.frozen(MANAGER):
        await serving.undeploy(service)
        leaving = await serving.until_object(
            service, "is leaving", lambda found: bool(found and "deletionTimestamp" in found["metadata"])
        )
        assert leaving["metadata"]["finalizers"]
        assert (await serving.shown(service))["current_state"] == "DEPLOYED"

    await serving.until(service, "is off the cluster", lambda shown: shown["current_state"] == "UNDEPLOYED")
    assert serving.found(service) is None


async def test_a_worker_killed_at_random_moments_leaves_one_object_for_each_request(
    serving: Serving, process: WorkerProcess
) -> None:
    moments = random.Random(7)
    services = await requested(serving, 12)
    for kill in range(5):
        async with process.running():
            await eventually(partial(process.has_begun, kill + 1), within=PATIENCE)
            await asyncio.sleep(moments.uniform(0, 0.15))  # the moment is what is random here

    async with process.running():
        await all_are_live(serving, services)


async def test_a_namespace_that_is_deleted_takes_its_services_with_it(
    serving: Serving, worker: WorkerProcess, plane: ControlPlane
) -> None:
    service = await serving.deployed()

    plane.delete(f"/api/v1/namespaces/{serving.namespace}")

    gone = await serving.until(
        service, "is said to be gone", lambda shown: "being terminated" in shown.get("last_error", "")
    )
    assert gone["current_state"] == "UNDEPLOYED"
    await serving.undeploy(service)
    await serving.until(service, "is done with", lambda shown: "last_error" not in shown)
