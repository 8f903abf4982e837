"""A canary from its request to its end, as the domain sees it."""

from uuid import UUID

import pytest
from msgspec import structs

from modeltrail.domain.canary_messages import CanaryAborted, CanaryDeployed, CanaryPromoted
from modeltrail.domain.decider import INFERENCE_SERVICE
from modeltrail.domain.errors import NotFoundError, RuleError
from modeltrail.domain.ids import DeploymentId, VersionId
from modeltrail.domain.inference_service_facts import (
    EarlierVersionRecovered,
    InferenceServiceEvent,
    ObjectDisappeared,
    RecordDisappearance,
    RecordInterruption,
    RecordReadiness,
    Repair,
    ServiceInterrupted,
)
from modeltrail.domain.inference_service_messages import (
    ConfirmDeployment,
    DeploymentRequested,
    OptionsChosen,
    RemoveServeModel,
    RequestDeployment,
    RequestUndeployment,
    Target,
    VersionChosen,
)
from modeltrail.domain.serving_options import DeploymentMode, ServingOptions, check_canary
from support.given import stories_of
from support.samples import (
    CREATED,
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
    undeployment_requested,
)

given = stories_of(INFERENCE_SERVICE)
LIVE: tuple[InferenceServiceEvent, ...] = (CREATED, requested(), applied(), succeeded())
CANARY = target(OTHER_VERSION, options=ServingOptions(canary_traffic_percent=10))
BESIDE = structs.replace(CANARY, canary_beside=VERSION)
BACK = target(aborts_canary=True)
FOURTH = DeploymentId(UUID(int=104))


def asked(wanted: Target, deployment: DeploymentId = SECOND) -> DeploymentRequested:
    return structs.replace(requested(deployment), target=wanted)


def canary(percent: int = 10, deployment: DeploymentId = SECOND, version: VersionId = OTHER_VERSION) -> CanaryDeployed:
    return CanaryDeployed(
        deployment_id=deployment,
        registered_model_id=MODEL,
        model_version_id=version,
        stable_version_id=VERSION,
        traffic_percent=percent,
        external_id="uid-1",
        url="http://iris",
    )


def wish(wanted: Target, deployment: DeploymentId = THIRD) -> RequestDeployment:
    return RequestDeployment(deployment_id=deployment, target=wanted)


ROLLING_OUT = (*LIVE, asked(BESIDE))
RUNNING = (*ROLLING_OUT, canary())
CONFIRM = ConfirmDeployment(deployment_id=SECOND, external_id="uid-1", url="http://iris")
PROMOTED = CanaryPromoted(deployment_id=SECOND, model_version_id=OTHER_VERSION)
ABORTED = CanaryAborted(deployment_id=SECOND, model_version_id=OTHER_VERSION, stable_version_id=VERSION)
BACK_TO_STABLE = (ABORTED, VersionChosen(model_version_id=VERSION), OptionsChosen(options=ServingOptions()))
GONE = ObjectDisappeared(deployment_id=SECOND, registered_model_id=MODEL, model_version_id=VERSION, external_id="uid-1")


def test_a_canary_leaves_the_rest_to_the_version_that_is_live() -> None:
    given(*LIVE).when(wish(CANARY, SECOND), CONFIRM).then(asked(BESIDE), canary())


def test_the_first_version_has_all_the_traffic_whatever_is_said() -> None:
    given(CREATED).when(wish(CANARY, SECOND)).then(asked(target(OTHER_VERSION)))


def test_a_canary_with_all_the_traffic_is_none() -> None:
    whole = target(OTHER_VERSION, options=ServingOptions(canary_traffic_percent=100))
    given(*LIVE).when(wish(whole, SECOND)).then(asked(target(OTHER_VERSION)))


def test_a_canary_gets_another_share_beside_the_same_version() -> None:
    more = structs.replace(CANARY, options=ServingOptions(canary_traffic_percent=50))
    given(*RUNNING).when(wish(more)).then(asked(structs.replace(more, canary_beside=VERSION), THIRD))


