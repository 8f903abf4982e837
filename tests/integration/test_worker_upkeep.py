"""What becomes of deployments after their answer, seen by the worker in the simulated cluster."""

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest

from modeltrail.domain.ids import ModelId, ServiceId, VersionId
from modeltrail.domain.inference_service_facts import ObjectDrifted, ServiceInterrupted, UndeploymentStalled
from modeltrail.domain.serving_options import ServingOptions
from modeltrail.simulated_cluster import ExpireHistory, Fail, Fault, Reset, SimulatedCluster, TearWatch
from modeltrail.simulated_cluster.faults import Action
from modeltrail.workers import repairs
from modeltrail.workers.manifest import SERVICE_ID, VERSION_ID
from modeltrail.workers.options import OnDrift, WorkerOptions
from support.cluster import SERVICES, RawApi, eventually, options, raw_api
from support.committing import connected
from support.database import Database
from support.deploy_worker import until, worker
from support.registry import Registry, registry

REPORT = WorkerOptions(on_drift=OnDrift.REPORT)
MERGE = "application/merge-patch+json"
MADE_ANEW = ("ObjectDisappeared", "DeploymentRequested", "DeploymentApplied", "DeploymentSucceeded")


@pytest.fixture
def api(kubernetes: RawApi) -> RawApi:
    return kubernetes


async def live(
    world: Registry, uri: str = "s3://models/iris", last: str = "DeploymentSucceeded"
) -> tuple[ServiceId, str]:
    """A deployed service, and its namespace."""
    deployed = await world.deploy(name="iris", uri=uri)
    await until(world, deployed, last)
    return deployed, (await world.service(deployed))["serving_environment_name"]


async def set_status(api: RawApi, namespace: str, change: Callable[[dict[str, Any]], None]) -> None:  # Any: JSON
    path = f"{SERVICES.format(namespace)}/iris"
    whole = (await api.send("GET", path)).body
    change(whole["status"])
    assert (await api.send("PUT", f"{path}/status", whole)).status == 200


def ready(is_ready: bool, reason: str = "") -> Callable[[dict[str, Any]], None]:
    def change(status: dict[str, Any]) -> None:  # Any: JSON
        status["conditions"] = [{"type": "Ready", "status": str(is_ready), "reason": reason, "message": reason}]
        status["modelStatus"] = {"transitionStatus": "UpToDate"}
        status["url"] = "http://iris.example"
        if is_ready:
            predictor = status["components"]["predictor"]
            predictor["latestReadyRevision"] = predictor["latestCreatedRevision"]

    return change


def blocked(status: dict[str, Any]) -> None:  # Any: JSON
    status["conditions"] = [{"type": "Ready", "status": "False", "reason": "ModelLoadFailed"}]
    failure = {"reason": "OOMKilled", "message": "the container ran out of memory", "exitCode": 137}
    status["modelStatus"] = {"transitionStatus": "BlockedByFailedLoad", "lastFailureInfo": failure}


async def patch(api: RawApi, namespace: str, body: object) -> None:
    answer = await api.send("PATCH", f"{SERVICES.format(namespace)}/iris", body, content_type=MERGE)
    assert answer.status == 200


async def delete_for_good(api: RawApi, namespace: str) -> None:
    """Delete the object, and wait until it is gone."""
    await api.delete("iris", namespace)

    async def gone() -> bool:
        return (await api.get("iris", namespace)).status == 404

    await eventually(gone)


