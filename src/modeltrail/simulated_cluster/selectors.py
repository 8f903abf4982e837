"""Label and field selectors, which narrow a list or a watch."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from modeltrail.simulated_cluster.failures import bad_request
from modeltrail.simulated_cluster.store import Stored

Test = Callable[[Stored], bool]

_KEY = r"[A-Za-z0-9./_-]+"
_SET = re.compile(rf"({_KEY})\s+(in|notin)\s*\(([^)]*)\)")
_EQUAL = re.compile(rf"({_KEY})\s*(!=|==|=)\s*([A-Za-z0-9._-]*)")
_EXISTS = re.compile(rf"(!?)\s*({_KEY})")
_COMMA = re.compile(r",(?![^(]*\))")  # commas between parentheses belong to a set


@dataclass(frozen=True, slots=True)
class Selector:
    """All tests must pass; without any, everything does."""

    tests: tuple[Test, ...] = ()

    def matches(self, found: Stored) -> bool:
        return all(test(found) for test in self.tests)


def selector(namespace: str, labels: str, fields: str) -> Selector:
    """Raises `ApiError` 400 on a selector that cannot be read."""
    tests = [_label_test(part.strip()) for part in _COMMA.split(labels) if part.strip()]
    tests += [_field_test(part.strip()) for part in fields.split(",") if part.strip()]
    if namespace:
        tests.append(lambda found: found.key.namespace == namespace)
    return Selector(tuple(tests))


def _label_test(text: str) -> Test:
    if match := _SET.fullmatch(text):
        key, operator, values = match.groups()
        allowed = {value.strip() for value in values.split(",")}
        if operator == "in":
            return lambda found: found.labels.get(key) in allowed
        return lambda found: found.labels.get(key) not in allowed
    if match := _EQUAL.fullmatch(text):
        key, operator, value = match.groups()
        if operator == "!=":
            return lambda found: bool(found.labels.get(key) != value)
        return lambda found: bool(found.labels.get(key) == value)
    if match := _EXISTS.fullmatch(text):
        absent, key = match.groups()
        return lambda found: (key in found.labels) != bool(absent)
    raise bad_request(f'unable to parse requirement: found "{text}"')


def _field_test(text: str) -> Test:
    field, operator, value = text.partition("!=" if "!=" in text else "=")
    if not operator or field not in ("metadata.name", "metadata.namespace"):
        raise bad_request(f"field label not supported: {field}")
    wanted = value.removeprefix("=")
    equal = operator == "="
    if field == "metadata.name":
        return lambda found: (found.key.name == wanted) == equal
    return lambda found: (found.key.namespace == wanted) == equal
