"""Quantities as Kubernetes writes them: `500m`, `2Gi`.

https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
"""

import re
from decimal import Decimal

_FORM = re.compile(r"(?P<number>[0-9]+(\.[0-9]*)?|\.[0-9]+)(?P<suffix>m|k|Ki|[MGTPE]i?|[eE][+-]?[0-9]+)?")
_DECIMAL = {suffix: Decimal(1000) ** power for power, suffix in enumerate(("", "k", "M", "G", "T", "P", "E"))}
_BINARY = {f"{suffix}i": Decimal(1024) ** power for power, suffix in enumerate("KMGTPE", start=1)}
_FACTORS = {**_DECIMAL, **_BINARY, "m": Decimal("0.001")}


def amount(quantity: str) -> Decimal | None:
    """How much that is; None when it is no quantity. `1000m` and `1` are as much, and so are `1024Mi` and `1Gi`."""
    found = _FORM.fullmatch(quantity)
    if found is None:
        return None
    number, suffix = Decimal(found["number"]), found["suffix"] or ""
    if suffix in _FACTORS:
        return number * _FACTORS[suffix]
    return number.scaleb(int(suffix[1:])) if len(suffix) < len("e+1000") else None