async def test_a_live_service_that_is_not_ready_any_more_is_told_and_so_is_its_return(
    world: Registry, cluster: SimulatedCluster, api: RawApi
) -> None:
    async with worker(world, cluster):
        deployed, namespace = await live(world)
        await set_status(api, namespace, ready(False, "MinimumReplicasUnavailable"))
        await until(world, deployed, "ServiceInterrupted")
        shown = await world.service(deployed)
        assert shown["current_state"] == "UNDEPLOYED"
        assert shown["desired_state"] == "DEPLOYED"
        assert "MinimumReplicasUnavailable" in shown["last_error"]
        assert shown["served_models"][0]["last_known_state"] == "FAILED"

        await set_status(api, namespace, ready(True))
        await until(world, deployed, "ServiceInterrupted", "ServiceRecovered")
    shown = await world.service(deployed)
    assert (shown["current_state"], shown["url"]) == ("DEPLOYED", "http://iris.example")
    assert "last_error" not in shown
    assert shown["served_models"][0]["last_known_state"] == "RUNNING"


async def test_a_service_that_somebody_stopped_says_so_and_is_not_waited_for(
    world: Registry, cluster: SimulatedCluster, api: RawApi
) -> None:
    stop = "serving.kserve.io/stop"
    async with worker(world, cluster):
        deployed, namespace = await live(world)
        await patch(api, namespace, {"metadata": {"annotations": {stop: "true"}}})
        await until(world, deployed, "ServiceInterrupted")
        assert stop in (await world.service(deployed))["last_error"]

        await roll_out(world, deployed)
        await until(world, deployed, "DeploymentFailed")
        shown = await world.service(deployed)
        assert shown["current_state"] == "UNDEPLOYED"
        assert stop in shown["last_error"]

        await patch(api, namespace, {"metadata": {"annotations": {stop: None}}})
        await until(world, deployed, "ServiceRecovered")
    assert (await world.service(deployed))["current_state"] == "DEPLOYED"


async def test_a_live_model_that_cannot_be_loaded_again_says_why_in_words(
    world: Registry, cluster: SimulatedCluster, api: RawApi
) -> None:
    async with worker(world, cluster):
        deployed, namespace = await live(world)
        await set_status(api, namespace, blocked)
        await until(world, deployed, "ServiceInterrupted")
    interrupted = (await world.events(deployed))[-1].event
    assert isinstance(interrupted, ServiceInterrupted)
    assert interrupted.reason == "OOMKilled"
    assert (await world.service(deployed))["last_error"] == (
        "the container ran out of memory (OOMKilled, exit code 137)"
    )


async def test_a_failed_deployment_that_becomes_ready_after_all_is_deployed(
    world: Registry, cluster: SimulatedCluster, api: RawApi
) -> None:
    async with worker(world, cluster):
        deployed, namespace = await live(world, "s3://models/simulate-fail", "DeploymentFailed")
        assert "exit code 1" in (await world.service(deployed))["last_error"]
        await set_status(api, namespace, ready(True))
        await until(world, deployed, "DeploymentFailed", "ServiceRecovered")
    shown = await world.service(deployed)
    assert shown["current_state"] == "DEPLOYED"
    assert "last_error" not in shown


async def test_what_serves_on_after_a_refused_roll_out_is_watched_as_before(
    world: Registry, cluster: SimulatedCluster, api: RawApi
) -> None:
    async with worker(world, cluster):
        deployed, namespace = await live(world)
        cluster.faults.add(Fault(action=Fail(403, "Forbidden", "over quota"), verb="apply", times=1))
        await roll_out(world, deployed)
        await until(world, deployed, "DeploymentRequested", "DeploymentFailed")
        refused = await world.service(deployed)
        assert (refused["current_state"], states(refused)) == ("DEPLOYED", ["RUNNING", "FAILED"])

        await set_status(api, namespace, ready(False, "MinimumReplicasUnavailable"))
        await until(world, deployed, "EarlierVersionInterrupted")
        shown = await world.service(deployed)
        assert (shown["current_state"], states(shown)) == ("UNDEPLOYED", ["FAILED", "FAILED"])
        assert shown["last_error"].startswith(refused["last_error"])
        assert "MinimumReplicasUnavailable" in shown["last_error"]

        await set_status(api, namespace, ready(True))
        await until(world, deployed, "EarlierVersionRecovered")
    shown = await world.service(deployed)
    assert (shown["current_state"], shown["url"]) == ("DEPLOYED", "http://iris.example")
    assert (shown["last_error"], states(shown)) == (refused["last_error"], ["RUNNING", "FAILED"])


