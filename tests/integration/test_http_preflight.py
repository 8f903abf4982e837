"""What the cluster would refuse is refused at the click; a cluster that does not answer keeps nobody waiting."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest

from modeltrail.postgres.asking import Asker
from modeltrail.simulated_cluster import Fail, Fault, Hang, SimulatedCluster
from support.api import Api, Json, Project, asking_api, client_of, made, refusal
from support.cluster import RawApi, eventually, options
from support.database import Database
from support.deploy_worker import listening, worker_of

NO_SUCH_NAMESPACE = 'the cluster refuses this deployment: namespaces "models" not found'


@pytest.fixture
async def api(database: Database) -> AsyncIterator[Api]:
    """The API, with preflight."""
    async with asking_api(database) as running:
        yield running


@pytest.fixture
async def strict() -> AsyncIterator[SimulatedCluster]:
    """A cluster that has the namespace `default` only."""
    async with SimulatedCluster(options(strict_namespaces=True)) as running:
        yield running


@pytest.fixture
async def project(api: Api) -> Project:
    return api.project()


async def order(project: Project, environment: str = "models", **version: str) -> Json:
    model = await project.model()
    await project.ready_version(model, **version)
    place = await project.environment(environment)
    return {"registered_model_id": model["id"], "serving_environment_id": place["id"], "name": "iris"}


async def test_a_name_that_is_about_to_be_free_is_not_refused(
    api: Api, project: Project, database: Database, cluster: SimulatedCluster, kubernetes: RawApi
) -> None:
    wish = await order(project, uri="s3://models/simulate-never")
    async with worker_of(api, database, cluster):
        await listening(api)
        first = (await project.post("/deploy", wish)).json()["inference_service"]

        async def is_there() -> bool:
            return (await kubernetes.get("iris")).status == 200

        await eventually(is_there, 10.0)
        cluster.faults.add(Fault(action=Fail(500, "InternalError"), verb="delete", times=4))
        assert (await project.delete(f"/inference_services/{first['id']}")).status_code == 204
        answer = await project.post("/deploy", wish)
    assert answer.status_code == 202


async def test_a_namespace_that_is_not_there_is_said_at_the_click(
    api: Api, project: Project, database: Database, strict: SimulatedCluster
) -> None:
    wish = await order(project)
    async with worker_of(api, database, strict):
        await listening(api)
        events = await project.events()
        assert refusal(await project.post("/deploy", wish)) == (400, NO_SUCH_NAMESPACE)
        assert refusal(await project.post("/inference_services", wish)) == (400, NO_SUCH_NAMESPACE)
        assert await project.events() == events

        elsewhere = await project.environment("default")
        fine = await project.post("/deploy", {**wish, "serving_environment_id": elsewhere["id"]})
        assert fine.status_code == 202


@pytest.fixture
def overtaken(
    api: Api, project: Project, kubernetes: RawApi, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., list[httpx.Response]]:
    """Lets another caller's order go all the way while the next one is asked about; what that caller is answered."""

    def begin(wish: Json, **headers: str) -> list[httpx.Response]:
        ask, firsts = Asker.ask, list[httpx.Response]()

        async def is_applied() -> bool:
            return (await kubernetes.get(firsts[0].json()["inference_service"]["name"])).status == 200

        async def ask_late(asker: Asker, *question: Any) -> str | None:
            if not firsts:
                async with client_of(replace(api.services, preflight=None)) as other:
                    first = other.project()
                    first.id = project.id
                    firsts.append(await first.post("/deploy", wish, **headers))
                await eventually(is_applied, 10.0)
            return await ask(asker, *question)

        monkeypatch.setattr(Asker, "ask", ask_late)
        return firsts

    return begin


@pytest.mark.parametrize("key", [None, "order-17"])
async def test_who_comes_second_hears_of_the_first_and_not_of_that_ones_object(
    key: str | None,
    api: Api,
    project: Project,
    database: Database,
    cluster: SimulatedCluster,
    overtaken: Callable[..., list[httpx.Response]],
) -> None:
    wish, headers = await order(project), {} if key is None else {"Idempotency_Key": key}

    async with worker_of(api, database, cluster):
        await listening(api)
        firsts = overtaken(wish, **headers)
        second = await project.post("/deploy", wish, **headers)

    assert firsts[0].status_code == 202
    if key is None:
        assert refusal(second) == (409, "inference service name already exists")
    else:
        assert (second.status_code, second.text) == (202, firsts[0].text)


async def test_who_comes_second_without_a_name_gets_another_one(
    api: Api,
    project: Project,
    database: Database,
    cluster: SimulatedCluster,
    overtaken: Callable[..., list[httpx.Response]],
) -> None:
    wish = await order(project)
    del wish["name"]

    async with worker_of(api, database, cluster):
        await listening(api)
        firsts = overtaken(wish)
        second = await project.post("/deploy", wish)

    first, name = (made(each, 202)["inference_service"]["name"] for each in (*firsts, second))
    assert name == f"{first}-2"


async def test_nothing_is_created_by_asking(
    api: Api, project: Project, database: Database, cluster: SimulatedCluster, kubernetes: RawApi
) -> None:
    wish = await order(project)
    cluster.faults.add(Fault(action=Fail(403, "Forbidden", "webhook says no"), verb="apply", times=1))
    async with worker_of(api, database, cluster):
        await listening(api)
        status, message = refusal(await project.post("/deploy", wish))
        assert (status, "webhook says no" in message) == (400, True)
        assert (await kubernetes.get("iris")).status == 404
        assert (await project.get("/inference_services")).json()["total"] == 0

        assert (await project.post("/deploy", wish)).status_code == 202


