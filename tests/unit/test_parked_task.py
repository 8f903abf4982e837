"""Tasks that the deploy worker fails at: parked once, and then retried or dismissed by somebody."""

import pytest

from modeltrail.domain.decider import INFERENCE_SERVICE
from modeltrail.domain.errors import NotFoundError, RuleError
from modeltrail.domain.ids import DeploymentId, VersionId
from modeltrail.domain.inference_service_facts import EarlierVersionRecovered, InferenceServiceEvent
from modeltrail.domain.inference_service_messages import (
    ConfirmDeployment,
    DeploymentFailed,
    ServiceDeleted,
)
from modeltrail.domain.parked_task_messages import (
    DismissTask,
    ParkTask,
    RetryTask,
    TaskDismissed,
    TaskParked,
    TaskRetried,
)
from support.given import stories_of
from support.samples import (
    CREATED,
    FIRST,
    MODEL,
    OTHER_VERSION,
    SECOND,
    THIRD,
    VERSION,
    requested,
    succeeded,
    undeployed,
    undeployment_requested,
)

given = stories_of(INFERENCE_SERVICE)

CAUSE = "KeyError in modeltrail.workers.manifest, line 56"
DEPLOYING: tuple[InferenceServiceEvent, ...] = (CREATED, requested())
UNDEPLOYING: tuple[InferenceServiceEvent, ...] = (*DEPLOYING, succeeded(), undeployment_requested())
DELETED: tuple[InferenceServiceEvent, ...] = (*UNDEPLOYING, ServiceDeleted(name="iris", registered_model_id=MODEL))
PARK = ParkTask(task_id=FIRST, tries=10, cause=CAUSE)
PARKED = TaskParked(task_id=FIRST, tries=10, cause=CAUSE)
PARK_LAST = ParkTask(task_id=THIRD, tries=10, cause=CAUSE)
PARKED_LAST = TaskParked(task_id=THIRD, tries=10, cause=CAUSE)
RETRY = RetryTask(task_id=FIRST, reason="mended")
DISMISS = DismissTask(task_id=FIRST, reason="nobody needs it")


def test_a_task_is_parked_once() -> None:
    given(*DEPLOYING).when(PARK, PARK).then(PARKED)


def test_what_has_its_answer_or_was_replaced_is_not_parked() -> None:
    given(*DEPLOYING, succeeded()).when(PARK).then_nothing()
    given(*DEPLOYING, requested(SECOND)).when(PARK).then_nothing()
    given(*UNDEPLOYING, undeployed()).when(PARK_LAST).then_nothing()


def test_a_task_that_is_retried_can_be_parked_again() -> None:
    again = TaskRetried(task_id=FIRST, reason="mended")
    given(*DEPLOYING, PARKED).when(RETRY, PARK).then(again, PARKED)


def dismissed_failure(deployment: DeploymentId, version: VersionId) -> DeploymentFailed:
    return DeploymentFailed(
        deployment_id=deployment,
        registered_model_id=MODEL,
        model_version_id=version,
        reason="Dismissed",
        message="given up by an operator: nobody needs it",
    )


def test_a_dismissed_deployment_has_failed_for_the_reason_given() -> None:
    dismissed = TaskDismissed(task_id=FIRST, reason="nobody needs it")
    given(*DEPLOYING, PARKED).when(DISMISS).then(dismissed, dismissed_failure(FIRST, VERSION))


def test_of_a_dismissed_roll_out_is_told_that_the_version_before_serves_on() -> None:
    dismiss = DismissTask(task_id=THIRD, reason="nobody needs it")
    unanswered = (*DEPLOYING, succeeded(), requested(SECOND), requested(THIRD, OTHER_VERSION), PARKED_LAST)
    given(*unanswered).when(dismiss).then(
        TaskDismissed(task_id=THIRD, reason="nobody needs it"),
        dismissed_failure(THIRD, OTHER_VERSION),
        EarlierVersionRecovered(FIRST, MODEL, VERSION, "uid-1", "http://iris"),
    )


@pytest.mark.parametrize("history", [UNDEPLOYING, DELETED], ids=["undeploying", "deleted"])
def test_a_dismissed_undeployment_is_done_on_the_operator_s_word(history: tuple[InferenceServiceEvent, ...]) -> None:
    dismiss = DismissTask(task_id=THIRD, reason="removed by hand")
    dismissed = TaskDismissed(task_id=THIRD, reason="removed by hand")
    given(*history).when(PARK_LAST, dismiss).then(PARKED_LAST, dismissed, undeployed())


def test_a_service_that_is_deleted_while_its_undeployment_is_parked_can_be_retried() -> None:
    history = (*UNDEPLOYING, PARKED_LAST, DELETED[-1])
    given(*history).when(RetryTask(task_id=THIRD)).then(TaskRetried(task_id=THIRD, reason=""))


@pytest.mark.parametrize("wish", [RETRY, DISMISS], ids=["retry", "dismiss"])
@pytest.mark.parametrize(
    "history",
    [DEPLOYING, (*DEPLOYING, PARKED, requested(SECOND)), (*DEPLOYING, PARKED, succeeded()), UNDEPLOYING],
    ids=["at work", "replaced", "answered", "another"],
)
def test_what_is_not_parked_is_neither_retried_nor_dismissed(
    history: tuple[InferenceServiceEvent, ...], wish: RetryTask | DismissTask
) -> None:
    given(*history).when(wish).then_refused(RuleError, f"task {FIRST} is not parked, or not any more")


def test_a_late_answer_to_a_parked_task_counts() -> None:
    confirmed = ConfirmDeployment(deployment_id=FIRST, external_id="uid-1", url="http://iris")
    given(*DEPLOYING, PARKED).when(confirmed).then(succeeded())


def test_a_service_that_does_not_exist_has_no_tasks() -> None:
    given().when(PARK).then_refused(NotFoundError, "inference service not found")