async def test_an_outage_while_no_worker_ran_of_what_serves_on_is_found_by_the_next(
    world: Registry, cluster: SimulatedCluster, api: RawApi
) -> None:
    async with worker(world, cluster):
        deployed, namespace = await live(world)
        cluster.faults.add(Fault(action=Fail(403, "Forbidden", "over quota"), verb="apply", times=1))
        await roll_out(world, deployed)
        await until(world, deployed, "DeploymentRequested", "DeploymentFailed")
    await set_status(api, namespace, ready(False, "MinimumReplicasUnavailable"))
    async with worker(world, cluster):
        await until(world, deployed, "EarlierVersionInterrupted")


async def test_a_failed_roll_out_that_serves_after_all_is_told_though_another_was_refused_since(
    world: Registry, cluster: SimulatedCluster, api: RawApi
) -> None:
    async with worker(world, cluster):
        deployed, namespace = await live(world)
        await roll_out(world, deployed, "s3://models/simulate-fail")
        await until(world, deployed, "DeploymentRequested", "DeploymentFailed")
        cluster.faults.add(Fault(action=Fail(403, "Forbidden", "over quota"), verb="apply", times=1))
        await roll_out(world, deployed)
        await until(world, deployed, "DeploymentRequested", "DeploymentFailed")
        assert states(await world.service(deployed)) == ["RUNNING", "FAILED", "FAILED"]

        await set_status(api, namespace, ready(True))
        await until(world, deployed, "EarlierVersionRecovered", "ServeModelRemoved")
        shown = await world.service(deployed)
        assert (shown["current_state"], states(shown)) == ("DEPLOYED", ["RUNNING", "FAILED"])
        labels = (await api.get("iris", namespace)).body["metadata"]["labels"]
        assert shown["served_models"][0]["model_version_id"] == labels[VERSION_ID]

        await set_status(api, namespace, ready(False, "MinimumReplicasUnavailable"))
        await until(world, deployed, "EarlierVersionInterrupted")
    assert (await world.service(deployed))["current_state"] == "UNDEPLOYED"


async def test_what_serves_on_is_running_though_a_change_of_it_was_replaced_by_a_roll_out_that_is_refused(
    world: Registry, cluster: SimulatedCluster
) -> None:
    async with worker(world, cluster):
        deployed, _ = await live(world)
    version = VersionId(UUID((await world.service(deployed))["model_version_id"]))
    await world.roll_out(deployed, version, ServingOptions(min_replicas=2))
    await roll_out(world, deployed)
    cluster.faults.add(Fault(action=Fail(403, "Forbidden", "over quota"), verb="apply", times=1))
    async with worker(world, cluster):
        await until(world, deployed, "DeploymentFailed", "EarlierVersionRecovered")
    shown = await world.service(deployed)
    assert (shown["current_state"], states(shown)) == ("DEPLOYED", ["RUNNING", "FAILED"])
    assert "over quota" in shown["last_error"]


async def test_an_outage_during_a_roll_out_that_is_refused_then_is_told(
    world: Registry, cluster: SimulatedCluster, api: RawApi
) -> None:
    async with worker(world, cluster):
        deployed, namespace = await live(world)
        cluster.requests.clear()
        cluster.faults.add(Fault(action=Fail(503, "ServiceUnavailable"), verb="apply", times=1_000))
        await roll_out(world, deployed)

        async def under_way() -> bool:
            return bool(cluster.requests.all("apply"))

        await eventually(under_way)
        await set_status(api, namespace, ready(False, "MinimumReplicasUnavailable"))
        cluster.faults.clear()
        cluster.faults.add(Fault(action=Fail(403, "Forbidden", "over quota"), verb="apply", times=1_000))
        await until(world, deployed, "DeploymentFailed", "EarlierVersionInterrupted")