def test_a_promoted_canary_is_deployed_with_all_the_traffic() -> None:
    whole = target(OTHER_VERSION)
    confirm = structs.replace(CONFIRM, deployment_id=THIRD)
    for wanted in (whole, structs.replace(whole, canary_beside=VERSION)):
        given(*RUNNING).when(wish(wanted), confirm).then(PROMOTED, asked(whole, THIRD), succeeded(THIRD, OTHER_VERSION))


@pytest.mark.parametrize(
    "history",
    [ROLLING_OUT, RUNNING, (*ROLLING_OUT, failed(SECOND, OTHER_VERSION))],
    ids=["on its way", "running", "failed"],
)
def test_an_aborted_canary_gives_way_to_the_version_before(history: tuple[InferenceServiceEvent, ...]) -> None:
    given(*history).when(wish(BACK)).then(ABORTED, asked(BACK, THIRD))


@pytest.mark.parametrize("end", [(), (failed(THIRD),)], ids=["on its way", "failed"])
def test_until_an_abort_is_done_the_canary_gets_no_traffic_whatever_is_wished(
    end: tuple[InferenceServiceEvent, ...],
) -> None:
    aborting = (*RUNNING, ABORTED, asked(BACK, THIRD), *end)
    given(*aborting).when(wish(target(), FOURTH)).then(asked(BACK, FOURTH))
    message = (
        "a canary of this inference service is being aborted; until version 'v1' is live again,"
        " only that can be deployed"
    )
    given(*aborting).when(wish(target(OTHER_VERSION), FOURTH)).then_refused(RuleError, message)
    done = (*aborting, asked(BACK, FOURTH), succeeded(FOURTH))
    given(*done).when(wish(target())).then(requested(THIRD))


@pytest.mark.parametrize("history", [ROLLING_OUT, RUNNING], ids=["on its way", "running"])
@pytest.mark.parametrize("version", [VERSION, OTHER_VERSION], ids=["stable", "canary"])
def test_the_serve_models_beside_a_canary_stay(history: tuple[InferenceServiceEvent, ...], version: VersionId) -> None:
    message = "cannot delete serve model: its version is deployed; undeploy the inference service first"
    given(*history).when(RemoveServeModel(model_version_id=version)).then_refused(RuleError, message)


def test_a_canary_is_beside_a_roll_out_that_had_failed_and_serves_after_all() -> None:
    third = VersionId(MODEL)
    refused = (
        requested(SECOND, OTHER_VERSION),
        failed(SECOND, OTHER_VERSION),
        requested(THIRD, third),
        failed(THIRD, third),
    )
    serves = EarlierVersionRecovered(SECOND, MODEL, OTHER_VERSION, "uid-1", "http://iris")
    wish = target(third, options=ServingOptions(canary_traffic_percent=10))
    fourth = DeploymentId(MODEL)

    given(*LIVE, *refused, serves).when(RequestDeployment(deployment_id=fourth, target=wish)).then(
        asked(structs.replace(wish, canary_beside=OTHER_VERSION), fourth)
    )


def test_the_serve_model_of_a_canary_that_another_replaces_is_gone() -> None:
    third = VersionId(MODEL)
    replaced = (*RUNNING, asked(structs.replace(BESIDE, model_version_id=third), THIRD), canary(10, THIRD, third))
    removal = RemoveServeModel(model_version_id=OTHER_VERSION)
    given(*replaced).when(removal).then_refused(NotFoundError, "serve model not found")


def test_a_third_version_waits_for_the_end_of_the_canary() -> None:
    third = target(VersionId(MODEL))
    message = "a canary of this inference service is under way; promote or abort it first"
    given(*RUNNING).when(wish(third)).then_refused(RuleError, message)


