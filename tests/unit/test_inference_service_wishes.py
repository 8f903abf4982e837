"""What callers wish of an inference service: what is new in it, what is so already, and what is refused."""

from typing import Any

import pytest
from msgspec import structs

from modeltrail.domain.decider import INFERENCE_SERVICE
from modeltrail.domain.errors import ConflictError, NotFoundError, RuleError
from modeltrail.domain.inference_service_facts import InferenceServiceEvent, ServiceInterrupted
from modeltrail.domain.inference_service_messages import (
    AddServeModel,
    ChooseOptions,
    ChooseVersion,
    ConfirmUndeployment,
    DeleteService,
    DeploymentPostponed,
    DeploymentWithdrawn,
    OptionsChosen,
    PostponeDeployment,
    RelabelService,
    RemoveServeModel,
    RenameService,
    RequestDeployment,
    RequestUndeployment,
    ServeModelAdded,
    ServeModelRemoved,
    ServiceDeleted,
    ServiceRelabelled,
    ServiceRenamed,
    VersionChosen,
)
from modeltrail.domain.inference_service_state import Service
from modeltrail.domain.serving_options import LET_KSERVE_CHOOSE, ServingOptions
from support.given import fold, stories_of
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

DEPLOYING: tuple[InferenceServiceEvent, ...] = (CREATED, requested(), applied())
DEPLOYED = (*DEPLOYING, succeeded())
FAILED = (*DEPLOYING, failed())
ROLLING_OUT = (*DEPLOYED, requested(SECOND, OTHER_VERSION))
UNDEPLOYING = (*DEPLOYED, undeployment_requested())
IN_THE_CLUSTER = {
    "deploying": DEPLOYING,
    "deployed": DEPLOYED,
    "failed": FAILED,
    "rolling out": ROLLING_OUT,
    "undeploying": UNDEPLOYING,
}
INTERRUPTED = ServiceInterrupted(
    deployment_id=FIRST, registered_model_id=MODEL, model_version_id=VERSION, reason="NoPods", message="none"
)
DEPLOY = RequestDeployment(deployment_id=FIRST, target=target())
RENAME = RenameService(name="rose")
RENAMED = ServiceRenamed(name="rose", previous_name="iris")
RELABELLED = ServiceRelabelled(labels={"team": "garden"})
TWO_REPLICAS = ServingOptions(min_replicas=2)
WAIT = PostponeDeployment(model_version_id=VERSION, message="not ready", options=ServingOptions())
POSTPONED = DeploymentPostponed(model_version_id=VERSION, message="not ready", options=ServingOptions())
ADD = AddServeModel(model_version_id=OTHER_VERSION, model_version_name="v2")
ADDED = ServeModelAdded(model_version_id=OTHER_VERSION, model_version_name="v2", inference_service_name="iris")
REMOVE = RemoveServeModel(model_version_id=OTHER_VERSION)
REMOVED = ServeModelRemoved(model_version_id=OTHER_VERSION)
DELETE = DeleteService(undeployment_id=THIRD)
DELETED = ServiceDeleted(name="iris", registered_model_id=MODEL)

in_the_cluster = pytest.mark.parametrize("history", IN_THE_CLUSTER.values(), ids=IN_THE_CLUSTER)


def test_a_renamed_service_is_deployed_under_its_new_name() -> None:
    given(CREATED).when(RENAME, RENAME, DEPLOY).then(RENAMED, structs.replace(requested(), name="rose"))


@in_the_cluster
def test_what_may_be_in_the_cluster_keeps_its_name(history: tuple[InferenceServiceEvent, ...]) -> None:
    message = "inference service cannot be renamed while it is in the cluster; undeploy it first"
    given(*history).when(RENAME).then_refused(RuleError, message)


def test_new_labels_are_told_once_and_go_with_the_next_deployment() -> None:
    relabel = RelabelService(labels={"team": "garden"})
    expected = structs.replace(requested(), labels={"team": "garden"})

    given(CREATED).when(relabel, relabel, DEPLOY).then(RELABELLED, expected)


def test_other_options_are_chosen_once() -> None:
    choose = ChooseOptions(options=TWO_REPLICAS)

    given(CREATED).when(choose, choose).then(OptionsChosen(options=TWO_REPLICAS))


def test_no_runtime_and_the_one_that_kserve_chooses_are_the_same_choice() -> None:
    given(CREATED).when(ChooseOptions(options=ServingOptions(runtime=LET_KSERVE_CHOOSE))).then_nothing()
    given(CREATED).when(ChooseOptions(options=ServingOptions())).then_nothing()


def test_the_options_of_a_deployment_are_those_of_the_service_from_then_on() -> None:
    deployed_with = structs.replace(requested(), target=target(options=TWO_REPLICAS))

    given(CREATED, deployed_with).when(ChooseOptions(options=TWO_REPLICAS)).then_nothing()


