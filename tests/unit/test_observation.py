"""What is read from an InferenceService as the cluster sends it."""

import msgspec
import pytest

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


def said(ready: str, predictor: tuple[str, str], transition: str) -> ObservedService:
    """What is read when KServe says this of readiness, this of the predictor and why, and that of the model."""
    status, reason = predictor
    no_ingress = {} if ready == "True" else {"reason": "Predictor ingress not created"}
    conditions = [
        {"type": "IngressReady", "status": ready, **no_ingress},
        {"type": "PredictorReady", "status": status, "reason": reason, "message": f"{reason}, it says"},
        {"type": "Ready", "status": ready, **no_ingress},
    ]
    old_failure = {"reason": "ModelLoadFailed", "message": "of long ago"}
    model = {"transitionStatus": transition, "lastFailureInfo": old_failure}
    whole = {"metadata": {"name": "iris", "uid": "u"}, "status": {"conditions": conditions, "modelStatus": model}}
    return read_service(msgspec.json.encode(whole))


ROLLED_OUT, ROLLING_OUT = ("True", "NewReplicaSetAvailable"), ("True", "MinimumReplicasAvailable")


def test_a_roll_out_that_kserve_calls_ready_is_not() -> None:
    assert said("True", ROLLED_OUT, "UpToDate").ready
    assert not said("True", ROLLED_OUT, "InProgress").ready
    under_way = said("True", ROLLING_OUT, "UpToDate")
    assert (under_way.ready, under_way.failed, under_way.interruption) == (False, None, None)


def test_a_roll_out_under_way_beside_pods_that_serve_is_no_interruption() -> None:
    rolling = said("False", ("Unknown", "ReplicaSetUpdated"), "InProgress")
    assert (rolling.ready, rolling.failed, rolling.interruption) == (False, None, None)

    broken = said("False", ("Unknown", "ReplicaSetUpdated"), "BlockedByFailedLoad")
    assert broken.interruption == ("ModelLoadFailed", "of long ago (ModelLoadFailed)")


@pytest.mark.parametrize("reason", ["ProgressDeadlineExceeded", "FailedCreate"])
def test_a_roll_out_that_kubernetes_gave_up_has_failed_for_that_reason(reason: str) -> None:
    assert said("False", ("False", reason), "InProgress").failed == Failure(reason, f"{reason}, it says")
    assert said("False", ("False", "MinimumReplicasUnavailable"), "InProgress").failed is None


def test_why_a_service_is_not_ready_is_what_kserve_says_of_its_predictor() -> None:
    down = said("False", ("False", "MinimumReplicasUnavailable"), "UpToDate")
    words = "KServe says that the service is not ready: MinimumReplicasUnavailable, it says"
    assert down.interruption == ("MinimumReplicasUnavailable", words)

    unreachable = said("False", ROLLED_OUT, "UpToDate")
    assert unreachable.interruption is not None
    assert unreachable.interruption[0] == "Predictor ingress not created"


def test_why_knative_gave_a_revision_up_is_what_it_says_of_the_configuration() -> None:
    words = "Revision 'iris-00001' failed with message: Initial scale was never achieved."
    conditions = [
        {"type": "PredictorConfigurationReady", "status": "False", "reason": "RevisionFailed", "message": words},
        {"type": "PredictorReady", "status": "False", "reason": "RevisionMissing", "message": "there is none"},
        {"type": "Ready", "status": "False", "reason": "Predictor ingress not created"},
    ]
    status = {"conditions": conditions, "modelStatus": {"transitionStatus": "InProgress"}}

    found = read_service(msgspec.json.encode({"metadata": {"name": "iris"}, "status": status}))

    assert found.failed == Failure("RevisionFailed", words)


def test_who_was_killed_and_wrote_nothing_took_too_much_memory_as_a_rule() -> None:
    model = {
        "transitionStatus": "BlockedByFailedLoad",
        "lastFailureInfo": {"reason": "ModelLoadFailed", "exitCode": 137},
    }
    whole = {"metadata": {"name": "iris", "uid": "u"}, "status": {"modelStatus": model}}

    failed = read_service(msgspec.json.encode(whole)).failed

    assert failed is not None
    assert failed.in_words().startswith("the container was killed, as a rule because it took more memory")
    assert failed.in_words().endswith("(ModelLoadFailed, exit code 137)")


def served(*, applied: str, reported: str, created: str = "2026-03-03T14:00:00Z", generation: int = 1) -> bytes:
    """An object whose status says that it is ready."""
    managers = [
        {"manager": "modeltrail", "operation": "Apply", "time": applied},
        {"manager": "kserve", "operation": "Update", "subresource": "status", "time": reported},
    ]
    metadata = {
        "name": "iris",
        "uid": "u",
        "creationTimestamp": created,
        "generation": generation,
        "managedFields": managers,
    }
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


def test_of_an_object_changed_in_the_second_of_its_creation_nobody_knows() -> None:
    at = "2026-03-03T14:05:01Z"

    assert read_service(served(applied=at, reported=at, created=at, generation=2)).unsure


def of_revision(created: str, *, ready: str = "", rolled_out: str = "v1-00001", replaces: str = "v1-00001") -> bytes:
    """An object in Knative mode whose status, written in the second of the apply, says that it is ready."""
    at = "2026-03-03T14:05:01Z"
    managers = [
        {"manager": "modeltrail", "operation": "Apply", "time": at},
        {"manager": "kserve", "operation": "Update", "subresource": "status", "time": at},
    ]
    predictor = {
        "latestCreatedRevision": created,
        "latestReadyRevision": ready or created,
        "latestRolledoutRevision": rolled_out,
    }
    metadata = {
        "name": "iris",
        "uid": "u",
        "managedFields": managers,
        "annotations": {"modelregistry.ai-platform/replaces-revision": replaces},
    }
    status = {
        "components": {"predictor": predictor},
        "conditions": [{"type": "Ready", "status": "True"}],
        "modelStatus": {"transitionStatus": "UpToDate"},
    }
    return msgspec.json.encode({"metadata": metadata, "status": status})


def test_a_status_that_names_the_revision_of_before_is_of_before_and_one_that_names_another_is_not() -> None:
    before, after = read_service(of_revision("v1-00001")), read_service(of_revision("v2-00002"))

    assert (before.of_before, before.unsure) == (True, True)
    assert (after.of_before, after.unsure, after.ready) == (False, False, True)


def test_a_revision_that_is_not_up_is_not_ready_whatever_else_is_said() -> None:
    assert not read_service(of_revision("v2-00002", ready="v1-00001")).ready


def test_a_canary_that_got_all_the_traffic_is_alone() -> None:
    assert not read_service(of_revision("v2-00002")).alone
    assert read_service(of_revision("v2-00002", rolled_out="v2-00002")).alone
    # What still is of before says nothing of the canary.
    assert not read_service(of_revision("v1-00001")).alone


def test_in_standard_mode_the_revision_is_the_replica_set_that_kserve_names() -> None:
    def named(reason: str, message: str) -> str:
        predictor = {"type": "PredictorReady", "status": "True", "reason": reason, "message": message}
        return read_service(
            msgspec.json.encode({"metadata": {"name": "iris"}, "status": {"conditions": [predictor]}})
        ).revision

    assert named("NewReplicaSetAvailable", 'ReplicaSet "iris-7c46" has successfully progressed.') == "iris-7c46"
    assert named("NewReplicaSetCreated", 'Created new replica set "iris-7c46"') == "iris-7c46"
    assert named("MinimumReplicasAvailable", "Deployment has minimum availability.") == ""
