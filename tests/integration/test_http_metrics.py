"""What Prometheus is told, by a process whose database answers, and by one whose does not."""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Literal

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain

from modeltrail.commands.deployments import SUBSCRIPTION
from modeltrail.eventlog.log import lock_log, unlock_log
from modeltrail.http.app import BASE_PATH
from modeltrail.projections.checkpoint import Checkpoint
from modeltrail.projections.search import SEARCH
from modeltrail.simulated_cluster import Fail, Fault, SimulatedCluster
from modeltrail.workers import lease, session
from modeltrail.workers.lease import Lease
from support.api import Api, made
from support.cluster import eventually
from support.committing import connected, somebody_waits_for_a_lock
from support.database import Database
from support.deploy_worker import worker_of

ANN = "ann@example.org"
DURATION = "modeltrail_http_request_duration_seconds"

Verb = Literal["list", "watch"]
Labels = frozenset[tuple[str, str]]


async def measured(api: Api) -> dict[tuple[str, Labels], float]:
    """All samples, by name and labels."""
    answer = await api.client.get("/metrics")
    assert answer.status_code == 200, answer.text
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in plain(answer.text)
        for sample in family.samples
    }


def of(samples: Mapping[tuple[str, Labels], float], name: str, **labels: str) -> float | None:
    return samples.get((name, frozenset(labels.items())))


async def test_requests_are_counted_by_route_and_status_and_not_by_what_callers_choose(api: Api) -> None:
    project = api.project()
    model = made(await project.post("/models", {"name": "iris", "owner_email": ANN}, X_User_Email=ANN))
    for name in ("iris", "iris"):
        await project.post("/models", {"name": name})
    await project.get(f"/models/{model['id']}")
    await api.client.get("/no/such/path")
    await api.client.request("BREW", f"{BASE_PATH}/models")

    samples = await measured(api)

    def count(method: str, route: str, status: str) -> float | None:
        return of(samples, f"{DURATION}_count", method=method, route=route, status=status)

    assert count("POST", f"{BASE_PATH}/models", "201") == 1
    assert count("POST", f"{BASE_PATH}/models", "409") == 2
    assert count("GET", f"{BASE_PATH}/models/{{model_id}}", "200") == 1
    assert count("GET", "other", "404") == 1
    assert count("other", "other", "405") == 1
    labels = {"method": "GET", "route": "other", "status": "404"}
    assert [of(samples, f"{DURATION}_bucket", le=le, **labels) for le in ("10.0", "+Inf")] == [1, 1]
    text = (await api.client.get("/metrics")).text
    assert not any(told in text for told in (ANN, model["id"], str(project.id), "BREW", "/no/such"))


async def test_how_far_the_followers_and_the_worker_are_behind(api: Api, database: Database) -> None:
    project = api.project()
    model = await project.model()
    version = await project.ready_version(model)
    environment = await project.environment()
    body = {"registered_model_id": model["id"], "serving_environment_id": environment["id"], "name": "a"}
    made(await project.post("/deploy", body), 202)
    made(await project.post("/deploy", {**body, "name": "b", "model_version_id": version["id"]}), 202)
    async with connected(database) as connection:
        end = await connection.fetchval("SELECT max(notification_id) FROM stored_events")
        await Checkpoint(connection, SEARCH).catch_up()
        await connection.execute(
            "UPDATE deployment_tasks SET parked = '{}' WHERE requested_position = $1",
            await connection.fetchval("SELECT min(requested_position) FROM deployment_tasks"),
        )
        await connection.execute("UPDATE projections SET failed_position = 1 WHERE name = 'activity'")

    samples = await measured(api)

    assert of(samples, "modeltrail_database_up") == 1
    assert of(samples, "modeltrail_commands_waiting") == 0
    assert of(samples, "modeltrail_log_position") == end
    assert of(samples, "modeltrail_projection_lag_events", projection="activity") == end
    assert of(samples, "modeltrail_projection_lag_events", projection="search") == 0
    assert (of(samples, "modeltrail_projection_lag_seconds", projection="activity") or 0) > 0
    assert of(samples, "modeltrail_projection_lag_seconds", projection="search") == 0
    assert of(samples, "modeltrail_projection_stuck", projection="activity") == 1
    assert of(samples, "modeltrail_projection_stuck", projection="search") == 0
    assert of(samples, "modeltrail_deployment_tasks", state="open") == 1
    assert of(samples, "modeltrail_deployment_tasks", state="parked") == 1
    age = of(samples, "modeltrail_deployment_task_oldest_seconds") or 0
    lag = of(samples, "modeltrail_projection_lag_seconds", projection="activity") or 0
    assert 0 < age < lag


