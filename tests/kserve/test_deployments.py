"""Deployments to a real KServe: the API says what the cluster says."""

import asyncio

import pytest

from modeltrail.workers.settling import SETTLING_SECONDS
from support.api import Json, made, refusal
from support.real_kserve import MANAGER
from support.real_serving import ROUND, Serving, is_live, is_ready, states

KILLED = "the container was killed, as a rule because it took more memory than its limit"
pytestmark = pytest.mark.usefixtures("worker")


async def test_a_version_is_live_once_kserve_says_so(serving: Serving) -> None:
    service = await serving.deployed()

    found = serving.found(service)
    assert found is not None
    assert is_ready(found)
    assert service["external_id"] == found["metadata"]["uid"]
    assert service["url"] == found["status"]["url"] == f"http://{service['name']}-{serving.namespace}.example.com"
    assert found["spec"]["predictor"]["model"]["storageUri"] == "s3://models/iris"
    assert await serving.story(service) == ["created", *ROUND]


async def test_the_api_does_not_say_live_before_kserve_does(serving: Serving) -> None:
    service = await serving.deploy(await serving.version("s3://models/simulate-slow"))

    while not is_ready(serving.found(service)):
        assert states(await serving.shown(service)) == ("UNDEPLOYED", ["PENDING"])

    await serving.until(service, "is live", is_live)


async def test_what_kserve_writes_in_its_own_way_is_no_drift(serving: Serving) -> None:
    wish = {"requests": {"cpu": "1000m", "memory": "1024Mi"}, "limits": {"cpu": "2", "memory": "2048Mi"}}
    service = await serving.deployed(resources=wish, min_replicas=2, max_replicas=3)

    found = serving.found(service)
    assert found is not None
    assert found["spec"]["predictor"]["model"]["resources"]["requests"] == {"cpu": "1", "memory": "1Gi"}
    assert (found["metadata"]["generation"], (await serving.shown(service))["resources"]) == (1, wish)
    serving.plane.merge(serving.object_path(service), {"metadata": {"labels": {"seen-by": "others"}}})
    other = await serving.deployed()  # by then the worker has seen that
    assert await serving.story(service) == await serving.story(other)


async def test_a_roll_out_is_live_once_its_pods_are(serving: Serving) -> None:
    service = await serving.deployed()

    asked = await serving.roll_out(service, "s3://models/simulate-slow")

    assert states(asked) == ("DEPLOYED", ["RUNNING", "PENDING"])
    live = await serving.until(service, "is live", is_live)
    assert live["served_models"][0]["model_version_name"] == "s3://models/simulate-slow"
    images = [
        container["args"][0]
        for pod in serving.plane.get(f"/api/v1/namespaces/{serving.namespace}/pods")["items"]
        if "deletionTimestamp" not in pod["metadata"]
        for container in pod["spec"]["initContainers"]
    ]
    assert images == ["s3://models/simulate-slow"]


async def test_a_roll_out_that_fails_leaves_what_served(serving: Serving) -> None:
    service = await serving.deployed()

    await serving.roll_out(service, "s3://models/simulate-fail")
    await serving.until_pods("s3://models/simulate-fail")
    serving.let_kserve_look(service)
    await serving.told(service, "deployment_failed")

    shown = await serving.shown(service)
    assert shown["last_error"] == "no model found (ModelLoadFailed, exit code 1)"
    assert states(shown) == ("DEPLOYED", ["RUNNING", "FAILED"])

    made(await serving.project.post(f"/inference_services/{service['id']}/rollback", {}), 202)
    live = await serving.until(service, "is live", is_live)
    assert live["model_version_id"] == service["model_version_id"]
    assert "last_error" not in live


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("s3://models/simulate-fail", "no model found (ModelLoadFailed, exit code 1)"),
        ("s3://models/simulate-crash", f"{KILLED} (ModelLoadFailed, exit code 137)"),
    ],
)
async def test_a_version_that_cannot_be_served_has_failed(serving: Serving, uri: str, words: str) -> None:
    service = await serving.deploy(await serving.version(uri))
    await serving.until_pods(uri)
    serving.let_kserve_look(service)

    failed = await serving.until(service, "has failed", lambda shown: "last_error" in shown)

    assert states(failed) == ("UNDEPLOYED", ["FAILED"])
    assert failed["last_error"] == words


