"""Canaries over HTTP, carried out by the worker in a simulated cluster that splits traffic as KServe does."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from modeltrail.domain.serving_options import DeploymentMode
from modeltrail.simulated_cluster import Fail, Fault, SimulatedCluster
from modeltrail.workers.options import WorkerOptions
from support.api import Api, Json, Project, client_of, made, refusal, running_services
from support.cluster import RawApi, eventually
from support.database import Database
from support.deploy_worker import worker_of

NO_CANARY = "no canary of this inference service is under way; deploy a version with canary_traffic_percent first"


@pytest.fixture
async def api(database: Database) -> AsyncIterator[Api]:
    async with running_services(database) as services, client_of(services) as api:
        yield api


class Scene:
    """A service whose first version is live, a second version, and the object in the cluster."""

    def __init__(self, project: Project, raw: RawApi, service: Json, first: str, second: str) -> None:
        self.project, self.raw, self.service, self.first, self.second = project, raw, service, first, second
        self.path = f"/inference_services/{service['id']}"

    async def shown(self) -> Json:
        return made(await self.project.get(self.path), 200)

    async def object(self) -> Json:
        return (await self.raw.get("iris")).body

    async def settled(self, version: str) -> Json:
        """The service once nothing more is to be done about it and this version runs."""

        async def is_settled() -> Json | None:
            shown = await self.shown()
            states = {each["model_version_id"]: each["last_known_state"] for each in shown["served_models"]}
            busy = await self.project.services.pool.fetch("SELECT FROM deployment_tasks")
            return shown if not busy and states.get(version) == "RUNNING" else None

        return await eventually(is_settled, 10.0)

    async def gone(self) -> Json:
        """The service once nothing of it is left in the cluster."""

        async def is_gone() -> Json | None:
            shown = await self.shown()
            return shown if shown["current_state"] == "UNDEPLOYED" else None

        return await eventually(is_gone, 10.0)

    async def traffic(self) -> list[tuple[str, int]]:
        """Which revision gets how much, in percent, the newest first."""
        component = (await self.object())["status"]["components"]["predictor"]
        return [(each["revisionName"], each["percent"]) for each in component["traffic"]]

    async def topics(self) -> list[str]:
        story = made(await self.project.get(f"{self.path}/timeline?limit=100"), 200)["items"]
        return [each["type"].partition(".")[2] for each in story]


async def begun(project: Project, kubernetes: RawApi) -> Scene:
    """The first of two versions, requested; no worker is there yet."""
    model, environment = await project.model(), await project.environment()
    first = await project.ready_version(model, "v1")
    second = await project.ready_version(model, "v2", uri="s3://models/iris/2")
    service = await project.deployed(model, environment, name="iris", model_version_id=first["id"])
    return Scene(project, kubernetes, service, first["id"], second["id"])


@pytest.fixture
async def scene(
    database: Database, api: Api, project: Project, cluster: SimulatedCluster, kubernetes: RawApi
) -> AsyncIterator[Scene]:
    scene = await begun(project, kubernetes)
    knative = WorkerOptions(mode=DeploymentMode.KNATIVE)
    async with worker_of(api, database, cluster, knative):
        await scene.settled(scene.first)
        yield scene


async def with_canary(scene: Scene, percent: int = 10) -> tuple[str, Json]:
    """The revision that was live before, and the service with a canary."""
    ((stable, whole),) = await scene.traffic()
    assert whole == 100
    wish: dict[str, Any] = {"model_version_id": scene.second, "canary_traffic_percent": percent}
    made(await scene.project.patch(scene.path, wish), 200)
    return stable, await scene.settled(scene.second)


async def test_a_canary_is_live_beside_the_version_before(scene: Scene) -> None:
    stable, shown = await with_canary(scene)

    assert (shown["model_version_id"], shown["canary_traffic_percent"]) == (scene.second, 10)
    assert (shown["stable_model_version_id"], shown["current_state"]) == (scene.first, "DEPLOYED")
    assert {each["last_known_state"] for each in shown["served_models"]} == {"RUNNING"}
    assert len(shown["served_models"]) == 2
    (_, new), rest = await scene.traffic()
    assert (new, rest) == (10, (stable, 90))


async def test_a_canary_that_replaces_a_change_of_what_is_live_does_not_leave_that_pending(
    scene: Scene, cluster: SimulatedCluster
) -> None:
    cluster.faults.add(Fault(action=Fail(503, "ServiceUnavailable"), verb="apply", times=1))
    made(await scene.project.patch(scene.path, {"min_replicas": 2}), 200)
    _, shown = await with_canary(scene)

    assert {each["last_known_state"] for each in shown["served_models"]} == {"RUNNING"}
    assert [each["model_version_id"] for each in shown["served_models"]] == [scene.first, scene.second]


async def test_a_canary_that_replaces_another_leaves_nothing_of_it(scene: Scene) -> None:
    await with_canary(scene)
    third = await scene.project.ready_version({"id": scene.service["registered_model_id"]}, "v3", uri="s3://models/3")
    wish = {"model_version_id": third["id"], "canary_traffic_percent": 10}
    made(await scene.project.patch(scene.path, wish), 200)

    shown = await scene.settled(third["id"])

    served = {each["model_version_id"]: each["last_known_state"] for each in shown["served_models"]}
    assert served == {scene.first: "RUNNING", third["id"]: "RUNNING"}
    assert len(await scene.traffic()) == 2


async def test_nothing_runs_of_a_canary_whose_object_is_gone(scene: Scene, cluster: SimulatedCluster) -> None:
    await with_canary(scene)
    refusal = Fail(403, "Forbidden", "over quota")
    cluster.faults.add(Fault(action=refusal, verb="apply", times=9))
    await scene.raw.delete("iris")

    async def is_refused() -> Json | None:
        shown = await scene.shown()
        return shown if shown.get("last_error") == "over quota" else None

    shown = await eventually(is_refused, 10.0)
    assert shown["current_state"] == "UNDEPLOYED"
    assert {each["last_known_state"] for each in shown["served_models"]} == {"FAILED"}


async def test_a_canary_that_somebody_stops_is_over_and_does_not_come_back_with_all_the_traffic(scene: Scene) -> None:
    await with_canary(scene)
    await scene.raw.merge("iris", {"metadata": {"annotations": {"serving.kserve.io/stop": "true"}}})

    async def is_down() -> Json | None:
        shown = await scene.shown()
        return shown if {each["last_known_state"] for each in shown["served_models"]} == {"FAILED"} else None

    down = await eventually(is_down, 10.0)
    assert (down["current_state"], down["model_version_id"]) == ("UNDEPLOYED", scene.first)
    assert down["last_error"].startswith("somebody stopped the service")
    await scene.raw.merge("iris", {"metadata": {"annotations": {"serving.kserve.io/stop": None}}})
    shown = await scene.settled(scene.first)
    assert [each["model_version_id"] for each in shown["served_models"]] == [scene.first]
    assert [percent for _, percent in await scene.traffic()] == [100]


async def test_a_canary_whose_object_is_gone_before_it_is_applied_does_not_get_all_the_traffic(
    api: Api, project: Project, database: Database, cluster: SimulatedCluster, kubernetes: RawApi
) -> None:
    scene = await begun(project, kubernetes)
    knative = WorkerOptions(mode=DeploymentMode.KNATIVE)
    async with worker_of(api, database, cluster, knative):
        await scene.settled(scene.first)
    await kubernetes.delete("iris")

    async def is_gone() -> bool:
        return (await kubernetes.get("iris")).status == 404

    await eventually(is_gone)
    wish = {"model_version_id": scene.second, "canary_traffic_percent": 10}
    made(await project.patch(scene.path, wish), 200)

    async with worker_of(api, database, cluster, knative):
        shown = await scene.settled(scene.first)

    assert (shown["model_version_id"], shown["current_state"]) == (scene.first, "DEPLOYED")
    assert not shown.keys() & {"canary_traffic_percent", "stable_model_version_id", "last_error"}
    assert [each["model_version_id"] for each in shown["served_models"]] == [scene.first]
    labels = (await scene.object())["metadata"]["labels"]
    assert labels["modelregistry.ai-platform/model-version-id"] == scene.first
    ended = ["object_disappeared", "canary_aborted", "version_chosen", "options_chosen", "deployment_requested"]
    assert (await scene.topics())[-7:] == [*ended, "deployment_applied", "deployment_succeeded"]


async def test_a_promoted_canary_has_all_the_traffic(scene: Scene) -> None:
    await with_canary(scene)

    asked = made(await scene.project.post(f"{scene.path}/promote"), 202)
    shown = await scene.settled(scene.second)

    for each in (asked, shown):
        assert each["model_version_id"] == scene.second
        assert not {"canary_traffic_percent", "stable_model_version_id"} & each.keys()
    assert [each["model_version_id"] for each in shown["served_models"]] == [scene.second]
    ((_, percent),) = await scene.traffic()
    predictor = (await scene.object())["spec"]["predictor"]
    assert (percent, "canaryTrafficPercent" in predictor) == (100, False)
    assert (await scene.topics())[-3:] == ["canary_promoted", "deployment_requested", "deployment_succeeded"]
    assert refusal(await scene.project.post(f"{scene.path}/abort")) == (400, NO_CANARY)


async def test_a_change_right_after_an_abort_does_not_give_the_canary_the_traffic(
    scene: Scene, cluster: SimulatedCluster
) -> None:
    stable, _ = await with_canary(scene)
    cluster.faults.add(Fault(action=Fail(500, "InternalError"), verb="apply", times=3))

    made(await scene.project.post(f"{scene.path}/abort", {}), 202)
    made(await scene.project.patch(scene.path, {"labels": {"team": "botany"}}), 200)

    await scene.settled(scene.first)
    assert (await scene.object())["spec"]["predictor"]["canaryTrafficPercent"] == 0
    assert (await scene.traffic())[1] == (stable, 100)


@pytest.mark.parametrize("route", ["abort", "rollback"])
async def test_an_aborted_canary_never_gets_the_traffic_of_the_version_before(scene: Scene, route: str) -> None:
    stable, _ = await with_canary(scene, 50)

    asked = made(await scene.project.post(f"{scene.path}/{route}", {}), 202)
    shown = await scene.settled(scene.first)

    assert asked["model_version_id"] == shown["model_version_id"] == scene.first
    assert not {"canary_traffic_percent", "stable_model_version_id"} & shown.keys()
    assert [each["model_version_id"] for each in shown["served_models"]] == [scene.first]
    assert (await scene.traffic())[1] == (stable, 100)
    assert (await scene.object())["spec"]["predictor"]["model"]["storageUri"] == "s3://models/iris"
    assert "canary_aborted" in await scene.topics()
    # What is deployed next has all the traffic again.
    made(await scene.project.patch(scene.path, {"model_version_id": scene.second}), 200)
    await scene.settled(scene.second)
    ((_, percent),) = await scene.traffic()
    assert percent == 100


async def test_nothing_of_a_canary_is_shown_once_it_is_off_the_cluster(scene: Scene) -> None:
    await with_canary(scene)
    assert (await scene.project.delete(f"{scene.path}/undeploy")).status_code == 204

    shown = await scene.gone()
    assert not {"canary_traffic_percent", "stable_model_version_id"} & shown.keys()


async def test_an_undeployed_canary_is_not_what_is_deployed_next(scene: Scene) -> None:
    await with_canary(scene, 20)
    made(await scene.project.patch(scene.path, {"desired_state": "UNDEPLOYED"}), 200)
    going = await scene.shown()

    await scene.gone()
    made(await scene.project.patch(scene.path, {"desired_state": "DEPLOYED"}), 200)
    await scene.settled(scene.first)

    assert going["model_version_id"] == scene.first
    assert not {"canary_traffic_percent", "stable_model_version_id"} & going.keys()
    ((_, percent),) = await scene.traffic()
    assert percent == 100
    topics = await scene.topics()
    ended = topics.index("canary_aborted")
    assert topics[ended : ended + 4] == [
        "canary_aborted",
        "version_chosen",
        "options_chosen",
        "undeployment_requested",
    ]


async def test_a_canary_that_fails_leaves_the_version_before_alone(scene: Scene) -> None:
    ((stable, _),) = await scene.traffic()
    model = (await scene.shown())["registered_model_id"]
    broken = await scene.project.ready_version({"id": model}, "v3", uri="s3://models/simulate-fail")
    wish = {"model_version_id": broken["id"], "canary_traffic_percent": 20}
    made(await scene.project.patch(scene.path, wish), 200)

    async def failed() -> bool:
        return "last_error" in await scene.shown()

    await eventually(failed, 10.0)
    early = [
        await scene.project.post(f"{scene.path}/promote"),
        await scene.project.patch(scene.path, {"canary_traffic_percent": 100}),
        await scene.project.post(f"{scene.path}/rollback", {"model_version_id": broken["id"]}),
    ]
    not_ready = "the canary of this inference service is not ready; wait until it is, or abort it"
    assert [refusal(answer) for answer in early] == [(400, not_ready)] * 3
    made(await scene.project.post(f"{scene.path}/abort"), 202)

    shown = await scene.settled(scene.first)

    assert "last_error" not in shown
    assert (await scene.traffic())[1] == (stable, 100)


async def test_a_canary_in_standard_mode_is_refused_with_the_way_out(database: Database) -> None:
    async with running_services(database, mode=DeploymentMode.STANDARD) as services, client_of(services) as api:
        project = api.project()
        model, environment = await project.model(), await project.environment()
        await project.ready_version(model)
        service = await project.deployed(model, environment)
        ids = {"registered_model_id": model["id"], "serving_environment_id": environment["id"]}
        part = {"canary_traffic_percent": 10}

        answers = [
            await project.post("/deploy", ids | part),
            await project.post("/inference_services", {"name": "other"} | ids | part),
            await project.patch(f"/inference_services/{service['id']}", part),
        ]

    for answer in answers:
        status, message = refusal(answer)
        assert (status, message.partition(":")[0]) == (400, "invalid canary_traffic_percent")
        assert message.endswith("set KSERVE_DEPLOYMENT_MODE=Knative")


async def test_without_a_canary_there_is_nothing_to_end(scene: Scene) -> None:
    for route in ("promote", "abort"):
        assert refusal(await scene.project.post(f"{scene.path}/{route}")) == (400, NO_CANARY)
        malformed = await scene.project.post(f"/inference_services/x/{route}")
        assert refusal(malformed) == (400, "invalid inference service id")
    percent = await scene.project.patch(scene.path, {"canary_traffic_percent": 101})
    assert refusal(percent)[0] == 400
