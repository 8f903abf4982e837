"""What is read from an InferenceService as the cluster sends it."""

import msgspec

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