async def roll_out(world: Registry, service: ServiceId, uri: str = "s3://models/iris-2") -> None:
    """Ask for another version of the service's model."""
    shown = await world.service(service)
    model = ModelId(UUID(shown["registered_model_id"]))
    version = await world.another_version(model, uri, f"v-{uuid4().hex[:8]}")
    await world.roll_out(service, version)


def states(service: dict[str, Any]) -> list[str]:  # Any: JSON
    return [each["last_known_state"] for each in service["served_models"]]


async def test_an_address_that_moves_is_shown(world: Registry, cluster: SimulatedCluster, api: RawApi) -> None:
    async with worker(world, cluster):
        deployed, namespace = await live(world)
        await set_status(api, namespace, ready(True))
        await until(world, deployed, "DeploymentSucceeded", "ServiceMoved")
    assert (await world.service(deployed))["url"] == "http://iris.example"


async def test_an_object_deleted_behind_our_back_is_made_anew(
    world: Registry, cluster: SimulatedCluster, api: RawApi
) -> None:
    async with worker(world, cluster):
        deployed, namespace = await live(world)
        before = (await world.service(deployed))["external_id"]
        await api.delete("iris", namespace)
        await until(world, deployed, *MADE_ANEW)
    after = await world.service(deployed)
    assert after["current_state"] == "DEPLOYED"
    assert after["external_id"] != before


async def test_an_object_deleted_again_within_a_minute_is_told_at_once_and_made_anew_by_the_next_worker(
    world: Registry, cluster: SimulatedCluster, api: RawApi
) -> None:
    async with worker(world, cluster):
        deployed, namespace = await live(world)
        await api.delete("iris", namespace)
        await until(world, deployed, *MADE_ANEW)
        await api.delete("iris", namespace)
        await until(world, deployed, *MADE_ANEW, "ObjectDisappeared")
        assert (await world.service(deployed))["current_state"] == "UNDEPLOYED"
    async with worker(world, cluster):
        await until(world, deployed, *MADE_ANEW, *MADE_ANEW)


async def test_news_that_the_cluster_would_not_confirm_at_first_is_told_all_the_same(
    world: Registry, cluster: SimulatedCluster, api: RawApi
) -> None:
    async with worker(world, cluster):
        deployed, namespace = await live(world)
        cluster.faults.add(Fault(action=Fail(503, "ServiceUnavailable"), verb="get", times=2))
        await api.delete("iris", namespace)
        await until(world, deployed, *MADE_ANEW)


async def test_an_object_deleted_again_within_the_pause_is_made_anew_when_that_is_over(
    world: Registry, cluster: SimulatedCluster, api: RawApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repairs, "PAUSE_SECONDS", 2.0)
    async with worker(world, cluster):
        deployed, namespace = await live(world)
        for times in (1, 2):
            await api.delete("iris", namespace)
            await until(world, deployed, *MADE_ANEW * times)


async def test_a_roll_out_over_an_object_that_was_deleted_meanwhile_does_not_claim_that_the_old_version_serves(
    world: Registry, cluster: SimulatedCluster, api: RawApi
) -> None:
    async with worker(world, cluster):
        deployed, namespace = await live(world)
    await delete_for_good(api, namespace)
    await roll_out(world, deployed, "s3://models/simulate-fail")
    async with worker(world, cluster):
        await until(world, deployed, "ObjectDisappeared", "DeploymentApplied", "DeploymentFailed")
    shown = await world.service(deployed)
    assert (shown["current_state"], "url" in shown) == ("UNDEPLOYED", False)
    assert shown["external_id"] == (await api.get("iris", namespace)).body["metadata"]["uid"]
    assert [each["last_known_state"] for each in shown["served_models"]] == ["FAILED", "FAILED"]


