"""What the cluster does to a deployment unasked: every observation, early, late and repeated."""

import msgspec
import pytest

from modeltrail.domain.decider import INFERENCE_SERVICE
from modeltrail.domain.errors import NotFoundError
from modeltrail.domain.ids import VersionId
from modeltrail.domain.inference_service_facts import (
    EarlierVersionInterrupted,
    EarlierVersionRecovered,
    InferenceServiceEvent,
    ObjectDisappeared,
    ObjectDrifted,
    Observation,
    RecordDisappearance,
    RecordDrift,
    RecordInterruption,
    RecordReadiness,
    RecordStall,
    Repair,
    ServiceInterrupted,
    ServiceMoved,
    ServiceRecovered,
    UndeploymentStalled,
)
from modeltrail.domain.inference_service_messages import (
    ConfirmDeployment,
    DeploymentApplied,
    RecordApplied,
    RequestDeployment,
    RequestUndeployment,
    ServeModelRemoved,
)
from modeltrail.domain.inference_service_state import Service
from modeltrail.domain.serving_options import ServingOptions
from support.given import stories_of
from support.samples import (
    CREATED,
    FIRST,
    MODEL,
    OTHER_VERSION,
    SECOND,
    THIRD,
    VERSION,
    applied,
    failed,
    requested,
    succeeded,
    target,
    undeployed,
    undeployment_requested,
)

given = stories_of(INFERENCE_SERVICE)

DEPLOYED: tuple[InferenceServiceEvent, ...] = (CREATED, requested(), applied(), succeeded())
FAILED: tuple[InferenceServiceEvent, ...] = (CREATED, requested(), applied(), failed())
UNDEPLOYING = (*DEPLOYED, undeployment_requested())

INTERRUPT = RecordInterruption(deployment_id=FIRST, reason="NoPods", message="no pod is ready")
INTERRUPTED = ServiceInterrupted(
    deployment_id=FIRST, registered_model_id=MODEL, model_version_id=VERSION, reason="NoPods", message="no pod is ready"
)
READY = RecordReadiness(deployment_id=FIRST, external_id="uid-1", url="http://iris")
RECOVERED = ServiceRecovered(
    deployment_id=FIRST, registered_model_id=MODEL, model_version_id=VERSION, external_id="uid-1", url="http://iris"
)
DISAPPEAR = RecordDisappearance(deployment_id=FIRST, external_id="uid-1")
DISAPPEARED = ObjectDisappeared(
    deployment_id=FIRST, registered_model_id=MODEL, model_version_id=VERSION, external_id="uid-1"
)
DRIFT = RecordDrift(deployment_id=FIRST, managers=("kubectl",), fields=(".spec",))
DRIFTED = ObjectDrifted(deployment_id=FIRST, managers=("kubectl",), fields=(".spec",))
STALL = RecordStall(undeployment_id=THIRD, reason="FinalizersPending", message="hangs", finalizers=("hold",))
STALLED = UndeploymentStalled(undeployment_id=THIRD, reason="FinalizersPending", message="hangs", finalizers=("hold",))
EVERY: list[Observation] = [INTERRUPT, READY, DISAPPEAR, DRIFT, STALL]


def test_a_live_service_is_interrupted_once() -> None:
    given(*DEPLOYED).when(INTERRUPT, INTERRUPT).then(INTERRUPTED)


def test_another_reason_for_the_interruption_is_news() -> None:
    other = RecordInterruption(deployment_id=FIRST, reason="OOMKilled", message="out of memory")
    told = ServiceInterrupted(
        deployment_id=FIRST,
        registered_model_id=MODEL,
        model_version_id=VERSION,
        reason="OOMKilled",
        message="out of memory",
    )
    given(*DEPLOYED, INTERRUPTED).when(other).then(told)


def test_an_interrupted_service_recovers_once() -> None:
    given(*DEPLOYED, INTERRUPTED).when(READY, READY).then(RECOVERED)


EARLIER_INTERRUPTED = EarlierVersionInterrupted(FIRST, MODEL, VERSION, "NoPods", "no pod is ready")
EARLIER_RECOVERED = EarlierVersionRecovered(FIRST, MODEL, VERSION, "uid-1", "http://iris")
ROLL_OUT_FAILED: tuple[InferenceServiceEvent, ...] = (*DEPLOYED, requested(SECOND), failed(SECOND))


def test_what_serves_on_after_a_failed_roll_out_is_interrupted_and_recovers() -> None:
    given(*ROLL_OUT_FAILED).when(INTERRUPT, INTERRUPT).then(EARLIER_INTERRUPTED)
    given(*ROLL_OUT_FAILED, EARLIER_INTERRUPTED).when(READY, READY).then(EARLIER_RECOVERED)
    given(*ROLL_OUT_FAILED).when(READY).then()


