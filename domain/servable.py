"""Whether KServe could serve a version at all: known before anything is created, and said at the click."""

from modeltrail.domain.errors import RuleError
from modeltrail.domain.model_format import is_known, known_formats
from modeltrail.domain.serving_options import ServingOptions

# SupportedStorageURIPrefixList of KServe, pkg/controller/v1beta1/inferenceservice/utils. Its webhook lets a bare path
# pass, and the storage initializer then finds nothing there.
STORAGE_PREFIXES = (
    "gs://",
    "s3://",
    "pvc://",
    "file://",
    "https://",
    "http://",
    "hdfs://",
    "webhdfs://",
    "oci://",
    "hf://",
)


def check_servable(framework: str, uri: str, options: ServingOptions) -> None:
    """Refuse a framework that no runtime serves, and a URI that KServe cannot read. Raises RuleError saying why."""
    if not uri.startswith(STORAGE_PREFIXES):
        raise RuleError(
            f"invalid uri: KServe cannot read {uri!r}; it reads {', '.join(STORAGE_PREFIXES)}. Change the version's uri"
        )
    if not is_known(framework) and options.named_runtime is None:
        raise RuleError(
            f"invalid model_framework: KServe has no runtime for {framework!r}; it has some for"
            f" {', '.join(known_formats())}. Change the version's model_framework, or name a ServingRuntime"
            " in 'runtime'"
        )
