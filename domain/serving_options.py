"""How a version is to be served: what every user of KServe sets, as far as it is set.

Nothing set means: as the serving environment says, else as KServe does by itself.
"""

import re
from enum import StrEnum

from msgspec import Struct, structs

from modeltrail.domain.errors import RuleError
from modeltrail.domain.quantity import amount

LET_KSERVE_CHOOSE = "kserve"
PROTOCOLS = ("v1", "v2", "grpc-v1", "grpc-v2")

# A resource is `cpu`, `memory`, or something with a domain such as `nvidia.com/gpu`.
_RESOURCE = re.compile(r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_RUNTIME = re.compile(r"(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


class DeploymentMode(StrEnum):
    """How KServe runs a service; it cannot be changed later."""

    STANDARD = "Standard"
    KNATIVE = "Knative"


class Resources(Struct, frozen=True):
    """Quantities as Kubernetes writes them (`500m`, `2Gi`), by the resource's name."""

    requests: dict[str, str] = {}
    limits: dict[str, str] = {}


class ServingDefaults(Struct, frozen=True, omit_defaults=True):
    """What is set; None is not."""

    min_replicas: int | None = None
    max_replicas: int | None = None
    resources: Resources | None = None
    runtime: str | None = None
    protocol_version: str | None = None

    @property
    def named_runtime(self) -> str | None:
        """The ServingRuntime that is asked for by name."""
        return None if self.runtime in (None, "", LET_KSERVE_CHOOSE) else self.runtime


class ServingOptions(ServingDefaults, frozen=True, omit_defaults=True):
    """What is set for one deployment. `canary_traffic_percent` goes to the new version, the rest to the old."""

    canary_traffic_percent: int | None = None

    def over(self, defaults: ServingDefaults) -> "ServingOptions":
        """These options, and `defaults` where nothing is set."""
        named = {field: value for field, value in structs.asdict(self).items() if value is not None}
        return ServingOptions(**{**structs.asdict(defaults), **named})

    def mean_the_same_as(self, others: "ServingOptions") -> bool:
        """Whether it makes no difference which of the two are taken: there are two ways to name no runtime."""
        return structs.replace(self, runtime=self.named_runtime) == structs.replace(
            others, runtime=others.named_runtime
        )

    def with_all_traffic(self) -> "ServingOptions":
        """These options for a version that is no canary."""
        return structs.replace(self, canary_traffic_percent=None)


def check_options(options: ServingDefaults) -> None:
    """Refuse what Kubernetes or KServe would refuse. Raises RuleError saying why."""
    low, high = options.min_replicas, options.max_replicas
    if low is not None and high and low > high:
        raise RuleError(f"invalid max_replicas: {high} is less than min_replicas, {low}")
    if options.named_runtime and not _RUNTIME.fullmatch(options.named_runtime):
        raise RuleError(
            f"invalid runtime: {options.named_runtime!r} is not a valid name for a ServingRuntime (lower-case letters,"
            f" digits, '-' and '.'); leave it out, or say {LET_KSERVE_CHOOSE!r}, to let KServe choose"
        )
    if options.protocol_version is not None and options.protocol_version not in PROTOCOLS:
        raise RuleError(f"invalid protocol_version: expected one of {', '.join(PROTOCOLS)}")
    if options.resources is not None:
        _check_quantities(options.resources.requests)
        _check_quantities(options.resources.limits)
        _check_limits(options.resources)


def check_canary(options: ServingOptions, mode: DeploymentMode) -> None:
    """Refuse a canary where KServe knows none. Raises RuleError.

    https://kserve.github.io/website/docs/model-serving/predictive-inference/rollout-strategies/canary
    """
    if options.canary_traffic_percent is not None and mode is not DeploymentMode.KNATIVE:
        raise RuleError(
            f"invalid canary_traffic_percent: KServe splits traffic only in Knative mode, and this service deploys in"
            f" {mode.value} mode; leave it out, or set KSERVE_DEPLOYMENT_MODE=Knative"
        )


def _check_quantities(quantities: dict[str, str]) -> None:
    for resource, quantity in quantities.items():
        if not _RESOURCE.fullmatch(resource):
            raise RuleError(f"invalid resources: {resource!r} is not a name of a resource such as 'cpu' or 'memory'")
        if amount(quantity) is None:
            raise RuleError(
                f"invalid resources: {quantity!r} is not a quantity for {resource!r}, such as '500m' or '2Gi'"
            )


def _check_limits(resources: Resources) -> None:
    """KServe takes a request beyond its limit, and then tries for ever to make pods that Kubernetes refuses."""
    for resource, requested in resources.requests.items():
        limit = resources.limits.get(resource, requested)
        if (amount(requested) or 0) > (amount(limit) or 0):
            raise RuleError(
                f"invalid resources: the request of {requested!r} {resource} is more than its limit, {limit!r}"
            )
