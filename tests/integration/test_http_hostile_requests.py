"""Whatever is wrong with a request, whichever route it goes to: a 4xx, nothing stored, and the next one is served."""

import msgspec
import pytest

from support.api import Json, Project, refusal
from support.routes import OPERATIONS, Route, fields_of, good_body, path_of, something_of_everything

TOO_LONG = 1_000_000  # characters; the whole body is just below the limit of 1 MiB
WRITES = sorted(route for route, operation in OPERATIONS.items() if "requestBody" in operation)
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")

BODIES = {
    "empty": b"",
    "no JSON": b"name=iris",
    "cut off": b'{"name": "iris"',
    "two values": b'{"name": "iris"} {}',
    "a list": b"[]",
    "null": b"null",
    "a number": b"7",
    "deep objects": b'{"labels": ' + b'{"a":' * 5000 + b"1" + b"}" * 5001,
    "deep lists under a name that is not known": b'{"unknown": ' + b"[" * 100_000,
    "a bare control character": b'{"name": "a\x00b"}',
    "NaN": b'{"name": NaN}',
}
TEXT = {
    "NUL": b'"a\\u0000b"',
    "lone surrogate": b'"\\ud800"',
    "surrogates the wrong way round": b'"\\udc00\\ud800"',
    "no UTF-8": b'"\xff\xfe"',
    "number": b"7",
    "list": b'["a"]',
    "object": b"{}",
    "digits": b"9" * 10_000,
}
LONG_TEXT = {"a megabyte": b'"' + b"x" * TOO_LONG + b'"'}
OF_TYPE = {
    "integer": {
        "gigantic": b"9" * 5000,
        "just too large": b"9223372036854775808",
        "just too small": b"-9223372036854775809",
        "infinite": b"1e400",
        "fraction": b"1.5",
        "text": b'"5"',
        "boolean": b"true",
    },
    "boolean": {"text": b'"true"', "number": b"1", "list": b"[]"},
    "object": {"list": b"[]", "text": b'"a"'},
}
OF_TEXTS = {
    "of numbers": b'{"a": 1, "tasks": 1}',
    "of lists of numbers": b'{"a": [1], "tasks": [1]}',
    "of NUL": b'{"a": "\\u0000", "tasks": ["\\u0000"]}',
    "of surrogates": b'{"a": "\\udfff", "tasks": ["\\udfff"]}',
}


def bad_values(field: Json) -> dict[str, bytes]:
    """Values, as JSON, that a field of this schema cannot have."""
    if "additionalProperties" in field or "tasks" in field.get("properties", ()):
        return OF_TYPE["object"] | OF_TEXTS
    if field["type"] != "string":
        return OF_TYPE[field["type"]]
    closed = {"maxLength", "enum", "format"} & field.keys()
    return TEXT | LONG_TEXT if closed else TEXT


def bad_bodies(route: Route, good: Json) -> dict[str, bytes]:
    """Bodies that differ from a good one in a single value."""
    bodies = {}
    for name, field in fields_of(route).items():
        for what, value in bad_values(field).items():
            others = {other: msgspec.Raw(msgspec.json.encode(given)) for other, given in good.items()}
            bodies[f"{name}: {what}"] = msgspec.json.encode(others | {name: msgspec.Raw(value)})
    return bodies


@pytest.mark.parametrize("route", WRITES, ids=" ".join)
async def test_a_body_that_cannot_be_right_is_refused_and_leaves_no_trace(project: Project, route: Route) -> None:
    method = route[0]
    ids = await something_of_everything(project)
    path = path_of(route, ids)
    good = good_body(route, ids, "next")
    before = await project.events()

    bad = bad_bodies(route, good)
    wrong = []
    for what, body in (BODIES | bad).items():
        status, message = refusal(await project.send(method, path, body))
        names_the_field = what not in bad or what.partition(":")[0] in message or message == "invalid state"
        if status != 400 or not names_the_field:
            wrong.append((what, status, message[:200]))

    assert not wrong
    assert await project.events() == before
    assert (await project.send(method, path, good)).is_success


async def test_a_method_that_a_route_has_not_is_refused_with_those_that_it_has(project: Project) -> None:
    ids = await something_of_everything(project)
    before = await project.events()

    for path in {path for _, path in OPERATIONS}:
        known = {method for method, other in OPERATIONS if other == path}
        for method in {*METHODS} - known:
            answer = await project.send(method, path.format(**ids), b'{"name": "x"}')
            assert refusal(answer)[0] == 405, (method, path)
            assert {name.strip() for name in answer.headers["allow"].split(",")} >= known

    assert await project.events() == before


async def test_a_route_below_or_beside_a_known_one_is_not_found(project: Project) -> None:
    ids = await something_of_everything(project)
    before = await project.events()

    for route in WRITES:
        method, path = route[0], route[1].format(**ids)
        for unknown in (f"{path}/x/y/z", f"{path}x/y/z/y", f"{path}/%2e%2e/nowhere", f"/v2{path}", path.upper()):
            answer = await project.send(method, unknown, good_body(route, ids, "next"))
            assert refusal(answer)[0] == 404, (method, unknown)

    assert await project.events() == before
