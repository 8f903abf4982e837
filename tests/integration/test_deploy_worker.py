"""The deploy worker with a real database and the real Kubernetes client, against the simulated cluster."""

import asyncio
from dataclasses import replace
from uuid import uuid4

import asyncpg
import pytest

from modeltrail.commands import inference_services
from modeltrail.commands.deployments import Cluster, Undeploy
from modeltrail.domain.ids import DeploymentId, EnvironmentId, ModelId, ServiceId
from modeltrail.domain.inference_service_messages import (
    DeploymentFailed,
    DeploymentRequested,
    DeploymentSucceeded,
    ServiceCreated,
)
from modeltrail.eventlog.log import LOCK
from modeltrail.eventlog.record import System
from modeltrail.postgres.connect import WRITER_SETTINGS, writer
from modeltrail.simulated_cluster import Delay, Fail, Fault, Reset, SimulatedCluster, objects
from modeltrail.workers import settling, task_runner
from modeltrail.workers.options import WorkerOptions
from support.cluster import QUICK, SERVICES, Json, RawApi, eventually, options, raw_api, service
from support.committing import address_of, somebody_waits_for_a_lock
from support.database import Database
from support.deploy_worker import until, worker
from support.registry import Registry


async def test_a_requested_deployment_becomes_deployed(world: Registry, cluster: SimulatedCluster) -> None:
    async with worker(world, cluster):
        deployed = await world.deploy(name="iris")
        names = await until(world, deployed, "DeploymentSucceeded")
    assert names == ["ServiceCreated", "DeploymentRequested", "DeploymentApplied", "DeploymentSucceeded"]
    shown = await world.service(deployed)
    assert shown["current_state"] == "DEPLOYED"
    assert shown["url"].startswith("http://iris.ns-")
    assert shown["served_models"][0]["last_known_state"] == "RUNNING"


async def test_the_cluster_s_answer_names_the_request_that_caused_it(
    world: Registry, cluster: SimulatedCluster
) -> None:
    async with worker(world, cluster):
        deployed = await world.deploy()
        await until(world, deployed, "DeploymentSucceeded")
    events = await world.events(deployed)
    request = next(each for each in events if isinstance(each.event, DeploymentRequested))
    answer = next(each for each in events if isinstance(each.event, DeploymentSucceeded))
    assert answer.context.causation_id == request.position
    assert answer.context.request_id == "the-click"
    assert answer.context.actor == System("deploy-worker")


async def test_a_request_made_before_the_worker_started_is_carried_out(
    world: Registry, cluster: SimulatedCluster
) -> None:
    deployed = await world.deploy()
    async with worker(world, cluster):
        await until(world, deployed, "DeploymentSucceeded")


async def test_a_model_that_cannot_be_loaded_fails_with_kserve_s_reason(
    world: Registry, cluster: SimulatedCluster
) -> None:
    async with worker(world, cluster):
        deployed = await world.deploy(uri="s3://models/simulate-fail")
        await until(world, deployed, "DeploymentFailed")
    failed = (await world.events(deployed))[-1].event
    assert isinstance(failed, DeploymentFailed)
    assert failed.reason == "ModelLoadFailed"
    shown = await world.service(deployed)
    assert shown["current_state"] == "UNDEPLOYED"
    assert shown["last_error"] == failed.message
    assert shown["served_models"][0]["last_known_state"] == "FAILED"


NO_RIGHT = (
    'inferenceservices.serving.kserve.io "iris" is forbidden: User "system:serviceaccount:modeltrail:modeltrail-worker"'
    ' cannot get resource "inferenceservices" in API group "serving.kserve.io" in the namespace "models"'
)


async def test_an_api_server_that_has_just_started_forbids_everything_for_a_moment(
    world: Registry, cluster: SimulatedCluster
) -> None:
    cluster.faults.add(Fault(action=Fail(403, "Forbidden", NO_RIGHT), verb="get", times=3))
    async with worker(world, cluster):
        deployed = await world.deploy()
        names = await until(world, deployed, "DeploymentSucceeded")
    assert "DeploymentFailed" not in names


