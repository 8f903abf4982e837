"""Where an object in the cluster is not what was applied."""

from typing import Any
from uuid import UUID

import msgspec
import pytest

from modeltrail.domain.serving_options import Resources, ServingOptions
from modeltrail.workers.drift import differences
from modeltrail.workers.manifest import DesiredService, manifest
from modeltrail.workers.observation import read_service

WANTED = manifest(
    DesiredService(
        name="iris",
        namespace="models",
        service_id=UUID(int=1),
        model_id=UUID(int=2),
        version_id=UUID(int=3),
        deployment_id=UUID(int=4),
        model_framework="sklearn",
        model_framework_version="1",
        storage_uri="s3://models/iris",
        labels={},
        options=ServingOptions(resources=Resources(requests={"cpu": "1000m", "memory": "1024Mi"})),
    )
)


@pytest.mark.parametrize(
    ("cpu", "expected"), [("1000m", ()), ("1", ()), ("2", (".spec.predictor.model.resources.requests.cpu",))]
)
def test_the_same_quantity_in_other_words_is_none(cpu: str, expected: tuple[str, ...]) -> None:
    written: Any = msgspec.json.decode(  # Any: JSON
        msgspec.json.encode(WANTED)
    )
    written["spec"]["predictor"]["model"]["resources"]["requests"] = {"cpu": cpu, "memory": "1Gi"}  # as KServe does

    assert differences(WANTED, read_service(msgspec.json.encode(written))) == expected
