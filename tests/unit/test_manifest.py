"""What a deployment asks of KServe, as a manifest."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from modeltrail.domain.model_format import ModelFormat, model_format
from modeltrail.domain.serving_options import DeploymentMode, Resources, ServingOptions
from modeltrail.workers.manifest import (
    DEPLOYMENT_ID,
    DEPLOYMENT_MODE,
    MODEL_ID,
    SERVICE_ID,
    VERSION_ID,
    manifest,
)
from support.cluster import desired

ID = "00000000-0000-0000-0000-00000000000{}"
LABEL = r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)"


def test_a_manifest_names_the_object_and_its_model() -> None:
    built = manifest(desired("iris", namespace="models", storage_uri="s3://bucket/iris"))

    assert built["apiVersion"] == "serving.kserve.io/v1beta1"
    assert built["kind"] == "InferenceService"
    assert (built["metadata"]["namespace"], built["metadata"]["name"]) == ("models", "iris")
    assert built["spec"] == {
        "predictor": {
            "model": {
                "modelFormat": {"name": "sklearn", "version": "1"},
                "storageUri": "s3://bucket/iris",
            }
        }
    }


def test_our_ids_are_labels_and_the_deployment_is_an_annotation() -> None:
    metadata = manifest(desired(deployment=4))["metadata"]

    assert metadata["labels"] == {SERVICE_ID: ID.format(1), MODEL_ID: ID.format(2), VERSION_ID: ID.format(3)}
    assert metadata["annotations"] == {DEPLOYMENT_ID: ID.format(4), DEPLOYMENT_MODE: "Standard"}


def test_the_deployment_mode_is_always_stated() -> None:
    knative = manifest(replace(desired(), mode=DeploymentMode.KNATIVE))

    assert knative["metadata"]["annotations"][DEPLOYMENT_MODE] == "Knative"


def test_a_service_account_is_named_in_the_predictor() -> None:
    built = manifest(replace(desired(), service_account="models-reader"))

    assert built["spec"]["predictor"]["serviceAccountName"] == "models-reader"


def test_valid_labels_stay_labels() -> None:
    metadata = manifest(desired(labels={"team": "fraud", "example.com/stage": ""}))["metadata"]

    assert metadata["labels"]["team"] == "fraud"
    assert metadata["labels"]["example.com/stage"] == ""


def test_a_value_that_no_label_may_have_becomes_an_annotation() -> None:
    metadata = manifest(desired(labels={"motto": "fast & correct", "long": "x" * 64}))["metadata"]

    assert metadata["annotations"]["motto"] == "fast & correct"
    assert metadata["annotations"]["long"] == "x" * 64
    assert metadata["labels"].keys() == {SERVICE_ID, MODEL_ID, VERSION_ID}


@pytest.mark.parametrize(
    ("key", "made"),
    [
        ("cost centre", "cost-centre"),
        ("-team-", "team"),
        ("Größe", "Gr-e"),
        ("not a domain/owner", "not-a-domain-owner"),
        ("example.com/cost centre", "example.com/cost-centre"),
        ("k" * 80, "k" * 63),
    ],
)
def test_a_key_is_made_valid_where_that_is_possible(key: str, made: str) -> None:
    metadata = manifest(desired(labels={key: "42"}))["metadata"]

    assert metadata["annotations"][made] == "42"


@pytest.mark.parametrize("key", ["模型", "", "/", "---"])
def test_a_key_of_which_nothing_is_left_stays_out_of_the_cluster(key: str) -> None:
    metadata = manifest(desired(labels={key: "42"}))["metadata"]

    assert "42" not in [*metadata["labels"].values(), *metadata["annotations"].values()]


@pytest.mark.parametrize("key", [SERVICE_ID, DEPLOYMENT_ID, "modelregistry.ai-platform/own idea"])
def test_a_users_label_never_stands_in_for_one_of_ours(key: str) -> None:
    assert manifest(desired(labels={key: "mine"})) == manifest(desired())


@pytest.mark.parametrize("key", [DEPLOYMENT_MODE, "autoscaling.knative.dev/max scale", "serving.kserve.io/stop"])
def test_a_users_label_never_becomes_an_annotation_that_commands_kserve(key: str) -> None:
    metadata = manifest(desired(labels={key: "not & a label"}))["metadata"]

    assert metadata["annotations"] == {DEPLOYMENT_ID: ID.format(1), DEPLOYMENT_MODE: "Standard"}


def test_two_keys_that_become_the_same_one_do_not_depend_on_their_order() -> None:
    one = manifest(desired(labels={"a b": "1", "a?b": "2"}))
    other = manifest(desired(labels={"a?b": "2", "a b": "1"}))

    assert one == other


def test_annotations_stay_within_what_kubernetes_allows() -> None:
    many = {f"note {number}": "x" * 5_000 for number in range(100)}

    annotations = manifest(desired(labels=many))["metadata"]["annotations"]

    assert sum(len(key) + len(value) for key, value in annotations.items()) < 256 * 1024
    assert DEPLOYMENT_ID in annotations


@given(st.dictionaries(st.text(max_size=80), st.text(max_size=80), max_size=8))
def test_whatever_a_user_writes_kubernetes_would_take_it(labels: dict[str, str]) -> None:
    metadata = manifest(desired(labels=labels))["metadata"]

    for key in (*metadata["labels"], *metadata["annotations"]):
        assert re.fullmatch(LABEL, key.rpartition("/")[2])
    for value in metadata["labels"].values():
        assert re.fullmatch(f"{LABEL}?", value)


@pytest.mark.parametrize(
    ("framework", "version", "expected"),
    [
        ("scikit-learn", "1.4.2", ModelFormat("sklearn", "1")),
        ("SKLearn", "0.24.2", ModelFormat("sklearn")),
        ("pytorch", "1.13", ModelFormat("pytorch", "1")),
        ("PyTorch", "2.1.0", ModelFormat("pytorch")),
        ("torch", "2", ModelFormat("pytorch")),
        ("tf", "2.15.0", ModelFormat("tensorflow", "2")),
        ("TensorFlow", "v2.15", ModelFormat("tensorflow", "2")),
        ("xgboost", "2.0.3", ModelFormat("xgboost", "2")),
        ("XGBoost", "1.7", ModelFormat("xgboost")),
        ("LightGBM", "4.3.0", ModelFormat("lightgbm", "4")),
        ("mlflow", "2.9", ModelFormat("mlflow", "2", "v2")),
        ("onnx", "1.15", ModelFormat("onnx", "1", "v2")),
        ("Triton", "24.05", ModelFormat("triton", None, "v2")),
        ("Hugging Face", "4.40.0", ModelFormat("huggingface", None, "v2")),
        ("paddlepaddle", "2.6", ModelFormat("paddle", "2")),
        ("pmml", "4.4", ModelFormat("pmml", "4")),
        ("vllm", "0.6", ModelFormat("vLLM")),
        (" Prophet ", "1.1", ModelFormat("prophet")),
        ("sklearn", "latest", ModelFormat("sklearn")),
        ("sklearn", "10.0", ModelFormat("sklearn")),
    ],
)
def test_frameworks_are_spelled_as_kserve_does_and_versions_sent_only_if_it_can_match_them(
    framework: str, version: str, expected: ModelFormat
) -> None:
    assert model_format(framework, version) == expected


def test_a_manifest_holds_the_options_that_are_set_and_no_others() -> None:
    plain = manifest(desired("iris"))["spec"]["predictor"]
    assert plain.keys() == {"model"}
    assert not {"runtime", "resources"} & plain["model"].keys()
    options = ServingOptions(
        min_replicas=0,
        max_replicas=3,
        resources=Resources(requests={"cpu": "500m"}),
        runtime="ours",
        protocol_version="v2",
        canary_traffic_percent=10,
    )

    predictor = manifest(replace(desired("iris"), options=options))["spec"]["predictor"]

    assert (predictor["minReplicas"], predictor["maxReplicas"], predictor["canaryTrafficPercent"]) == (0, 3, 10)
    model = predictor["model"]
    assert (model["runtime"], model["protocolVersion"]) == ("ours", "v2")
    assert model["resources"] == {"requests": {"cpu": "500m"}}
    assert model["modelFormat"] == {"name": "sklearn"}


def test_kserve_chooses_the_runtime_where_none_is_named() -> None:
    unnamed = manifest(replace(desired("iris"), options=ServingOptions(runtime="kserve")))

    assert unnamed == manifest(desired("iris"))