async def test_a_right_that_the_worker_lacks_for_longer_fails_the_deployment(
    world: Registry, cluster: SimulatedCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_runner, "FORBIDDEN_SECONDS", 0.3)
    cluster.faults.add(Fault(action=Fail(403, "Forbidden", NO_RIGHT), verb="get", times=99))
    async with worker(world, cluster):
        deployed = await world.deploy()
        await until(world, deployed, "DeploymentFailed")
    assert (await world.service(deployed))["last_error"] == NO_RIGHT


async def test_a_deployment_that_does_not_get_ready_in_time_has_failed_until_it_is_after_all(world: Registry) -> None:
    slow = replace(QUICK, slow_after=1.5)
    impatient = WorkerOptions(ready_seconds=0.2, resync_seconds=0.1)
    async with SimulatedCluster(options(timing=slow)) as cluster, worker(world, cluster, impatient):
        deployed = await world.deploy(uri="s3://models/simulate-slow")
        await until(world, deployed, "DeploymentFailed")
        shown = await world.service(deployed)
        await until(world, deployed, "DeploymentFailed", "ServiceRecovered")
    said = "KServe says that the service is not ready: Deployment does not have minimum availability."
    assert shown["last_error"] == f"not ready within 0:00:00.200000; {said} (NotReadyInTime)"
    assert (await world.service(deployed))["current_state"] == "DEPLOYED"


async def rolled_out_within_a_second(
    world: Registry, kubernetes: RawApi, monkeypatch: pytest.MonkeyPatch, uri: str
) -> tuple[ServiceId, str]:
    """A live service on which another version is rolled out, and its namespace. The cluster writes one time on all."""
    service = await world.deploy(name="iris")
    await until(world, service, "DeploymentSucceeded")
    created = (await world.events(service))[0].event
    assert isinstance(created, ServiceCreated)
    monkeypatch.setattr(objects, "_moment", lambda: "2030-01-01T00:00:00Z")
    path = f"{SERVICES.format(created.serving_environment_name)}/iris"
    whole = (await kubernetes.send("GET", path)).body
    whole["status"]["url"] = "http://iris.example"
    assert (await kubernetes.send("PUT", f"{path}/status", whole)).status == 200
    version = await world.another_version(created.registered_model_id, uri)
    await world.roll_out(service, version)
    return service, created.serving_environment_name