async def test_a_name_that_is_somebody_elses_is_said_at_the_click(
    api: Api, project: Project, database: Database, cluster: SimulatedCluster, kubernetes: RawApi
) -> None:
    wish = await order(project)
    foreign = {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": "iris", "namespace": "models"},
        "spec": {"predictor": {"model": {"modelFormat": {"name": "sklearn"}, "storageUri": "s3://theirs"}}},
    }
    path = "/apis/serving.kserve.io/v1beta1/namespaces/models/inferenceservices"
    assert (await kubernetes.send("POST", path, foreign)).status == 201
    async with worker_of(api, database, cluster):
        await listening(api)
        status, message = refusal(await project.post("/deploy", wish))
    assert status == 400
    assert "already holds an InferenceService named 'iris' that does not belong to this service" in message


async def test_a_rollout_that_the_cluster_refuses_leaves_the_service_as_it_is(
    api: Api, project: Project, database: Database, cluster: SimulatedCluster
) -> None:
    wish = await order(project)
    async with worker_of(api, database, cluster):
        await listening(api)
        service = made(await project.post("/deploy", wish), 202)["inference_service"]
        path = f"/inference_services/{service['id']}"

        async def live() -> bool:
            return bool((await project.get(path)).json()["current_state"] == "DEPLOYED")

        await eventually(live, 10.0)
        before = (await project.get(path)).json()
        cluster.faults.add(Fault(action=Fail(422, "Invalid", "no such size"), verb="apply", times=1))
        status, message = refusal(await project.patch(path, {"min_replicas": 7}))
        assert (status, message) == (400, "the cluster refuses this deployment: no such size")
        assert (await project.get(path)).json() == before
        assert made(await project.patch(path, {"labels": {"team": "risk"}}), 200)["labels"] == {"team": "risk"}


@pytest.mark.parametrize("action", [Hang(), Fail(500, "InternalError", "down"), Fail(503, "ServiceUnavailable")])
async def test_a_cluster_that_does_not_answer_keeps_no_deployment(
    api: Api,
    project: Project,
    database: Database,
    cluster: SimulatedCluster,
    monkeypatch: pytest.MonkeyPatch,
    action: Hang | Fail,
) -> None:
    monkeypatch.setattr("modeltrail.commands.preflight.SECONDS", 0.2)
    wish = await order(project)
    async with worker_of(api, database, cluster):
        await listening(api)
        cluster.faults.add(*(Fault(action=action, verb=verb, times=99) for verb in ("get", "apply")))
        async with asyncio.timeout(10):
            assert (await project.post("/deploy", wish)).status_code == 202


async def test_without_a_worker_nobody_is_asked(api: Api, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modeltrail.postgres.asking.Asker.ask", None)  # would fail
    assert (await project.post("/deploy", await order(project))).status_code == 202


async def test_after_a_silence_nobody_is_asked_for_a_while(
    api: Api, project: Project, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    async def silent(_self: object, _channel: str, question: str, _seconds: float) -> None:
        asked.append(question)

    monkeypatch.setattr("modeltrail.postgres.asking.Asker.ask", silent)
    await api.pool.execute("INSERT INTO subscriptions (name, expires_at) VALUES ('deploy-worker', now() + '1 minute')")
    wish = await order(project)
    for name in ("one", "two", "three"):
        assert (await project.post("/deploy", {**wish, "name": name})).status_code == 202
    assert len(asked) == 1

    monkeypatch.setattr("modeltrail.commands.preflight.SILENCE", -1.0)
    api.services.preflight._silent_until = 0.0  # type: ignore[union-attr]
    for name in ("four", "five"):
        assert (await project.post("/deploy", {**wish, "name": name})).status_code == 202
    assert len(asked) == 3


async def test_the_same_request_again_is_not_asked_about(
    api: Api, project: Project, database: Database, cluster: SimulatedCluster
) -> None:
    wish = await order(project)
    async with worker_of(api, database, cluster):
        await listening(api)
        first = await project.post("/deploy", wish, Idempotency_Key="once")
        assert first.status_code == 202
        cluster.faults.add(Fault(action=Fail(403, "Forbidden", "not any more"), verb="apply", times=99))
        again = await project.post("/deploy", wish, Idempotency_Key="once")
        assert (again.status_code, again.content) == (202, first.content)


async def test_words_that_the_database_cannot_hold_are_passed_on_without_them(
    api: Api, project: Project, database: Database, cluster: SimulatedCluster
) -> None:
    wish = await order(project)
    cluster.faults.add(Fault(action=Fail(403, "Forbidden", "not\0 allowed"), verb="apply", times=1))
    async with worker_of(api, database, cluster):
        await listening(api)
        assert refusal(await project.post("/deploy", wish)) == (
            400,
            "the cluster refuses this deployment: not\ufffd allowed",
        )
        assert (await project.post("/deploy", wish)).status_code == 202


async def test_a_question_that_is_too_large_is_not_asked(
    api: Api, project: Project, database: Database, strict: SimulatedCluster
) -> None:
    wish = await order(project)
    labels = {f"label-{number}": "x" * 60 for number in range(200)}
    async with worker_of(api, database, strict):
        await listening(api)
        assert (await project.post("/deploy", {**wish, "labels": labels})).status_code == 202


async def test_what_is_refused_anyhow_is_refused_for_that(
    api: Api, project: Project, database: Database, strict: SimulatedCluster
) -> None:
    wish = await order(project)
    async with worker_of(api, database, strict):
        await listening(api)
        assert refusal(await project.post("/deploy", {**wish, "name": "Not A Name"}))[1] != NO_SUCH_NAMESPACE