async def test_an_object_that_is_changed_again_and_again_holds_up_no_other(
    world: Registry, cluster: SimulatedCluster, api: RawApi
) -> None:
    theirs = {"spec": {"predictor": {"model": {"storageUri": "s3://models/theirs"}}}}
    async with worker(world, cluster, WorkerOptions(resync_seconds=0.2)):
        deployed, namespace = await live(world)
        await patch(api, namespace, theirs)
        await until(world, deployed, "ObjectDrifted", "DeploymentRequested", "DeploymentSucceeded")
        await patch(api, namespace, theirs)
        await until(world, deployed, "ObjectDrifted")  # whose repair waits for a minute
        await until(world, await world.deploy(name="rose"), "DeploymentSucceeded")
        names = await world.event_names(deployed)
    assert names.count("ObjectDrifted") == 2


async def test_an_object_deleted_behind_our_back_is_only_reported_when_that_is_set(
    world: Registry, cluster: SimulatedCluster, api: RawApi
) -> None:
    async with worker(world, cluster, REPORT):
        deployed, namespace = await live(world)
        await api.delete("iris", namespace)
        await until(world, deployed, "ObjectDisappeared")
    shown = await world.service(deployed)
    assert shown["current_state"] == "UNDEPLOYED"
    assert "deleted outside of the registry" in shown["last_error"]
    assert "url" not in shown


async def test_an_object_deleted_while_no_worker_ran_is_found_by_the_next(
    world: Registry, cluster: SimulatedCluster, api: RawApi
) -> None:
    async with worker(world, cluster):
        deployed, namespace = await live(world)
    await delete_for_good(api, namespace)
    async with worker(world, cluster, REPORT):
        await until(world, deployed, "ObjectDisappeared")


async def test_an_object_changed_behind_our_back_is_put_right(
    world: Registry, cluster: SimulatedCluster, api: RawApi
) -> None:
    async with worker(world, cluster):
        deployed, namespace = await live(world)
        await patch(api, namespace, {"spec": {"predictor": {"model": {"storageUri": "s3://models/other"}}}})
        await until(world, deployed, "ObjectDrifted", "DeploymentRequested", "DeploymentSucceeded")
    drifted = next(each.event for each in await world.events(deployed) if isinstance(each.event, ObjectDrifted))
    assert drifted.fields == (".spec.predictor.model.storageUri",)
    assert (await api.get("iris", namespace)).body["spec"]["predictor"]["model"]["storageUri"] == "s3://models/iris"


UNLABELLED = {"metadata": {"labels": {SERVICE_ID: None}}}


async def test_an_object_that_loses_our_label_is_known_by_its_uid_and_put_right(
    world: Registry, cluster: SimulatedCluster, api: RawApi
) -> None:
    async with worker(world, cluster):
        deployed, namespace = await live(world)
        uid = (await world.service(deployed))["external_id"]
        await patch(api, namespace, UNLABELLED)
        await until(world, deployed, "ObjectDrifted", "DeploymentRequested", "DeploymentSucceeded")
    metadata = (await api.get("iris", namespace)).body["metadata"]
    assert (metadata["uid"], metadata["labels"][SERVICE_ID]) == (uid, str(deployed))


@pytest.mark.parametrize("ending", ["DeploymentSucceeded", "Undeployed"])
async def test_an_object_that_loses_our_label_before_it_ever_served_is_known_by_its_uid(
    world: Registry, cluster: SimulatedCluster, api: RawApi, ending: str
) -> None:
    async with worker(world, cluster):
        deployed, namespace = await live(world, "s3://models/simulate-fail", "DeploymentFailed")
        uid = (await world.service(deployed))["external_id"]
        await patch(api, namespace, UNLABELLED)
        await roll_out(world, deployed)
        if ending == "Undeployed":
            await world.undeploy(deployed)
        await until(world, deployed, ending)
    if ending == "Undeployed":
        assert (await api.get("iris", namespace)).status == 404
    else:
        metadata = (await api.get("iris", namespace)).body["metadata"]
        assert (metadata["uid"], metadata["labels"][SERVICE_ID]) == (uid, str(deployed))


