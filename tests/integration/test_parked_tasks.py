"""A task that the worker fails at through a fault of its own is set aside, seen, and decided on by an operator."""

import json
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest

from modeltrail.domain.parked_task_messages import TaskDismissed, TaskParked, TaskRetried
from modeltrail.eventlog.record import System
from modeltrail.postgres.connect import writer
from modeltrail.simulated_cluster import SimulatedCluster
from modeltrail.workers import applying
from modeltrail.workers.cluster import ClusterNotConfigured
from modeltrail.workers.manifest import DesiredService, manifest
from modeltrail.workers.options import WorkerOptions
from support.cluster import eventually
from support.command_line import modeltrail
from support.committing import address_of
from support.database import Database
from support.deploy_worker import until
from support.deploy_worker import worker as any_worker
from support.registry import Registry

worker = partial(any_worker, options=WorkerOptions(tries=2))
OPERATOR = ("--by", "ada@example.com")


class Fault:
    """A fault in the worker's code: it stumbles over the service with this name until it is mended."""

    def __init__(self, name: str, error: Exception) -> None:
        self.name = name
        self.error: Exception | None = error
        self.met = 0

    def __call__(self, desired: DesiredService) -> dict[str, Any]:  # Any: as in manifest
        if desired.name == self.name and self.error is not None:
            self.met += 1
            raise self.error
        return manifest(desired)

    def mend(self) -> None:
        self.error = None


@pytest.fixture
def fault(monkeypatch: pytest.MonkeyPatch) -> Fault:
    made = Fault("poisoned", KeyError("AKIA-a-secret"))
    monkeypatch.setattr(applying, "manifest", made)
    return made


async def listed(database: Database) -> list[dict[str, Any]]:  # Any: JSON
    code, out, _ = await modeltrail(database, "worker", "parked", "--json")  # the worker logs beside it
    assert code == 0
    found: list[dict[str, Any]] = json.loads(out)
    return found


async def test_a_task_that_keeps_failing_is_parked_and_holds_up_nobody(
    world: Registry, cluster: SimulatedCluster, database: Database, fault: Fault
) -> None:
    async with worker(world, cluster):
        poisoned = await world.deploy(name="poisoned")
        await until(world, await world.deploy(name="behind"), "DeploymentSucceeded")
        await until(world, poisoned, "TaskParked")
        await until(world, await world.deploy(name="later"), "DeploymentSucceeded")
        assert fault.met == 2

    parked = (await world.events(poisoned))[-1]
    assert isinstance(parked.event, TaskParked)
    assert (parked.event.tries, parked.context.actor) == (2, System("deploy-worker"))
    shown = (await world.service(poisoned))["last_error"]
    assert "operator" in shown
    assert "KeyError" in shown
    assert "AKIA" not in shown
    (row,) = await listed(database)
    assert (row["id"], row["wanted"], row["name"]) == (str(parked.event.task_id), "deployment", "poisoned")
    table = await modeltrail(database, "worker", "parked")
    assert str(parked.event.task_id) in table[1]


async def test_a_parked_task_stays_so_when_the_worker_is_restarted(
    world: Registry, cluster: SimulatedCluster, fault: Fault
) -> None:
    async with worker(world, cluster):
        poisoned = await world.deploy(name="poisoned")
        await until(world, poisoned, "TaskParked")
    async with worker(world, cluster):
        await until(world, await world.deploy(name="behind"), "DeploymentSucceeded")
    assert fault.met == 2
    assert (await world.event_names(poisoned))[-1] == "TaskParked"


async def test_a_retried_task_is_taken_up_at_once_and_the_log_knows_who_wanted_it(
    world: Registry, cluster: SimulatedCluster, database: Database, fault: Fault
) -> None:
    async with worker(world, cluster):
        poisoned = await world.deploy(name="poisoned")
        await until(world, poisoned, "TaskParked")
        fault.mend()
        task = (await listed(database))[0]["id"]
        done = await modeltrail(database, "worker", "retry", task, *OPERATOR, "--reason", "a new release")
        assert done[:2] == (0, f"task {task} is tried again\n")
        await until(world, poisoned, "DeploymentSucceeded")

    events = await world.events(poisoned)
    retried = next(each for each in events if isinstance(each.event, TaskRetried))
    assert isinstance(retried.event, TaskRetried)
    assert (str(retried.event.task_id), retried.event.reason) == (task, "a new release")
    assert events[-1].context.causation_id == retried.position
    shown = await modeltrail(database, "events", "show", str(retried.position))
    assert "ada@example.com" in shown[1]
    assert await listed(database) == []
    assert "last_error" not in await world.service(poisoned)