def test_what_was_interrupted_before_a_failed_roll_out_still_is() -> None:
    history = (*DEPLOYED, INTERRUPTED, requested(SECOND), failed(SECOND))

    given(*history).when(INTERRUPT).then()
    given(*history).when(READY).then(EARLIER_RECOVERED)


def test_what_serves_on_after_two_failed_roll_outs_is_still_the_same() -> None:
    given(*ROLL_OUT_FAILED, requested(THIRD), failed(THIRD)).when(INTERRUPT).then(EARLIER_INTERRUPTED)


@pytest.mark.parametrize("answered", [(failed(SECOND, OTHER_VERSION),), ()], ids=["failed", "replaced"])
def test_the_object_of_a_deployment_that_was_attempted_serves_after_all(
    answered: tuple[InferenceServiceEvent, ...],
) -> None:
    attempted = (*DEPLOYED, requested(SECOND, OTHER_VERSION), *answered)
    ready = msgspec.structs.replace(READY, deployment_id=SECOND)
    interrupt = msgspec.structs.replace(INTERRUPT, deployment_id=SECOND)
    serves = EarlierVersionRecovered(SECOND, MODEL, OTHER_VERSION, "uid-1", "http://iris")
    interrupted = EarlierVersionInterrupted(SECOND, MODEL, OTHER_VERSION, "NoPods", "no pod is ready")

    other = VersionId(MODEL)
    given(*attempted, requested(THIRD, other), failed(THIRD, other)).when(ready, ready, READY, interrupt).then(
        serves, ServeModelRemoved(model_version_id=VERSION), interrupted
    )
    given(*attempted, requested(THIRD), failed(THIRD)).when(ready).then(serves)
    given(*attempted, requested(THIRD)).when(ready).then()
    given(*attempted, requested(THIRD), succeeded(THIRD)).when(ready).then()


def test_an_attempt_that_serves_after_all_is_what_a_canary_and_a_rollback_find_live() -> None:
    third = VersionId(MODEL)
    attempted = (*DEPLOYED, requested(SECOND, OTHER_VERSION), failed(SECOND, OTHER_VERSION))
    serves = EarlierVersionRecovered(SECOND, MODEL, OTHER_VERSION, "uid-1", "http://iris")
    history = (*attempted, requested(THIRD, third), failed(THIRD, third), serves)

    canary = target(third, options=ServingOptions(canary_traffic_percent=10))
    beside = msgspec.structs.replace(canary, canary_beside=OTHER_VERSION)
    given(*history).when(RequestDeployment(deployment_id=FIRST, target=canary)).then(
        msgspec.structs.replace(requested(FIRST), target=beside)
    )
    state = given(*history).state
    assert isinstance(state, Service)
    assert [each.model_version_id for each in state.lived] == [OTHER_VERSION, VERSION]


def test_nothing_is_told_of_what_a_roll_out_replaced_while_it_is_under_way_or_once_it_is_live() -> None:
    given(*DEPLOYED, requested(SECOND)).when(INTERRUPT, READY).then()
    given(*DEPLOYED, requested(SECOND), succeeded(SECOND)).when(INTERRUPT, READY).then()


def test_a_failed_deployment_recovers() -> None:
    given(*FAILED).when(READY, READY).then(RECOVERED)


def test_that_a_live_service_is_ready_is_no_news() -> None:
    given(*DEPLOYED).when(READY).then()


def test_another_address_is_news() -> None:
    moved = RecordReadiness(deployment_id=FIRST, external_id="uid-2", url="http://other")
    given(*DEPLOYED).when(moved, moved).then(ServiceMoved(deployment_id=FIRST, external_id="uid-2", url="http://other"))


def test_an_object_disappears_once() -> None:
    given(*DEPLOYED).when(DISAPPEAR, DISAPPEAR).then(DISAPPEARED)


def test_the_object_of_a_failed_deployment_disappears_once() -> None:
    given(*FAILED).when(DISAPPEAR, DISAPPEAR).then(DISAPPEARED)


@pytest.mark.parametrize("since", [(), (requested(SECOND),), (requested(SECOND), failed(SECOND))])
def test_the_object_of_a_failed_deployment_is_known_until_it_is_gone(since: tuple[InferenceServiceEvent, ...]) -> None:
    undeploy = RequestUndeployment(undeployment_id=THIRD)
    given(*FAILED, *since).when(undeploy).then(undeployment_requested())


