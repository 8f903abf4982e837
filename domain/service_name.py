"""Names of inference services: what Kubernetes and KServe accept, and one for those who gave none."""

import re

from modeltrail.domain.errors import RuleError
from modeltrail.domain.ids import VersionId

# KServe's own rule: pkg/apis/serving/v1beta1/inference_service_validation.go, IsvcNameFmt.
SERVICE_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
# The host is `{name}-predictor-{namespace}.…`; a DNS label holds 63.
HOST_LABEL_LENGTH = 63
PREDICTOR = "-predictor-"
# The pods have the label `app: isvc.{name}-predictor`, as a Deployment demands; a label's value holds 63, too.
# KServe: GetRawServiceLabel in pkg/constants/constants.go.
LONGEST_NAME = 63 - len("isvc.") - len("-predictor")


def check_name(name: str, namespace: str) -> None:
    """Refuse a name that Kubernetes or KServe would refuse, now and not after minutes.

    Raises RuleError saying why.
    """
    if not SERVICE_NAME.fullmatch(name):
        raise RuleError(
            f"invalid name: {name!r} must start with a lower-case letter, hold only a-z, 0-9 and '-', and end with"
            " a letter or digit"
        )
    longest = _longest_name(namespace)
    if len(name) > longest:
        raise RuleError(
            f"invalid name: {name!r} has {len(name)} characters; in namespace {namespace!r} KServe has room for"
            f" {max(longest, 0)}, because '{{name}}{PREDICTOR}{{namespace}}' and 'isvc.{{name}}-predictor' must stay"
            f" within {HOST_LABEL_LENGTH}"
        )


def made_up_name(slug: str, version: VersionId, namespace: str, taken: int) -> str:
    """A valid name for a deployment that was given none: `<slug>-<first 8 of the version id>`, cut to fit.

    `taken` says how many names were found taken before: from 1 on, a number is added. A namespace so long that no name
    has room beside it (see `check_name`) leaves no valid one to make up.
    """
    number = f"-{taken + 1}" if taken else ""
    ending = f"-{str(version)[:8]}"
    room = _longest_name(namespace) - len(number)
    stem = slug.lstrip("-0123456789")[: max(room - len(ending), 1)].strip("-") or "m"
    return (stem + ending)[: max(room, 1)].rstrip("-") + number


def _longest_name(namespace: str) -> int:
    return min(HOST_LABEL_LENGTH - len(PREDICTOR) - len(namespace), LONGEST_NAME)