async def test_whether_a_deploy_worker_is_there(api: Api, database: Database) -> None:
    assert of(await measured(api), "modeltrail_deploy_worker_up") == 0
    async with connected(database) as connection:
        held = Lease(connection, SUBSCRIPTION, "a worker")
        await held.acquire()
        assert of(await measured(api), "modeltrail_deploy_worker_up") == 1

        await held.release()

    assert of(await measured(api), "modeltrail_deploy_worker_up") == 0


@pytest.mark.parametrize("verb", ["list", "watch"])
@pytest.mark.parametrize("fault", [Fail(401, "Unauthorized"), Fail(403, "Forbidden"), Fail(503, "ServiceUnavailable")])
async def test_whether_the_cluster_answers_the_deploy_worker(
    api: Api, database: Database, cluster: SimulatedCluster, monkeypatch: pytest.MonkeyPatch, verb: Verb, fault: Fail
) -> None:
    monkeypatch.setattr(lease, "RENEWAL_SECONDS", 0.02)
    monkeypatch.setattr(session, "REFUSED_PAUSE", 0.1)

    async def is_told(answers: bool) -> bool:
        samples = await measured(api)
        ups = [of(samples, f"modeltrail_{name}_up") for name in ("deploy_worker", "cluster")]
        return ups == [1, float(answers)]

    assert of(await measured(api), "modeltrail_cluster_up") == 0
    async with worker_of(api, database, cluster):
        await eventually(partial(is_told, answers=True))
        cluster.faults.add(Fault(action=fault, verb=verb, times=1000))
        cluster.drop_watches()
        await eventually(partial(is_told, answers=False))
        cluster.faults.clear()
        await eventually(partial(is_told, answers=True), 15.0)

    assert of(await measured(api), "modeltrail_cluster_up") == 0


async def test_without_the_database_the_process_still_tells_of_itself(api: Api) -> None:
    await api.project().model()
    await api.pool.close()

    samples = await measured(api)

    assert of(samples, "modeltrail_database_up") == 0
    assert of(samples, f"{DURATION}_count", method="POST", route=f"{BASE_PATH}/models", status="201") == 1
    assert not any(
        name.startswith(("modeltrail_log", "modeltrail_projection", "modeltrail_dep")) for name, _ in samples
    )


async def test_who_prefers_openmetrics_gets_it(api: Api) -> None:
    answer = await api.client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})

    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert "modeltrail_log_position" in {
        family.name
        for family in openmetrics(answer.text)  # type: ignore[no-untyped-call] # it has no types
    }


async def test_who_prefers_a_version_that_there_cannot_be_gets_the_usual_format(api: Api) -> None:
    answer = await api.client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=newest"})

    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, "text/plain")


async def test_commands_wait_until_they_are_answered_also_in_a_batch(api: Api, database: Database) -> None:
    project = api.project()
    async with connected(database) as other:
        await lock_log(other, held=False)
        writing = [asyncio.create_task(project.model(name)) for name in ("iris", "rose")]
        assert await eventually(partial(somebody_waits_for_a_lock, database))  # with what it has taken from the queue

        assert of(await measured(api), "modeltrail_commands_waiting") == len(writing)

        await unlock_log(other)
        await asyncio.gather(*writing)
    assert of(await measured(api), "modeltrail_commands_waiting") == 0
