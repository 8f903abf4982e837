"""What the worker compares the cluster with: which deployment an object may be of, and how that one stands."""

from uuid import UUID

import pytest

from modeltrail.domain.ids import DeploymentId
from modeltrail.domain.inference_service_facts import (
    EarlierVersionInterrupted,
    EarlierVersionRecovered,
    InferenceServiceEvent,
    ObjectDisappeared,
    ObjectDrifted,
    ServiceInterrupted,
    ServiceMoved,
)
from modeltrail.eventlog.record import Context, Recorded
from modeltrail.projections.standing_deployments import STANDING_DEPLOYMENTS, Standing, StandingDeployment
from support.fold import Fold
from support.samples import (
    CREATED,
    FIRST,
    MODEL,
    NOON,
    OTHER_VERSION,
    PROJECT,
    SECOND,
    SERVICE,
    THIRD,
    VERSION,
    applied,
    failed,
    requested,
    succeeded,
    undeployment_requested,
)

NEVER_SEEN = DeploymentId(UUID(int=0xD9))
LIVE: tuple[InferenceServiceEvent, ...] = (CREATED, requested(), applied(), succeeded())
ROLLING_OUT = (*LIVE, requested(SECOND, OTHER_VERSION))
INTERRUPTED = ServiceInterrupted(FIRST, MODEL, VERSION, "NoPods", "no pod is ready")


def row_after(*events: InferenceServiceEvent) -> StandingDeployment | None:
    context = Context(PROJECT, SERVICE, "request-1")
    recorded = [Recorded(at, SERVICE, at, event, NOON, context) for at, event in enumerate(events, start=1)]
    row = Fold(STANDING_DEPLOYMENTS).over(recorded).row(STANDING_DEPLOYMENTS, SERVICE)
    return None if row is None else row.deployment


def standing(*events: InferenceServiceEvent) -> StandingDeployment:
    deployment = row_after(*events)
    assert deployment is not None
    return deployment


def candidates(deployment: StandingDeployment) -> list[DeploymentId]:
    return [each for each in (FIRST, SECOND, THIRD, NEVER_SEEN) if deployment.may_be_of(each)]


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        (ROLLING_OUT, []),
        (LIVE, [FIRST]),
        ((*ROLLING_OUT, succeeded(SECOND, OTHER_VERSION)), [SECOND]),
        ((*ROLLING_OUT, failed(SECOND, OTHER_VERSION)), [FIRST, SECOND]),
        ((*ROLLING_OUT, requested(THIRD), failed(THIRD)), [FIRST, SECOND, THIRD]),
    ],
    ids=["asked for", "live", "rolled out", "failed", "failed after another"],
)
def test_an_object_may_be_of_what_was_answered_and_after_a_failure_of_what_came_before(
    history: tuple[InferenceServiceEvent, ...], expected: list[DeploymentId]
) -> None:
    assert candidates(standing(*history)) == expected


def test_an_object_that_a_roll_out_found_gone_is_of_nothing_that_came_before() -> None:
    gone = ObjectDisappeared(THIRD, MODEL, VERSION, "uid-1")
    left = standing(*ROLLING_OUT, requested(THIRD), gone, failed(THIRD))

    assert (candidates(left), left.external_id, left.earlier) == ([THIRD], "", None)


def test_it_is_known_why_each_deployment_is_not_ready() -> None:
    assert standing(*LIVE).interruption_of(FIRST) == ""
    assert standing(*LIVE, INTERRUPTED).interruption_of(FIRST) == "NoPods"
    assert standing(CREATED, requested(), failed()).interruption_of(FIRST) is None
    assert standing(*LIVE).interruption_of(NEVER_SEEN) is None

    refused = (*ROLLING_OUT, failed(SECOND, OTHER_VERSION))
    assert standing(*refused).interruption_of(FIRST) == ""
    assert standing(*refused).interruption_of(SECOND) is None
    earlier = EarlierVersionInterrupted(FIRST, MODEL, VERSION, "Evicted", "the node is full")
    assert standing(*refused, earlier).interruption_of(FIRST) == "Evicted"
    # What was not ready when it was to be replaced still is not, when that fails.
    still = (*LIVE, INTERRUPTED, requested(SECOND, OTHER_VERSION), failed(SECOND, OTHER_VERSION))
    assert standing(*still).interruption_of(FIRST) == "NoPods"


def test_an_attempt_that_serves_after_all_is_what_came_before_from_then_on() -> None:
    serves = EarlierVersionRecovered(SECOND, MODEL, OTHER_VERSION, "uid-2", "http://two")
    attempts = (*ROLLING_OUT, failed(SECOND, OTHER_VERSION), requested(THIRD), failed(THIRD))
    left = standing(*attempts, serves)

    assert (candidates(left), left.interruption_of(SECOND)) == ([SECOND, THIRD], "")
    assert (left.external_id, left.url) == ("uid-2", "http://two")


def test_what_was_seen_last_is_kept() -> None:
    moved = standing(*LIVE, ServiceMoved(deployment_id=FIRST, external_id="uid-2", url="http://two"))
    drifted = standing(*LIVE, ObjectDrifted(deployment_id=FIRST, managers=("kubectl",), fields=(".spec",)))

    assert (moved.external_id, moved.url, drifted.drift) == ("uid-2", "http://two", (".spec",))
    assert standing(CREATED, requested(), applied(external_id="uid-3")).external_id == "uid-3"


def test_what_is_wanted_is_what_was_asked_for_last() -> None:
    again = standing(CREATED, requested(), failed(), requested(SECOND, OTHER_VERSION))

    assert (again.wanted.deployment_id, again.wanted.target.model_version_id) == (SECOND, OTHER_VERSION)
    assert (again.standing, again.reason) == (Standing.REQUESTED, "")


def test_nothing_stands_where_nothing_is_to_be() -> None:
    assert row_after(*LIVE, undeployment_requested()) is None