@pytest.mark.parametrize("history", [ROLLING_OUT, (*ROLLING_OUT, failed(SECOND, OTHER_VERSION))])
def test_a_canary_that_is_not_ready_does_not_get_all_the_traffic(history: tuple[InferenceServiceEvent, ...]) -> None:
    message = "the canary of this inference service is not ready; wait until it is, or abort it"
    given(*history).when(wish(target(OTHER_VERSION))).then_refused(RuleError, message)


@pytest.mark.parametrize(
    "history",
    [ROLLING_OUT, RUNNING, (*ROLLING_OUT, failed(SECOND, OTHER_VERSION))],
    ids=["on its way", "running", "failed"],
)
def test_an_undeployed_canary_leaves_the_choice_with_the_version_before(
    history: tuple[InferenceServiceEvent, ...],
) -> None:
    undeploy = RequestUndeployment(undeployment_id=THIRD)
    given(*history).when(undeploy).then(*BACK_TO_STABLE, undeployment_requested(THIRD))


def test_a_canary_that_is_ready_after_all_has_its_share_and_no_more() -> None:
    ready = RecordReadiness(deployment_id=SECOND, external_id="uid-1", url="http://iris")
    given(*ROLLING_OUT, failed(SECOND, OTHER_VERSION)).when(ready).then(canary())
    interrupt = RecordInterruption(deployment_id=SECOND, reason="NoPods", message="none")
    interrupted = ServiceInterrupted(
        deployment_id=SECOND,
        registered_model_id=MODEL,
        model_version_id=OTHER_VERSION,
        reason="NoPods",
        message="none",
    )
    given(*RUNNING).when(interrupt, ready).then(interrupted, canary())


def test_the_object_of_a_canary_that_another_replaced_serves_the_version_that_is_live() -> None:
    ready = RecordReadiness(deployment_id=SECOND, external_id="uid-1", url="http://iris")
    replaced = (*ROLLING_OUT, asked(BESIDE, THIRD), failed(THIRD, OTHER_VERSION))
    given(*replaced).when(ready).then(EarlierVersionRecovered(SECOND, MODEL, VERSION, "uid-1", "http://iris"))


def test_a_canary_whose_object_is_gone_does_not_come_back_alone() -> None:
    repair = RecordDisappearance(deployment_id=SECOND, external_id="uid-1", repair=Repair(THIRD))
    given(*RUNNING).when(repair).then(GONE, *BACK_TO_STABLE, requested(THIRD))


def test_a_canary_whose_object_is_gone_before_it_is_ready_gives_way_to_the_version_before() -> None:
    gone = RecordDisappearance(deployment_id=SECOND, external_id="", repair=Repair(THIRD))
    given(*ROLLING_OUT).when(gone, gone).then(GONE, *BACK_TO_STABLE, requested(THIRD))
    given(*LIVE, requested(SECOND)).when(gone).then()


def test_a_canary_that_is_alone_gives_way_to_the_version_before() -> None:
    alone = RecordDisappearance(deployment_id=SECOND, external_id="", repair=Repair(THIRD), message="it is alone")
    gone = structs.replace(GONE, message="it is alone")
    given(*RUNNING).when(alone).then(gone, *BACK_TO_STABLE, requested(THIRD))


def test_a_canary_whose_object_is_gone_is_over_though_nobody_repairs_it() -> None:
    report = RecordDisappearance(deployment_id=SECOND, external_id="uid-1", repair=None)
    given(*RUNNING).when(report).then(GONE, *BACK_TO_STABLE)
    # What is wished next has nothing to promote or to abort.
    given(*RUNNING, GONE, *BACK_TO_STABLE).when(wish(target())).then(requested(THIRD))


def test_there_are_no_canaries_in_standard_mode() -> None:
    options = ServingOptions(canary_traffic_percent=0)
    with pytest.raises(RuleError, match="KServe splits traffic only in Knative mode"):
        check_canary(options, DeploymentMode.STANDARD)
    check_canary(options, DeploymentMode.KNATIVE)
    check_canary(ServingOptions(), DeploymentMode.STANDARD)