async def test_pods_that_the_namespace_has_no_room_for(serving: Serving) -> None:
    path = f"/api/v1/namespaces/{serving.namespace}/resourcequotas"
    serving.plane.create(path, {"metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}})

    service = await serving.deploy(await serving.version())

    failed = await serving.until(service, "has failed", lambda shown: "last_error" in shown)
    assert "exceeded quota: none, requested: pods=1" in failed["last_error"]
    assert states(failed) == ("UNDEPLOYED", ["FAILED"])
    serving.plane.delete(f"{path}/none")
    await serving.until(service, "is live", is_live)


async def test_what_the_cluster_would_refuse_is_refused_at_once(serving: Serving) -> None:
    version = await serving.version()
    environment = await serving.project.environment("not-there")
    order = {"registered_model_id": version["registered_model_id"], "serving_environment_id": environment["id"]}

    answer = await serving.project.post("/deploy", order)

    assert refusal(answer) == (400, 'the cluster refuses this deployment: namespaces "not-there" not found')


async def test_a_roll_out_that_never_gets_ready_is_never_called_live(serving: Serving) -> None:
    service = await serving.deployed()

    await serving.roll_out(service, "s3://models/simulate-never")
    await serving.until_pods("s3://models/simulate-never")
    await asyncio.sleep(SETTLING_SECONDS + 2)  # KServe says Ready all the time

    assert states(await serving.shown(service)) == ("DEPLOYED", ["RUNNING", "PENDING"])
    with serving.plane.frozen(MANAGER):  # it would set the deadline back to ten minutes
        await serving.miss_deadline(service)
    failed = await serving.until(service, "has failed", lambda shown: "last_error" in shown)
    assert "has timed out progressing. (ProgressDeadlineExceeded)" in failed["last_error"]
    assert states(failed) == ("DEPLOYED", ["RUNNING", "FAILED"])


async def test_a_runtime_that_is_not_there_fails(serving: Serving) -> None:
    service = await serving.deploy(await serving.version(), runtime="nobodys")

    failed = await serving.until(service, "has failed", lambda shown: "last_error" in shown)

    assert failed["last_error"] == "Waiting for runtime to become available (RuntimeNotRecognized)"


async def test_an_undeployment_is_done_when_nothing_is_left(serving: Serving) -> None:
    service = await serving.deployed()

    await serving.undeploy(service)

    gone = await serving.until(service, "is off the cluster", lambda shown: shown["current_state"] == "UNDEPLOYED")
    assert serving.found(service) is None
    assert states(gone) == ("UNDEPLOYED", [])


async def test_what_somebody_deletes_is_deployed_again(serving: Serving) -> None:
    service = await serving.deployed()

    serving.plane.delete(serving.object_path(service))

    def is_another(shown: Json) -> bool:
        return is_live(shown) and shown["external_id"] != service["external_id"]

    await serving.until(service, "is live again", is_another)
    assert await serving.story(service) == ["created", *ROUND, "object_disappeared", *ROUND]


async def test_what_somebody_changes_is_changed_back(serving: Serving) -> None:
    service = await serving.deployed()
    change = {"spec": {"predictor": {"model": {"storageUri": "s3://models/simulate-never"}}}}

    serving.plane.merge(serving.object_path(service), change)
    await serving.until_object(
        service,
        "is as it was",
        lambda found: bool(found and found["spec"]["predictor"]["model"]["storageUri"] == "s3://models/iris"),
    )

    assert "object_drifted" in await serving.told(service, "deployment_succeeded")


async def test_a_service_that_somebody_stops(serving: Serving) -> None:
    service = await serving.deployed()
    stop = "serving.kserve.io/stop"

    serving.plane.merge(serving.object_path(service), {"metadata": {"annotations": {stop: "true"}}})
    stopped = await serving.until(service, "is down", lambda shown: shown["current_state"] == "UNDEPLOYED")
    serving.plane.merge(serving.object_path(service), {"metadata": {"annotations": {stop: None}}})

    assert stopped["last_error"].startswith(f"somebody stopped the service with the annotation {stop}")
    await serving.until(service, "is live", is_live)