def test_another_object_s_disappearance_is_no_news() -> None:
    other = RecordDisappearance(deployment_id=FIRST, external_id="uid-0")
    given(*DEPLOYED).when(other).then()


@pytest.mark.parametrize("told", [(), (DISAPPEARED,)], ids=["there", "gone"])
def test_a_disappearance_that_an_earlier_deployment_is_told_of_is_no_news(
    told: tuple[InferenceServiceEvent, ...],
) -> None:
    earlier = RecordDisappearance(deployment_id=SECOND, external_id="uid-1", repair=Repair(THIRD))
    given(*DEPLOYED, *told).when(earlier).then()


def test_a_disappeared_object_is_requested_again_when_it_shall_be_repaired() -> None:
    repair = RecordDisappearance(deployment_id=FIRST, external_id="uid-1", repair=Repair(SECOND))
    given(*DEPLOYED).when(repair, repair).then(DISAPPEARED, requested(SECOND))


def test_a_disappearance_that_was_told_can_be_repaired_later() -> None:
    repair = RecordDisappearance(deployment_id=FIRST, external_id="", repair=Repair(SECOND))
    given(*DEPLOYED, DISAPPEARED).when(repair, repair).then(requested(SECOND))


def test_a_roll_out_that_makes_a_new_object_tells_that_the_old_one_is_gone() -> None:
    rolling_out = (*DEPLOYED, requested(SECOND))
    found = RecordApplied(deployment_id=SECOND, external_id="uid-2")
    gone = msgspec.structs.replace(DISAPPEARED, deployment_id=SECOND)
    taken = DeploymentApplied(deployment_id=SECOND, external_id="uid-2")
    given(*rolling_out).when(found, found).then(gone, taken)
    given(*rolling_out).when(RecordApplied(deployment_id=SECOND, external_id="uid-1")).then()


def test_nothing_is_known_any_more_of_what_a_roll_out_found_gone() -> None:
    gone = msgspec.structs.replace(DISAPPEARED, deployment_id=THIRD)
    found_gone = (*DEPLOYED, requested(SECOND), requested(THIRD), gone)
    undeploy = RequestUndeployment(undeployment_id=FIRST)
    given(*found_gone).when(undeploy).then(undeployment_requested(FIRST, None))
    given(*found_gone, failed(THIRD)).when(msgspec.structs.replace(READY, deployment_id=SECOND)).then()


def test_a_deployment_whose_object_was_made_anew_tells_the_new_one() -> None:
    found = RecordApplied(deployment_id=FIRST, external_id="uid-2")
    given(CREATED, requested(), applied()).when(found, found).then(
        DeploymentApplied(deployment_id=FIRST, external_id="uid-2")
    )


def test_a_drift_is_told_once() -> None:
    given(*DEPLOYED).when(DRIFT, DRIFT).then(DRIFTED)


def test_a_drift_that_was_told_can_be_repaired_later() -> None:
    repair = RecordDrift(deployment_id=FIRST, managers=("kubectl",), fields=(".spec",), repair=Repair(SECOND))
    given(*DEPLOYED, DRIFTED).when(repair, repair).then(requested(SECOND))


def test_a_stall_is_told_once_and_ends_with_the_undeployment() -> None:
    given(*UNDEPLOYING).when(STALL, STALL).then(STALLED)
    given(*UNDEPLOYING, STALLED, undeployed()).when(STALL).then()


@pytest.mark.parametrize("news", EVERY, ids=lambda news: type(news).__name__)
@pytest.mark.parametrize(
    "history",
    [(CREATED,), (CREATED, requested()), (*DEPLOYED, requested(SECOND)), (*UNDEPLOYING, undeployed())],
    ids=["idle", "deploying", "rolling out", "gone"],
)
def test_news_of_what_does_not_stand_any_more_is_ignored(
    history: tuple[InferenceServiceEvent, ...], news: Observation
) -> None:
    given(*history).when(news).then()


@pytest.mark.parametrize("news", EVERY, ids=lambda news: type(news).__name__)
def test_a_service_that_does_not_exist_has_no_news(news: Observation) -> None:
    given().when(news).then_refused(NotFoundError, "inference service not found")


def test_an_interrupted_service_can_be_undeployed() -> None:
    undeploy = RequestUndeployment(undeployment_id=THIRD)
    given(*DEPLOYED, INTERRUPTED).when(undeploy).then(undeployment_requested())


def test_a_late_confirmation_does_not_end_an_interruption() -> None:
    confirm = ConfirmDeployment(deployment_id=FIRST, external_id="uid-1", url="http://iris")
    given(*DEPLOYED, INTERRUPTED).when(confirm).then()
