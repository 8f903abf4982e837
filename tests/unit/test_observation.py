"""What is read from an InferenceService as the cluster sends it."""

import msgspec

from modeltrail.workers.cluster import Failure, ObservedService
from modeltrail.workers.observation import read_service


def test_words_of_a_failure_can_be_kept_by_the_database() -> None:
    said = "Traceback\0 ends here"
    found = read_service(
        msgspec.json.encode(
            {
                "metadata": {"name": "iris", "namespace": "models", "uid": "u"},
                "status": {
                    "conditions": [{"type": "Ready", "status": "False", "reason": "Failed", "message": said}],
                    "modelStatus": {
                        "transitionStatus": "BlockedByFailedLoad",
                        "lastFailureInfo": {"reason": "ModelLoadFailed", "message": said, "exitCode": 1},
                    },
                },
            }
        )
    )
    assert found.failed is not None
    assert found.failed.message == found.conditions[0].message == "Traceback\ufffd ends here"


def said(status: str, reason: str, transition: str) -> ObservedService:
    ready = {"type": "Ready", "status": status, "reason": reason, "message": f"{reason}, it says"}
    old_failure = {"reason": "ModelLoadFailed", "message": "of long ago"}
    model = {"transitionStatus": transition, "lastFailureInfo": old_failure}
    whole = {"metadata": {"name": "iris", "uid": "u"}, "status": {"conditions": [ready], "modelStatus": model}}
    return read_service(msgspec.json.encode(whole))


def test_a_roll_out_that_an_older_kserve_calls_ready_is_not() -> None:
    assert not said("True", "", "InProgress").ready


def test_a_roll_out_under_way_beside_pods_that_serve_is_no_interruption() -> None:
    rolling = said("Unknown", "ReplicaSetUpdated", "InProgress")
    assert (rolling.ready, rolling.failed, rolling.interruption) == (False, None, None)

    broken = said("Unknown", "ReplicaSetUpdated", "BlockedByFailedLoad")
    assert broken.interruption == ("ModelLoadFailed", "of long ago (ModelLoadFailed)")


def test_a_roll_out_that_kubernetes_gave_up_has_failed_for_that_reason() -> None:
    found = said("False", "ProgressDeadlineExceeded", "InProgress")

    assert found.failed == Failure("ProgressDeadlineExceeded", "ProgressDeadlineExceeded, it says")
    assert said("False", "MinimumReplicasUnavailable", "InProgress").failed is None


def served(*, applied: str, reported: str, created: str = "2026-03-03T14:00:00Z") -> bytes:
    """An object whose status says that it is ready."""
    managers = [
        {"manager": "modeltrail", "operation": "Apply", "time": applied},
        {"manager": "kserve", "operation": "Update", "subresource": "status", "time": reported},
    ]
    metadata = {"name": "iris", "uid": "u", "creationTimestamp": created, "managedFields": managers}
    status = {"conditions": [{"type": "Ready", "status": "True"}], "modelStatus": {"transitionStatus": "UpToDate"}}
    return msgspec.json.encode({"metadata": metadata, "status": status})


def test_a_status_from_before_the_apply_is_stale_and_one_of_the_same_second_or_the_next_is_unsure() -> None:
    before, at, next_, after = (f"2026-03-03T14:05:0{second}Z" for second in range(4))

    found = [read_service(served(applied=at, reported=reported)) for reported in (before, at, next_, after)]

    expected = [(True, False), (False, True), (False, True), (False, False)]
    assert [(each.stale, each.unsure) for each in found] == expected


def test_the_first_status_of_an_object_is_of_no_deployment_before() -> None:
    at = "2026-03-03T14:05:01Z"

    found = read_service(served(applied=at, reported=at, created=at))

    assert (found.unsure, found.ready) == (False, True)