async def test_the_deleted_object_of_a_failed_deployment_is_not_shown_any_more(
    world: Registry, cluster: SimulatedCluster, api: RawApi
) -> None:
    async with worker(world, cluster, REPORT):
        deployed, namespace = await live(world, "s3://models/simulate-fail", "DeploymentFailed")
        await api.delete("iris", namespace)
        await until(world, deployed, "DeploymentFailed", "ObjectDisappeared")
    shown = await world.service(deployed)
    assert "external_id" not in shown
    assert "deleted outside of the registry" in shown["last_error"]


@pytest.mark.parametrize(
    ("change", "told"), [(ready(True), "ServiceMoved"), (ready(False, "NoPods"), "ServiceInterrupted")]
)
async def test_a_change_is_put_right_though_there_is_other_news_of_the_object(
    world: Registry, cluster: SimulatedCluster, api: RawApi, change: Callable[[dict[str, Any]], None], told: str
) -> None:
    async def ready_revision() -> object:
        return (await api.get("iris", namespace)).body["status"]["components"]["predictor"]["latestReadyRevision"]

    async with worker(world, cluster):
        deployed, namespace = await live(world)
    before = await ready_revision()
    await patch(api, namespace, {"metadata": {"labels": {VERSION_ID: "theirs"}}})

    async def rolled_out() -> bool:
        return await ready_revision() != before

    await eventually(rolled_out)
    await set_status(api, namespace, change)
    async with worker(world, cluster):
        await until(world, deployed, told, "ObjectDrifted", "DeploymentRequested", "DeploymentSucceeded")


async def test_an_object_changed_before_it_was_ready_is_put_right(
    world: Registry, cluster: SimulatedCluster, api: RawApi
) -> None:
    async with worker(world, cluster):
        deployed, namespace = await live(world, "s3://models/simulate-slow", "DeploymentApplied")
        await patch(api, namespace, {"metadata": {"labels": {VERSION_ID: "theirs"}}})
        put_right = ("ObjectDrifted", "DeploymentRequested", "DeploymentSucceeded")
        await until(world, deployed, "DeploymentApplied", "DeploymentSucceeded", *put_right)


async def test_an_object_without_our_label_is_taken_away_all_the_same(
    world: Registry, cluster: SimulatedCluster, api: RawApi
) -> None:
    async with worker(world, cluster, REPORT):
        deployed, namespace = await live(world)
        await patch(api, namespace, UNLABELLED)
        await until(world, deployed, "ObjectDrifted")
        assert (await world.service(deployed))["current_state"] == "DEPLOYED"
        await world.undeploy(deployed)
        await until(world, deployed, "Undeployed")
    assert (await api.get("iris", namespace)).status == 404


async def test_an_object_changed_behind_our_back_is_only_reported_once_when_that_is_set(
    world: Registry, cluster: SimulatedCluster, api: RawApi
) -> None:
    async with worker(world, cluster, REPORT):
        deployed, namespace = await live(world)
        await patch(api, namespace, {"spec": {"predictor": {"model": {"storageUri": "s3://models/simulate-never"}}}})
        await until(world, deployed, "ObjectDrifted")
        await patch(api, namespace, {"metadata": {"annotations": {"example.org/note": "hello"}}})
        await set_status(api, namespace, ready(False, "Gone"))
        names = await until(world, deployed, "ServiceInterrupted")
    assert names.count("ObjectDrifted") == 1
    assert (await api.get("iris", namespace)).body["spec"]["predictor"]["model"]["storageUri"].endswith("never")