async def test_a_status_written_in_the_second_of_a_roll_out_says_nothing_of_it(
    world: Registry, cluster: SimulatedCluster, kubernetes: RawApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with worker(world, cluster):
        service, namespace = await rolled_out_within_a_second(
            world, kubernetes, monkeypatch, "s3://models/simulate-never"
        )

        async def rolls_out() -> bool:
            found = (await kubernetes.get("iris", namespace)).body
            return bool(found["status"]["modelStatus"]["transitionStatus"] == "InProgress")

        await eventually(rolls_out)
        assert (await world.event_names(service))[-1] == "DeploymentRequested"


async def test_a_status_of_that_second_counts_when_it_is_the_last_word(
    world: Registry, cluster: SimulatedCluster, kubernetes: RawApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settling, "SETTLING_SECONDS", 0.3)
    async with worker(world, cluster):
        service, _ = await rolled_out_within_a_second(world, kubernetes, monkeypatch, "s3://models/better")
        await until(world, service, "DeploymentRequested", "DeploymentSucceeded")


async def test_a_status_that_names_the_revision_of_before_says_nothing_of_a_roll_out(world: Registry) -> None:
    slow_to_notice = replace(QUICK, linger=60)
    async with (
        SimulatedCluster(options(timing=slow_to_notice)) as cluster,
        raw_api(cluster) as kubernetes,
        worker(world, cluster),
    ):
        model, _ = await world.ready_version()
        service = await world.deploy_to(model, await world.environment(), "iris")
        await until(world, service, "DeploymentSucceeded")
        await world.roll_out(service, await world.another_version(model, "s3://models/better"))
        path = f"{SERVICES.format('models')}/iris"

        async def applied() -> Json | None:
            found = (await kubernetes.send("GET", path)).body
            is_better = found["spec"]["predictor"]["model"]["storageUri"] == "s3://models/better"
            return found if is_better else None

        async def say(url: str, revision: str) -> None:
            found = await eventually(applied)
            predictor = {"latestCreatedRevision": revision, "latestReadyRevision": revision}
            status = found["status"] | {"url": url, "components": {"predictor": predictor}}
            assert (await kubernetes.send("PUT", f"{path}/status", found | {"status": status})).status == 200

        before = (await eventually(applied))["status"]["components"]["predictor"]["latestCreatedRevision"]
        await say("http://of-before", before)
        await asyncio.sleep(0.3)  # for the watch to tell of it
        await say("http://of-after", "another")
        await until(world, service, "DeploymentRequested", "DeploymentSucceeded")
    assert (await world.service(service))["url"] == "http://of-after"


async def test_a_roll_out_that_makes_no_progress_fails_when_kubernetes_gives_it_up(world: Registry) -> None:
    impatient = replace(QUICK, progress_deadline=0.05)
    async with SimulatedCluster(options(timing=impatient)) as cluster, worker(world, cluster):
        model, _ = await world.ready_version()
        service = await world.deploy_to(model, await world.environment(), "iris")
        await until(world, service, "DeploymentSucceeded")
        await world.roll_out(service, await world.another_version(model, "s3://models/simulate-never"))
        await until(world, service, "DeploymentFailed")
    shown = await world.service(service)
    assert "timed out progressing" in shown["last_error"]
    assert "ProgressDeadlineExceeded" in shown["last_error"]


async def test_a_status_of_that_second_that_is_seen_while_the_apply_is_reported_is_looked_at_again(
    world: Registry,
    cluster: SimulatedCluster,
    kubernetes: RawApi,
    connection: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(settling, "SETTLING_SECONDS", 0.3)
    async with worker(world, cluster):
        deployed = await world.deploy(name="iris")
        await until(world, deployed, "DeploymentSucceeded")
        created = (await world.events(deployed))[0].event
        assert isinstance(created, ServiceCreated)
        monkeypatch.setattr(objects, "_moment", lambda: "2030-01-01T00:00:00Z")
        cluster.faults.add(Fault(action=Delay(0.5), verb="apply", times=1))
        await world.roll_out(deployed, await world.another_version(created.registered_model_id, "s3://models/better"))
        # Whoever holds the log's lock keeps the worker at its report.
        await connection.execute(f"SELECT pg_advisory_lock({LOCK})")

        async def serves_the_better_one() -> bool:
            found = (await kubernetes.get("iris", created.serving_environment_name)).body
            is_better = found["spec"]["predictor"]["model"]["storageUri"] == "s3://models/better"
            return bool(is_better and found["status"]["modelStatus"]["transitionStatus"] == "UpToDate")

        async def is_reported() -> bool:
            return await somebody_waits_for_a_lock(world.database)

        await eventually(is_reported)
        await eventually(serves_the_better_one)
        await asyncio.sleep(0.2)  # for the watch to tell of it
        await connection.execute(f"SELECT pg_advisory_unlock({LOCK})")
        await until(world, deployed, "DeploymentRequested", "DeploymentSucceeded")


async def test_a_refusal_fails_the_deployment_once(world: Registry, cluster: SimulatedCluster) -> None:
    refusal = Fail(403, "Forbidden", "admission webhook denied the request")
    cluster.faults.add(Fault(action=refusal, verb="apply", times=1))
    async with worker(world, cluster):
        deployed = await world.deploy()
        names = await until(world, deployed, "DeploymentFailed")
    assert names.count("DeploymentFailed") == 1
    assert "denied" in (await world.service(deployed))["last_error"]


async def test_a_refusal_in_words_that_the_database_cannot_hold_fails_the_deployment(
    world: Registry, cluster: SimulatedCluster
) -> None:
    cluster.faults.add(Fault(action=Fail(403, "Forbidden", "not\0 allowed"), verb="apply", times=1))
    async with worker(world, cluster):
        deployed = await world.deploy()
        await until(world, deployed, "DeploymentFailed")
    assert "not\ufffd allowed" in (await world.service(deployed))["last_error"]


async def test_a_cluster_that_is_down_is_tried_again(world: Registry, cluster: SimulatedCluster) -> None:
    cluster.faults.add(Fault(action=Fail(500, "InternalError", "etcd is gone"), verb="apply", times=2))
    cluster.faults.add(Fault(action=Reset(), verb="apply", times=2))
    async with worker(world, cluster):
        deployed = await world.deploy()
        names = await until(world, deployed, "DeploymentSucceeded", within=20)
    assert names.count("DeploymentSucceeded") == 1


async def test_another_s_object_of_the_same_name_is_left_alone(world: Registry, cluster: SimulatedCluster) -> None:
    model, _ = await world.ready_version()
    environment = await world.environment("models")
    async with raw_api(cluster) as api:
        theirs = (await api.create(service("iris", uri="s3://theirs"))).body
        async with worker(world, cluster):
            deployed = await world.deploy_to(model, environment, "iris")
            await until(world, deployed, "DeploymentFailed")
        assert (await api.get("iris")).body["spec"] == theirs["spec"]


async def test_a_name_is_free_once_the_object_of_a_deleted_service_is_gone(
    world: Registry, cluster: SimulatedCluster, kubernetes: RawApi
) -> None:
    cluster.faults.add(Fault(action=Fail(500, "InternalError"), verb="delete", times=2))
    async with worker(world, cluster):
        first, environment, model = await deleted(world, kubernetes)
        second = await world.deploy_to(model, environment, "iris")
        await until(world, second, "DeploymentRequested", "DeploymentApplied")
        await until(world, first, "ServiceDeleted", "Undeployed")


async def test_a_name_whose_object_does_not_go_fails_the_deployment_and_names_the_finalizer(
    world: Registry, cluster: SimulatedCluster, kubernetes: RawApi
) -> None:
    async with worker(world, cluster, WorkerOptions(stall_seconds=0.5)):
        _, environment, model = await deleted(world, kubernetes, "example.org/hold")
        second = await world.deploy_to(model, environment, "iris")
        await until(world, second, "DeploymentRequested", "DeploymentFailed")
    assert "example.org/hold" in (await world.service(second))["last_error"]


async def deleted(world: Registry, kubernetes: RawApi, *finalizers: str) -> tuple[ServiceId, EnvironmentId, ModelId]:
    """A service that was deleted while its object is in the cluster, with where and of what model it was."""
    service = await world.deploy(name="iris", uri="s3://models/simulate-never")
    await until(world, service, "DeploymentApplied")
    created = (await world.events(service))[0].event
    assert isinstance(created, ServiceCreated)
    await kubernetes.merge("iris", {"metadata": {"finalizers": finalizers}}, created.serving_environment_name)
    wish = inference_services.Delete(
        project_id=world.project,
        service_id=service,
        undeployment_id=DeploymentId(uuid4()),
        cluster=Cluster.CONFIGURED,
    )
    await world.submit(wish)
    return service, created.serving_environment_id, created.registered_model_id


async def test_an_undeployment_is_done_when_the_object_is_gone(world: Registry, cluster: SimulatedCluster) -> None:
    async with worker(world, cluster), raw_api(cluster) as api:
        deployed = await world.deploy(name="iris")
        await until(world, deployed, "DeploymentSucceeded")
        await world.undeploy(deployed)
        names = await until(world, deployed, "Undeployed")
        namespace = (await world.service(deployed))["serving_environment_name"]
        assert (await api.get("iris", namespace)).status == 404
    assert names[-2:] == ["UndeploymentRequested", "Undeployed"]
    shown = await world.service(deployed)
    assert shown["current_state"] == "UNDEPLOYED"
    assert "url" not in shown
    assert "external_id" not in shown


async def test_an_undeployment_overtakes_a_deployment_that_never_gets_ready(
    world: Registry, cluster: SimulatedCluster
) -> None:
    async with worker(world, cluster):
        deployed = await world.deploy(uri="s3://models/simulate-never")
        await until(world, deployed, "DeploymentApplied")
        await world.undeploy(deployed)
        await until(world, deployed, "Undeployed")


async def test_a_restarted_worker_finds_the_verdict_that_it_missed(world: Registry, cluster: SimulatedCluster) -> None:
    async with worker(world, cluster):
        deployed = await world.deploy(uri="s3://models/simulate-slow")
        await until(world, deployed, "DeploymentApplied")
    async with worker(world, cluster, owner="successor"):
        names = await until(world, deployed, "DeploymentSucceeded")
    assert names == ["ServiceCreated", "DeploymentRequested", "DeploymentApplied", "DeploymentSucceeded"]


async def test_of_two_workers_one_works(world: Registry, cluster: SimulatedCluster) -> None:
    async with worker(world, cluster, owner="first"), worker(world, cluster, owner="second"):
        deployed = [await world.deploy() for _ in range(5)]
        for each in deployed:
            assert (await until(world, each, "DeploymentSucceeded")).count("DeploymentSucceeded") == 1
    async with raw_api(cluster) as api:
        listed = await api.send("GET", "/apis/serving.kserve.io/v1beta1/inferenceservices")
    assert len(listed.body["items"]) == 5


async def test_the_second_worker_takes_over_at_once_when_the_first_dies(
    world: Registry, cluster: SimulatedCluster, database: Database
) -> None:
    async with worker(world, cluster, owner="first"):
        await until(world, await world.deploy(), "DeploymentSucceeded")
    async with worker(world, cluster, owner="second"):
        await until(world, await world.deploy(), "DeploymentSucceeded", within=5)


async def test_a_lost_database_connection_is_survived(
    world: Registry, cluster: SimulatedCluster, database: Database
) -> None:
    async with worker(world, cluster):
        await until(world, await world.deploy(), "DeploymentSucceeded")
        connection = await writer(address_of(database))()
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        await connection.close()
        await until(world, await world.deploy(), "DeploymentSucceeded")


async def test_a_statement_that_the_database_gives_up_does_not_end_the_worker(
    world: Registry, cluster: SimulatedCluster, connection: asyncpg.Connection, database: Database
) -> None:
    async with worker(world, cluster):
        await until(world, await world.deploy(), "DeploymentSucceeded")
        await connection.execute("BEGIN; LOCK TABLE deployment_tasks")
        other = await writer(address_of(database))()

        async def given_up() -> bool:
            cancelled: int = await other.fetchval(
                "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            return cancelled > 0

        await eventually(given_up)
        await connection.execute("ROLLBACK")
        await until(world, await world.deploy(), "DeploymentSucceeded")
        await other.close()


async def test_a_worker_that_nobody_asks_anything_for_long_keeps_its_lease(
    world: Registry,
    cluster: SimulatedCluster,
    database: Database,
    connection: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(WRITER_SETTINGS, "idle_session_timeout", "300ms")
    async with worker(world, cluster):
        await until(world, await world.deploy(), "DeploymentSucceeded")
        other = await writer(address_of(database))()

        async def has_ended() -> bool:
            closed: bool = other.is_closed()
            return closed

        await eventually(has_ended)
        await until(world, await world.deploy(), "DeploymentSucceeded")
    assert await connection.fetchval("SELECT epoch FROM subscriptions") == 1


async def test_an_object_that_vanishes_before_the_verdict_is_applied_again(
    world: Registry, cluster: SimulatedCluster
) -> None:
    async with worker(world, cluster), raw_api(cluster) as api:
        deployed = await world.deploy(uri="s3://models/simulate-slow", name="iris")
        await until(world, deployed, "DeploymentApplied")
        namespace = (await world.service(deployed))["serving_environment_name"]
        await api.delete("iris", namespace)
        names = await until(world, deployed, "DeploymentSucceeded")
    assert names.count("DeploymentApplied") == 2, "each object is told of, as it has a UID of its own"
    assert len(cluster.requests.all("apply", "iris")) == 2


async def test_without_a_cluster_an_undeployment_requested_earlier_ends_at_once(world: Registry) -> None:
    deployed = await world.deploy()
    await world.undeploy(deployed)
    command = Undeploy(
        project_id=world.project,
        service_id=deployed,
        undeployment_id=DeploymentId(uuid4()),
        cluster=Cluster.NONE,
    )
    await world.submit(command)
    assert (await world.event_names(deployed))[-2:] == ["UndeploymentRequested", "Undeployed"]
