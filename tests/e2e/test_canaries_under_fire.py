"""Canaries begun, moved, promoted, aborted, rolled back and undeployed while the worker is killed at random moments.

`make soak` raises the numbers: FIRE_SERVICES and FIRE_KILLS.
"""

import asyncio
import os
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from uuid import UUID

import msgspec
import pytest

from modeltrail.domain.serving_options import DeploymentMode
from modeltrail.projections.standing_deployments import StandingDeployment
from modeltrail.simulated_cluster import SimulatedCluster
from modeltrail.workers.desired_service import desired
from modeltrail.workers.drift import differences
from modeltrail.workers.manifest import manifest
from support.api import Api, Json, Project, client_of, made, running_services
from support.cluster import eventually, kserve, raw_api
from support.database import Database
from support.worker_process import PATIENCE, WorkerProcess

SERVICES = int(os.environ.get("FIRE_SERVICES", "8"))
KILLS = int(os.environ.get("FIRE_KILLS", "3"))
WISHES = ("canary", "move", "roll out", "promote", "abort", "roll back", "undeploy", "redeploy")
OUTCOMES = ("deployment_succeeded", "canary_deployed", "deployment_failed")


@pytest.fixture
async def api(database: Database) -> AsyncIterator[Api]:
    async with running_services(database) as services, client_of(services) as running:
        yield running


@pytest.fixture
async def project(api: Api) -> Project:
    return api.project()


class Fire:
    """What is asked of the services, at random."""

    def __init__(self, project: Project, versions: list[str], services: list[str]) -> None:
        self.project, self.versions, self.services = project, versions, services
        self.dice = random.Random(16)
        self.accepted: Counter[str] = Counter()

    async def ask(self, service: str) -> None:
        """One request, which may be refused: a canary that is not there cannot be promoted."""
        path, version = f"/inference_services/{service}", self.dice.choice(self.versions)
        percent = self.dice.choice([5, 20, 50])
        name, method, target, body = self.dice.choice(
            [
                ("canary", "PATCH", path, {"model_version_id": version, "canary_traffic_percent": percent}),
                ("move", "PATCH", path, {"canary_traffic_percent": percent}),
                ("roll out", "PATCH", path, {"model_version_id": version, "canary_traffic_percent": 100}),
                ("promote", "POST", f"{path}/promote", {}),
                ("abort", "POST", f"{path}/abort", {}),
                ("roll back", "POST", f"{path}/rollback", {}),
                ("undeploy", "PATCH", path, {"desired_state": "UNDEPLOYED"}),
                # Twice: what is off the cluster takes no other wish.
                ("redeploy", "PATCH", path, {"desired_state": "DEPLOYED"}),
                ("redeploy", "PATCH", path, {"desired_state": "DEPLOYED"}),
            ]
        )
        answer = await self.project.send(method, target, body)
        assert answer.status_code in (200, 202, 400), answer.text
        self.accepted[name] += answer.status_code < 400


async def is_settled(project: Project) -> bool:
    """Whether nothing that was asked waits for its answer."""
    return not await project.services.pool.fetchval("SELECT EXISTS (SELECT FROM deployment_tasks)")


async def check(project: Project, cluster: SimulatedCluster, service: str) -> None:
    """The object is what was asked for last, the API says so, and each request has at most one outcome, the last one
    exactly one."""
    shown = made(await project.get(f"/inference_services/{service}"), 200)
    row = await project.services.pool.fetchrow("SELECT body FROM standing_deployments WHERE id = $1", UUID(service))
    task = msgspec.json.decode(row["body"], type=StandingDeployment).wanted
    async with kserve(cluster) as connected:
        observed = await connected.get(task.target.namespace, task.name)
    assert observed is not None
    assert differences(manifest(desired(UUID(service), task, DeploymentMode.KNATIVE)), observed) == ()
    assert shown["model_version_id"] == str(task.target.model_version_id)
    assert shown.get("canary_traffic_percent") == task.target.options.canary_traffic_percent
    assert shown["current_state"] == "DEPLOYED"
    async with raw_api(cluster) as kubernetes:
        object_ = (await kubernetes.get(task.name)).body
    traffic = object_["status"]["components"]["predictor"]["traffic"]
    assert sum(each["percent"] for each in traffic) == 100

    story: list[Json] = []
    while items := made(
        await project.get(
            f"/inference_services/{service}/timeline?limit=100&after={story[-1]['position'] if story else 0}"
        ),
        200,
    )["items"]:
        story += items
    told = [(each["type"].partition(".")[2], each.get("deployment_id")) for each in story]
    outcomes = Counter(deployment for name, deployment in told if name in OUTCOMES)
    assert set(outcomes.values()) == {1}
    asked = [deployment for name, deployment in told if name == "deployment_requested"]
    assert asked[-1] == str(task.deployment_id)
    assert outcomes[asked[-1]] == 1


async def test_workers_killed_among_canaries_leave_each_service_as_it_was_asked_for_last(
    project: Project, database: Database, cluster: SimulatedCluster, tmp_path: Path
) -> None:
    process = WorkerProcess(database, cluster, tmp_path, mode=DeploymentMode.KNATIVE)
    model, environment = await project.model(), await project.environment()
    versions = [(await project.ready_version(model, f"v{number}"))["id"] for number in range(3)]
    order = {"model_version_id": versions[0]}
    services = [
        (await project.deployed(model, environment, name=f"iris-{number}", **order))["id"] for number in range(SERVICES)
    ]
    fire = Fire(project, versions, services)
    for kill in range(KILLS):
        async with process.running() as running:
            await eventually(partial(process.has_begun, kill + 1), within=PATIENCE)
            end = asyncio.get_running_loop().time() + fire.dice.uniform(0.1, 0.8)  # the moment is what is random here
            while asyncio.get_running_loop().time() < end:
                await asyncio.gather(*(fire.ask(each) for each in fire.dice.sample(services, SERVICES // 2)))
                await asyncio.sleep(fire.dice.uniform(0, 0.1))
            running.send_signal(signal.SIGKILL)
            await running.wait()
    async with process.running():
        async with asyncio.timeout(60):
            while not all(fire.accepted[wish] for wish in WISHES):
                await fire.ask(fire.dice.choice(services))
        await eventually(partial(is_settled, project), within=PATIENCE)
        for service in services:
            made(await project.patch(f"/inference_services/{service}", {"desired_state": "DEPLOYED"}), 200)
        await eventually(partial(is_settled, project), within=PATIENCE)
        for service in services:
            await check(project, cluster, service)