async def test_a_finalizer_that_hangs_is_named_and_the_undeployment_goes_on(
    world: Registry, cluster: SimulatedCluster, api: RawApi
) -> None:
    async with worker(world, cluster, WorkerOptions(stall_seconds=0.2)):
        deployed, namespace = await live(world)
        await patch(api, namespace, {"metadata": {"finalizers": ["example.org/hold", "inferenceservice.finalizers"]}})
        await world.undeploy(deployed)

        async def names_the_culprit() -> bool:
            last = (await world.events(deployed))[-1].event
            return isinstance(last, UndeploymentStalled) and last.finalizers == ("example.org/hold",)

        await eventually(names_the_culprit)
        assert "example.org/hold" in (await world.service(deployed))["last_error"]
        await patch(api, namespace, {"metadata": {"finalizers": None}})
        await until(world, deployed, "UndeploymentStalled", "Undeployed")
    assert "last_error" not in await world.service(deployed)


async def test_a_refusal_to_delete_is_told_and_tried_again(world: Registry, cluster: SimulatedCluster) -> None:
    async with worker(world, cluster):
        deployed, _ = await live(world)
        cluster.faults.add(Fault(action=Fail(403, "Forbidden", "no right to delete"), verb="delete", times=3))
        await world.undeploy(deployed)
        names = await until(world, deployed, "UndeploymentStalled", "Undeployed")
    assert names.count("UndeploymentStalled") == 1


async def test_an_apply_that_arrives_after_the_undeployment_leaves_no_orphan(
    world: Registry, cluster: SimulatedCluster, api: RawApi
) -> None:
    async with worker(world, cluster):
        deployed, namespace = await live(world)
        late = (await api.get("iris", namespace)).body
        await world.undeploy(deployed)
        await until(world, deployed, "Undeployed")
        metadata = {key: late["metadata"][key] for key in ("name", "labels", "annotations")}
        assert (await api.create({**late, "metadata": metadata}, namespace)).status == 201

        async def gone() -> bool:
            return (await api.get("iris", namespace)).status == 404

        await eventually(gone)


async def test_an_object_of_another_registry_is_left_alone(
    world: Registry, cluster: SimulatedCluster, api: RawApi
) -> None:
    label = "modelregistry.ai-platform/inference-service-id"
    async with worker(world, cluster):
        deployed, namespace = await live(world)
        late = (await api.get("iris", namespace)).body
        theirs = {"name": "theirs", "labels": {label: "00000000-0000-0000-0000-00000000cafe"}}
        await api.create({**late, "metadata": theirs}, namespace)
        await world.undeploy(deployed)
        await until(world, deployed, "Undeployed")
    assert (await api.get("theirs", namespace)).status == 200


BROKEN_WATCHES = [TearWatch(), ExpireHistory("event"), ExpireHistory("http"), Reset(), Fail(500, "InternalError")]


@pytest.mark.parametrize("break_", BROKEN_WATCHES, ids=["torn", "410 event", "410 answer", "reset", "500"])
async def test_a_change_is_seen_although_the_watch_broke(
    world: Registry, cluster: SimulatedCluster, api: RawApi, break_: Action
) -> None:
    async with worker(world, cluster):
        deployed, namespace = await live(world)
        cluster.faults.add(Fault(action=break_, verb="watch", times=2))
        cluster.drop_watches()
        await set_status(api, namespace, ready(False, "NoPods"))
        await until(world, deployed, "ServiceInterrupted")


@pytest.mark.parametrize("break_", [ExpireHistory("event"), Fail(500, "InternalError")], ids=["410 event", "500"])
async def test_a_watch_that_never_holds_does_not_make_the_worker_list_all_objects_over_and_over(
    world: Registry, cluster: SimulatedCluster, break_: Action
) -> None:
    cluster.faults.add(Fault(action=break_, verb="watch", times=1_000_000))

    async def listed_often() -> bool:
        return len(cluster.requests.all("list")) >= 6

    async with worker(world, cluster):
        await eventually(listed_often, 30.0)
    times = [request.at for request in cluster.requests.all("list")]
    assert times[5] - times[0] >= 1.5  # each pause is at least half of 0.1, 0.2, 0.4, 0.8 and 1.6 seconds


