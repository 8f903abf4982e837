"""How KServe spells a model's framework, and which of its versions it can match.

KServe picks a ServingRuntime whose `supportedModelFormats` hold the name, the version if one is given (an
exact match, and the built-in runtimes list major versions only), and the protocol (`v1` unless stated).
What no runtime lists fails with `NoSupportingRuntime`. So a version is sent only when a built-in runtime of
v0.20 selects itself for it, and `protocolVersion` where the runtimes of a format speak only `v2`.

Sources: github.com/kserve/kserve, `RuntimeSupportsModel` and `GetSupportingRuntimes` in
pkg/apis/serving/v1beta1/predictor_model.go; the runtimes in install/v0.20.0/kserve-cluster-resources.yaml.
"""

import re

import msgspec


class ModelFormat(msgspec.Struct, frozen=True):
    """The part of a manifest that lets KServe choose a runtime."""

    name: str
    version: str | None = None
    protocol: str | None = None


class _Known(msgspec.Struct, frozen=True):
    versions: frozenset[str]
    protocol: str | None = None


_FORMATS = {
    "autogluon": _Known(frozenset({"1"})),
    "huggingface": _Known(frozenset({"1"}), "v2"),  # both work; KServe itself defaults to v2
    "lightgbm": _Known(frozenset({"4"})),
    "mlflow": _Known(frozenset({"1", "2"}), "v2"),
    "onnx": _Known(frozenset({"1"}), "v2"),
    "paddle": _Known(frozenset({"2"})),
    "pmml": _Known(frozenset({"3", "4"})),
    "pytorch": _Known(frozenset({"1"})),
    "sklearn": _Known(frozenset({"1"})),
    "tensorflow": _Known(frozenset({"1", "2"})),
    "tensorrt": _Known(frozenset({"8"}), "v2"),
    "triton": _Known(frozenset({"2"}), "v2"),
    "vLLM": _Known(frozenset({"1"})),  # the one name with capitals, and the match is exact
    "xgboost": _Known(frozenset({"2"})),
}

# What people write, without spaces, dots, hyphens and underscores, in lower case.
_SPELLINGS = {
    "huggingfacetransformers": "huggingface",
    "keras": "tensorflow",
    "lgbm": "lightgbm",
    "onnxruntime": "onnx",
    "paddlepaddle": "paddle",
    "scikit": "sklearn",
    "scikitlearn": "sklearn",
    "tf": "tensorflow",
    "torch": "pytorch",
    "torchscript": "pytorch",
    "torchserve": "pytorch",
    "transformers": "huggingface",
    "trt": "tensorrt",
    "tritonserver": "triton",
    "xgb": "xgboost",
} | {name.lower(): name for name in _FORMATS}


def is_known(framework: str) -> bool:
    """Whether KServe has runtimes for this framework by itself."""
    return _plain(framework) in _SPELLINGS


def known_formats() -> tuple[str, ...]:
    """The formats that KServe has runtimes for by itself."""
    return tuple(sorted(_FORMATS))


def _plain(framework: str) -> str:
    return re.sub(r"[\s._-]+", "", framework.lower())


def model_format(framework: str, version: str) -> ModelFormat:
    """KServe's view of a framework such as `scikit-learn` in a version such as `1.4.2`.

    An unknown framework keeps its name in lower case and loses its version: a runtime that an operator
    added is then found by name alone.
    """
    name = _SPELLINGS.get(_plain(framework))
    if name is None:
        return ModelFormat(framework.strip().lower())
    known = _FORMATS[name]
    major = re.match(r"v?(\d+)(?![\d\w])", version.strip())
    matched = major[1] if major and major[1] in known.versions else None
    return ModelFormat(name, matched, known.protocol)
