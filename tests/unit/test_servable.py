"""What KServe could never serve is refused with the way out."""

import pytest
from msgspec import structs

from modeltrail.domain.errors import RuleError
from modeltrail.domain.servable import STORAGE_PREFIXES, check_servable
from modeltrail.domain.serving_options import Resources, ServingOptions, check_options

NONE = ServingOptions()


@pytest.mark.parametrize("prefix", STORAGE_PREFIXES)
def test_what_kserve_reads_is_accepted(prefix: str) -> None:
    check_servable("sklearn", f"{prefix}models/iris", NONE)


@pytest.mark.parametrize("uri", ["", "/models/iris", "models/iris", "ftp://host/iris", "S3://models/iris", " s3://b"])
def test_what_kserve_cannot_read_is_refused(uri: str) -> None:
    with pytest.raises(RuleError, match="invalid uri: KServe cannot read") as refusal:
        check_servable("sklearn", uri, NONE)

    assert "s3://" in refusal.value.message


@pytest.mark.parametrize("framework", ["sklearn", "scikit-learn", "PyTorch", "torch", "XGBoost", "tf", "vllm"])
def test_common_spellings_of_frameworks_are_accepted(framework: str) -> None:
    check_servable(framework, "s3://models/iris", NONE)


def test_an_unknown_framework_needs_a_runtime_by_name() -> None:
    with pytest.raises(RuleError, match="invalid model_framework: KServe has no runtime for 'prophet'"):
        check_servable("prophet", "s3://models/iris", ServingOptions(runtime="kserve"))

    check_servable("prophet", "s3://models/iris", ServingOptions(runtime="our-prophet"))


@pytest.mark.parametrize("quantity", ["1", "500m", "1.5", ".5", "2Gi", "1e3", "100k", "1Ei"])
def test_quantities_as_kubernetes_writes_them_are_accepted(quantity: str) -> None:
    check_options(ServingOptions(resources=Resources(requests={"cpu": quantity, "nvidia.com/gpu": "1"})))


@pytest.mark.parametrize("quantity", ["", "much", "-1", "1 Gi", "1GB", "1gi", "."])
def test_what_is_no_quantity_is_refused(quantity: str) -> None:
    with pytest.raises(RuleError, match="is not a quantity for 'memory'"):
        check_options(ServingOptions(resources=Resources(limits={"memory": quantity})))


@pytest.mark.parametrize("runtime", ["Not A Name", "-a", "a_b", "a" * 254])
def test_what_is_no_runtime_is_refused(runtime: str) -> None:
    with pytest.raises(RuleError, match="invalid runtime"):
        check_options(ServingOptions(runtime=runtime))


def test_no_limit_of_replicas_is_not_less_than_some() -> None:
    check_options(ServingOptions(min_replicas=3, max_replicas=0))


def test_options_go_over_defaults_one_by_one() -> None:
    defaults = ServingOptions(min_replicas=1, runtime="theirs")

    assert ServingOptions(runtime="mine", max_replicas=0).over(defaults) == ServingOptions(
        min_replicas=1, max_replicas=0, runtime="mine"
    )


def test_a_request_beyond_its_limit_is_refused() -> None:
    fine = Resources(requests={"cpu": "1000m", "memory": "1Gi"}, limits={"cpu": "1", "memory": "1025Mi"})
    check_options(ServingOptions(resources=fine))
    greedy = structs.replace(fine, limits={"cpu": "999m"})
    with pytest.raises(RuleError, match="the request of '1000m' cpu is more than its limit, '999m'"):
        check_options(ServingOptions(resources=greedy))