def test_a_version_is_chosen_for_the_next_deployment() -> None:
    given(CREATED).when(ChooseVersion(model_version_id=OTHER_VERSION)).then(
        VersionChosen(model_version_id=OTHER_VERSION)
    )


def test_a_version_that_comes_back_stands_once_among_those_that_were_live() -> None:
    back = (*ROLLING_OUT, succeeded(SECOND, OTHER_VERSION), requested(THIRD), succeeded(THIRD))

    state = fold(INFERENCE_SERVICE, INFERENCE_SERVICE.initial, back)

    assert isinstance(state, Service)
    assert [each.model_version_id for each in state.lived] == [VERSION, OTHER_VERSION]


def test_a_deployment_is_postponed_once_and_again_when_something_else_is_wanted() -> None:
    others: tuple[dict[str, Any], ...] = (
        {"options": TWO_REPLICAS},
        {"model_version_id": OTHER_VERSION},
        {"message": "not ready yet"},
    )
    for other in others:
        wait = structs.replace(WAIT, **other)
        given(CREATED).when(WAIT, WAIT, wait, wait).then(POSTPONED, structs.replace(POSTPONED, **other))


@in_the_cluster
def test_what_may_be_in_the_cluster_does_not_wait(history: tuple[InferenceServiceEvent, ...]) -> None:
    given(*history).when(WAIT).then_refused(RuleError, "not ready")


def test_who_waits_is_undeployed_by_waiting_no_more() -> None:
    given(CREATED, POSTPONED).when(RequestUndeployment(undeployment_id=THIRD)).then(DeploymentWithdrawn())


def test_a_serve_model_is_added_once_for_each_version() -> None:
    message = "serve model already exists for this inference service and model version"

    given(CREATED).when(ADD).then(ADDED)
    given(CREATED, ADDED).when(ADD).then_refused(ConflictError, message)


def test_a_removed_serve_model_is_gone_and_can_be_added_again() -> None:
    other = structs.replace(ADDED, model_version_id=VERSION)

    given(CREATED, other, ADDED).when(REMOVE, ADD).then(REMOVED, ADDED)
    given(CREATED, other, ADDED).when(REMOVE, REMOVE).then_refused(NotFoundError, "serve model not found")
    given(CREATED, other, ADDED).when(REMOVE, structs.replace(REMOVE, model_version_id=VERSION)).then(
        REMOVED, structs.replace(REMOVED, model_version_id=VERSION)
    )


def test_a_deployment_brings_the_serve_model_of_its_version_which_stays_as_long_as_it_is_asked_for() -> None:
    served = structs.replace(REMOVE, model_version_id=VERSION)
    message = "cannot delete serve model: its version is deployed; undeploy the inference service first"

    given(*DEPLOYING).when(served).then_refused(RuleError, message)
    given(*DEPLOYED).when(served).then_refused(RuleError, message)
    given(*DEPLOYED, undeployment_requested()).when(served).then(structs.replace(REMOVED, model_version_id=VERSION))
    given(*UNDEPLOYING, undeployed()).when(served).then_refused(NotFoundError, "serve model not found")


def test_the_serve_model_of_the_version_before_stays_until_a_roll_out_is_live() -> None:
    before = structs.replace(REMOVE, model_version_id=VERSION)

    given(*ROLLING_OUT).when(before).then_refused(
        RuleError, "cannot delete serve model: its version is deployed; undeploy the inference service first"
    )
    given(*ROLLING_OUT, succeeded(SECOND, OTHER_VERSION)).when(before).then_refused(
        NotFoundError, "serve model not found"
    )


def test_a_second_deployment_of_a_version_makes_no_second_serve_model() -> None:
    again = (*DEPLOYED, requested(SECOND), undeployment_requested())
    served = structs.replace(REMOVE, model_version_id=VERSION)

    given(*again).when(served, served).then_refused(NotFoundError, "serve model not found")


@pytest.mark.parametrize("history", [(CREATED,), (CREATED, POSTPONED), UNDEPLOYING], ids=["idle", "waiting", "leaving"])
def test_a_service_with_nothing_to_take_away_is_just_deleted(history: tuple[InferenceServiceEvent, ...]) -> None:
    given(*history).when(DELETE).then(DELETED)


@pytest.mark.parametrize(
    "history", [DEPLOYING, FAILED, (*DEPLOYED, INTERRUPTED)], ids=["deploying", "failed", "interrupted"]
)
def test_what_a_deleted_service_may_have_left_is_taken_away_and_that_is_told_once(
    history: tuple[InferenceServiceEvent, ...],
) -> None:
    gone = ConfirmUndeployment(undeployment_id=THIRD)

    given(*history).when(DELETE, gone, gone).then(undeployment_requested(), DELETED, undeployed())


def test_a_service_that_is_live_is_not_deleted() -> None:
    given(*DEPLOYED).when(DELETE).then_refused(RuleError, "cannot delete deployed inference service")
