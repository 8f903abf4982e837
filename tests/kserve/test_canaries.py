"""Canaries on a real KServe with Knative: who has the traffic, and whether the API says what the cluster says."""

import asyncio

import pytest

from modeltrail.domain.serving_options import DeploymentMode
from modeltrail.workers.settling import SETTLING_SECONDS
from support.api import Json, Project, refusal
from support.control_plane import ControlPlane
from support.real_canaries import CanaryServing
from support.real_knative import CONTROLLER
from support.real_kserve import MANAGER
from support.real_serving import ROUND, is_live, is_ready, states

OLD, NEW = "s3://models/iris", "s3://models/new"
SLOW, NEVER, FAIL = (f"s3://models/simulate-{each}" for each in ("slow", "never", "fail"))
KILLED = "the container was killed, as a rule because it took more memory than its limit"
NOT_READY = "the canary of this inference service is not ready; wait until it is, or abort it"
CANARY_FIELDS = ("canary_traffic_percent", "stable_model_version_id")
BUSY_SECONDS = 4.0  # of KServe, as with some dozens of services
pytestmark = pytest.mark.usefixtures("worker")


@pytest.fixture
def plane(knative_plane: ControlPlane) -> ControlPlane:
    return knative_plane


@pytest.fixture
def mode() -> DeploymentMode:
    return DeploymentMode.KNATIVE


@pytest.fixture
def serving(project: Project, plane: ControlPlane, namespace: str) -> CanaryServing:
    return CanaryServing(project, plane, namespace)


def is_beside(service: Json) -> bool:
    """Whether a canary is live beside the version before."""
    return states(service) == ("DEPLOYED", ["RUNNING", "RUNNING"])


async def with_canary(serving: CanaryServing, uri: str, canary_uri: str) -> Json:
    """A service of one version with a tenth of the traffic for another."""
    service = await serving.deployed(uri)
    await serving.canary(service, canary_uri, 10)
    return await serving.until(service, "is live beside the version before", is_beside)


async def test_the_first_version_is_live(serving: CanaryServing) -> None:
    service = await serving.deployed(OLD)

    found = serving.found(service)
    assert found is not None
    assert is_ready(found)
    assert found["status"]["deploymentMode"] == "Knative"
    assert service["url"] == found["status"]["url"] == f"http://{service['name']}.{serving.namespace}.example.com"
    assert serving.traffic(service) == {OLD: 100}
    assert await serving.story(service) == ["created", *ROUND]


async def test_a_canary_gets_what_it_is_given_and_in_the_end_all_until_a_rollback(serving: CanaryServing) -> None:
    service = await serving.deployed(OLD)

    asked = await serving.canary(service, NEW, 10)
    assert states(asked) == ("DEPLOYED", ["RUNNING", "PENDING"])
    beside = await serving.until(asked, "is live beside the version before", is_beside)
    assert serving.traffic(service) == {OLD: 90, NEW: 10}
    assert beside["canary_traffic_percent"] == 10
    assert beside["stable_model_version_id"] == service["model_version_id"]

    await serving.patched(service, canary_traffic_percent=50)
    await serving.until(service, "is live with more", is_beside)
    assert serving.traffic(service) == {OLD: 50, NEW: 50}

    await serving.asked(service, "promote")
    live = await serving.until(service, "is live", is_live)
    assert serving.traffic(service) == {NEW: 100}
    assert live["model_version_id"] == asked["model_version_id"]
    assert live.keys().isdisjoint(CANARY_FIELDS)
    await serving.until_pods_are(NEW)

    await serving.asked(service, "rollback")
    back = await serving.until(service, "is live again", is_live)
    assert serving.traffic(service) == {OLD: 100}
    assert back["model_version_id"] == service["model_version_id"]
    assert await serving.story(service) == [
        "created",
        *ROUND,
        *("deployment_requested", "canary_deployed"),
        *("deployment_requested", "canary_deployed"),
        *("canary_promoted", "deployment_requested", "deployment_succeeded"),
        *("deployment_requested", "deployment_succeeded"),
    ]


async def test_an_aborted_canary_has_no_traffic_and_then_no_pods(serving: CanaryServing) -> None:
    service = await with_canary(serving, OLD, NEW)

    answer = await serving.asked(service, "abort")

    assert answer["model_version_id"] == service["stable_model_version_id"]
    seen = await serving.seen(service, "is live", is_live)
    assert max(each["traffic"].get(NEW, 0) for each in seen) <= 10
    assert seen[-1]["traffic"] == {OLD: 100}
    assert seen[-1]["served_models"][0]["model_version_id"] == service["stable_model_version_id"]
    assert seen[-1].keys().isdisjoint({*CANARY_FIELDS, "last_error"})
    await serving.until_pods_are(OLD)


async def test_what_is_changed_right_after_an_abort_does_not_go_to_the_canary(serving: CanaryServing) -> None:
    service = await with_canary(serving, SLOW, NEW)

    await serving.asked(service, "abort")
    await serving.patched(service, labels={"team": "iris"})

    seen = await serving.seen(service, "is live", is_live)
    assert max(each["traffic"].get(NEW, 0) for each in seen) <= 10
    assert seen[-1]["traffic"] == {SLOW: 100}