async def test_what_happened_while_the_cluster_was_out_of_reach_is_told_once_it_is_back(
    world: Registry, cluster: SimulatedCluster, api: RawApi
) -> None:
    async with worker(world, cluster):
        deployed, namespace = await live(world)
        await set_status(api, namespace, ready(False, "NoPods"))
        await until(world, deployed, "ServiceInterrupted")
        down = Fail(503, "ServiceUnavailable")
        cluster.faults.add(*(Fault(action=down, verb=verb, times=4) for verb in ("list", "watch")))
        cluster.drop_watches()
        await set_status(api, namespace, ready(True))
        names = await until(world, deployed, "ServiceRecovered")
    assert names.count("ServiceInterrupted") == 1


async def test_a_cluster_that_asks_for_patience_is_given_it_whatever_is_seen_meanwhile(
    world: Registry, cluster: SimulatedCluster
) -> None:
    cluster.faults.add(Fault(action=Fail(429, "TooManyRequests", retry_after=1), verb="apply"))

    async def refused() -> bool:
        return bool(cluster.requests.all("apply", "iris"))

    async with worker(world, cluster):
        deployed = await world.deploy(name="iris", uri="s3://models/iris")
        await eventually(refused, 10.0)
        cluster.drop_watches()  # a new list, which does not show the object: a reason to try again, but not yet
        await until(world, deployed, "DeploymentSucceeded")
    first, second = cluster.requests.all("apply", "iris")
    assert second.at - first.at >= 1


@pytest.mark.parametrize("code", [400, 403, 422])
async def test_a_refusal_by_a_webhook_fails_the_deployment_once_with_its_reason(
    world: Registry, cluster: SimulatedCluster, code: int
) -> None:
    cluster.faults.add(Fault(action=Fail(code, "Refused", "the policy says no"), verb="apply"))
    async with worker(world, cluster):
        deployed, _ = await live(world, last="DeploymentFailed")
    assert "the policy says no" in (await world.service(deployed))["last_error"]
    assert len(cluster.requests.all("apply", "iris")) == 1


async def test_a_service_that_this_version_cannot_read_keeps_no_other_from_being_looked_at(
    world: Registry, cluster: SimulatedCluster, api: RawApi, database: Database
) -> None:
    async with worker(world, cluster):
        unreadable, namespace = await live(world)
        await until(world, other := await world.deploy(name="rose"), "DeploymentSucceeded")
        place = (await world.service(other))["serving_environment_name"]
    async with connected(database) as connection:
        await connection.execute("UPDATE standing_deployments SET body = '{}' WHERE id = $1", unreadable)
    path = f"{SERVICES.format(place)}/rose"
    assert (await api.send("DELETE", path)).status == 200

    async with worker(world, cluster):  # which begins with a look at all of them
        await until(world, other, *MADE_ANEW)

    assert (await api.send("GET", f"{SERVICES.format(namespace)}/iris")).status == 200, "what is not understood stays"


async def test_a_namespace_that_vanishes_takes_its_services_along_and_they_say_so(database: Database) -> None:
    async with (
        SimulatedCluster(options(strict_namespaces=True)) as cluster,
        registry(database) as world,
        raw_api(cluster) as api,
        worker(world, cluster),
    ):
        model, _ = await world.ready_version()
        environment = await world.environment("team-a")
        space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team-a"}}
        assert (await api.send("POST", "/api/v1/namespaces", space)).status == 201
        deployed = await world.deploy_to(model, environment, "iris")
        await until(world, deployed, "DeploymentSucceeded")
        await api.send("DELETE", "/api/v1/namespaces/team-a")
        names = await until(world, deployed, "DeploymentFailed")
        shown = await world.service(deployed)
    assert "ObjectDisappeared" in names
    assert shown["current_state"] == "UNDEPLOYED"
    assert "team-a" in shown["last_error"]