async def test_a_dismissed_deployment_has_failed_and_can_be_asked_for_anew(
    world: Registry, cluster: SimulatedCluster, database: Database, fault: Fault
) -> None:
    async with worker(world, cluster):
        poisoned = await world.deploy(name="poisoned")
        await until(world, poisoned, "TaskParked")
        task = (await listed(database))[0]["id"]
        done = await modeltrail(database, "worker", "dismiss", task, *OPERATOR, "--reason", "not needed")
        assert done[:2] == (0, f"task {task} is dismissed\n")
        again = await modeltrail(database, "worker", "dismiss", task, *OPERATOR, "--reason", "not needed")
        assert (again[0], again[1]) == (1, "")
        assert f"task {task} is not parked, or not any more" in again[2]
        await world.undeploy(poisoned)
        await until(world, poisoned, "Undeployed")

    names = await world.event_names(poisoned)
    assert names[-4:] == ["TaskDismissed", "DeploymentFailed", "UndeploymentRequested", "Undeployed"]
    dismissed = (await world.events(poisoned))[-4].event
    assert isinstance(dismissed, TaskDismissed)
    assert await listed(database) == []


async def test_a_newer_request_replaces_a_parked_one(
    world: Registry, cluster: SimulatedCluster, database: Database, fault: Fault
) -> None:
    async with worker(world, cluster):
        poisoned = await world.deploy(name="poisoned")
        await until(world, poisoned, "TaskParked")
        await world.undeploy(poisoned)
        await until(world, poisoned, "Undeployed")
    assert await listed(database) == []


async def test_a_task_that_this_version_cannot_read_is_shown_and_holds_up_nobody(
    world: Registry, cluster: SimulatedCluster, database: Database
) -> None:
    await world.deploy(name="newer")
    connection = await writer(address_of(database))()
    await connection.execute('UPDATE deployment_tasks SET body = (body::jsonb || \'{"type":"hibernate"}\')::json')
    await connection.close()
    async with worker(world, cluster):
        await until(world, await world.deploy(name="behind"), "DeploymentSucceeded")
    (row,) = await listed(database)
    assert (row["name"], row["tries"]) == ("newer", 0)
    code, _, err = await modeltrail(database, "worker", "retry", row["id"], *OPERATOR)
    assert code == 1
    assert "run a newer one" in err


async def test_a_cluster_that_cannot_be_used_just_now_parks_nothing(
    world: Registry, cluster: SimulatedCluster, fault: Fault
) -> None:
    fault.error = ClusterNotConfigured("the kubeconfig is being rewritten")
    async with worker(world, cluster):
        poisoned = await world.deploy(name="poisoned")

        async def tried() -> bool:
            return fault.met > 3

        await eventually(tried, 10.0)
        fault.mend()
        names = await until(world, poisoned, "DeploymentSucceeded")
    assert "TaskParked" not in names


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("retry", str(UUID(int=1))), 2, "--by"),
        (("dismiss", str(UUID(int=1)), *OPERATOR), 2, "--reason"),
        (("dismiss", str(UUID(int=1)), *OPERATOR, "--reason", " "), 2, "--reason must say something"),
        (("retry", "iris", *OPERATOR), 2, "not a valid UUID"),
        (("retry", str(uuid4()), *OPERATOR), 1, "is not parked"),
    ],
    ids=["by nobody", "for no reason", "for an empty reason", "no id", "not parked"],
)
async def test_a_decision_that_cannot_be_carried_out_is_explained(
    database: Database, arguments: tuple[str, ...], code: int, words: str
) -> None:
    found = await modeltrail(database, "worker", *arguments)
    assert (found[0], found[1]) == (code, "")
    assert words in found[2]


async def test_with_nothing_parked_the_table_says_so(database: Database) -> None:
    assert await modeltrail(database, "worker", "parked") == (0, "nothing is parked\n", "")