async def test_a_canary_that_never_starts_leaves_the_version_before_alone(serving: CanaryServing) -> None:
    service = await serving.deployed(OLD)

    await serving.canary(service, NEVER, 10)

    seen = await serving.seen(service, "has failed", lambda shown: "last_error" in shown)
    assert {states(each)[0] for each in seen} == {"DEPLOYED"}
    assert {each["served_models"][0]["last_known_state"] for each in seen} == {"RUNNING"}
    assert {each["served_models"][1]["last_known_state"] for each in seen} == {"PENDING", "FAILED"}
    assert "has timed out progressing" in seen[-1]["last_error"]
    assert all(each["traffic"] == {OLD: 100} for each in seen)
    assert refusal(await serving.project.post(f"/inference_services/{service['id']}/promote")) == (400, NOT_READY)
    await serving.until_pods_are(OLD)
    assert states(await serving.shown(service)) == ("DEPLOYED", ["RUNNING", "FAILED"])

    await serving.asked(service, "abort")
    live = await serving.until(service, "is live", is_live)
    assert "last_error" not in live
    assert serving.traffic(service) == {OLD: 100}


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        (FAIL, "no model found (ModelLoadFailed, exit code 1)"),
        ("s3://models/simulate-crash", f"{KILLED} (ModelLoadFailed, exit code 137)"),
    ],
)
async def test_a_canary_that_cannot_be_served_says_why(serving: CanaryServing, uri: str, words: str) -> None:
    service = await serving.deployed(OLD)

    await serving.canary(service, uri, 10)

    failed = await serving.until(service, "has failed", lambda shown: "last_error" in shown)
    assert states(failed) == ("DEPLOYED", ["RUNNING", "FAILED"])
    assert failed["last_error"] == words
    assert serving.traffic(service) == {OLD: 100}


async def test_an_abort_is_not_told_the_failure_of_the_canary(serving: CanaryServing) -> None:
    service = await serving.deployed(SLOW)
    await serving.canary(service, FAIL, 10)
    await serving.until(service, "has failed", lambda shown: "last_error" in shown)

    await serving.asked(service, "abort")

    seen = await serving.seen(service, "is live", is_live)
    assert "FAILED" not in {each["served_models"][0]["last_known_state"] for each in seen}
    assert all(each["traffic"] == {SLOW: 100} for each in seen)


async def test_a_status_from_before_the_canary_is_not_taken_for_its_own(serving: CanaryServing) -> None:
    service = await serving.deployed(OLD, min_replicas=0)
    await serving.until_pods_are()

    with serving.plane.frozen(MANAGER):
        await serving.canary(service, NEVER, 10)
        await asyncio.sleep(BUSY_SECONDS)
    seen = await serving.seen(service, "has failed", lambda shown: "last_error" in shown)

    assert "RUNNING" not in {each["served_models"][1]["last_known_state"] for each in seen}


async def test_a_status_from_before_knative_knows_of_the_canary(serving: CanaryServing) -> None:
    service = await serving.deployed(OLD)

    with serving.plane.frozen(CONTROLLER):
        await serving.canary(service, NEVER, 10)
        await asyncio.sleep(SETTLING_SECONDS + 2)
        assert states(await serving.shown(service)) == ("DEPLOYED", ["RUNNING", "PENDING"])
    seen = await serving.seen(service, "has failed", lambda shown: "last_error" in shown)

    assert "RUNNING" not in {each["served_models"][1]["last_known_state"] for each in seen}


async def test_a_service_that_sleeps_is_live_and_so_is_a_canary_beside_it(serving: CanaryServing) -> None:
    service = await serving.deployed(OLD, min_replicas=0)
    await serving.until_pods_are()
    assert is_live(await serving.shown(service))

    await serving.canary(service, NEW, 10)
    await serving.until(service, "is live beside the version before", is_beside)
    await serving.until_pods_are()
    assert is_beside(await serving.shown(service))
    assert serving.traffic(service) == {OLD: 90, NEW: 10}

    await serving.asked(service, "promote")
    await serving.until(service, "is live", is_live)
    assert serving.traffic(service) == {NEW: 100}


async def test_a_canary_goes_with_the_service(serving: CanaryServing) -> None:
    service = await with_canary(serving, OLD, NEW)

    await serving.undeploy(service)

    gone = await serving.until(service, "is off the cluster", lambda shown: shown["current_state"] == "UNDEPLOYED")
    assert states(gone) == ("UNDEPLOYED", [])
    assert gone["model_version_id"] == service["stable_model_version_id"]
    assert serving.found(service) is None
    await serving.until_pods_are()


async def test_a_canary_that_somebody_stops_gives_way_to_the_version_before(serving: CanaryServing) -> None:
    service = await with_canary(serving, OLD, NEW)
    stop = "serving.kserve.io/stop"

    serving.plane.merge(serving.object_path(service), {"metadata": {"annotations": {stop: "true"}}})
    await serving.until(service, "is down", lambda shown: shown["current_state"] == "UNDEPLOYED")
    await serving.until_pods_are()
    serving.plane.merge(serving.object_path(service), {"metadata": {"annotations": {stop: None}}})

    def is_back(shown: Json) -> bool:
        return is_live(shown) and shown["model_version_id"] == service["stable_model_version_id"]

    seen = await serving.seen(service, "is live with the version before", is_back)
    assert seen[-1]["traffic"] == {OLD: 100}
