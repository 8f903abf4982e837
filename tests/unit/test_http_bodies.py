"""What bodies say, and what is said about those that are wrong."""

from typing import Any, TypeVar
from uuid import UUID

import msgspec
import pytest
from msgspec import Struct

from modeltrail.http.bodies import (
    DeploymentOrder,
    EnvironmentCreation,
    ModelCreation,
    ModelPatch,
    VersionCreation,
    VersionPatch,
)
from modeltrail.http.body_reader import BodyReader
from modeltrail.http.errors import BadRequestError
from support.api import ARTIFACT

B = TypeVar("B", bound=Struct)

BAD_TEXT = "must be Unicode text without U+0000"
SOME_ID = UUID("abcdef00-1122-4344-9566-778899aabbcc")
VERSION = {"name": "v", **ARTIFACT}
ORDER = {"registered_model_id": str(SOME_ID), "serving_environment_id": str(SOME_ID)}


def read(kind: type[B], raw: bytes) -> B:
    return BodyReader(kind).read(raw)


def refused(kind: type[Struct], raw: bytes) -> str:
    with pytest.raises(BadRequestError) as refusal:
        read(kind, raw)
    return refusal.value.message


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "invalid body: must not be empty: expected a JSON object"),
        (b"  ", "invalid body: must not be empty: expected a JSON object"),
        (b"{", "invalid body: malformed JSON"),
        (b'{"name": "a"', "invalid body: malformed JSON"),
        (b'{"name": "a"} x', "invalid body: malformed JSON"),
        (b'{"name": NaN}', "invalid body: malformed JSON"),
        (b'{"name": "a\nb"}', "invalid body: malformed JSON"),
        (b"name=iris", "invalid body: malformed JSON"),
        (b"\xff\xfe", "invalid body: malformed JSON"),
        (b"[]", "invalid body: expected a JSON object"),
        (b"null", "invalid body: expected a JSON object"),
        (b'"name"', "invalid body: expected a JSON object"),
        (b'{"name": "a", "x": ' + b"[" * 100_000, "invalid body: nested too deep"),
        (b'{"name": 7}', "invalid name: expected a string"),
        (b'{"name": ["a"]}', "invalid name: expected a string"),
        (b'{"name": ""}', "invalid name: cannot be empty"),
        (b'{"name": null}', "invalid name: cannot be empty"),
        (b"{}", "invalid name: cannot be empty"),
        (b'{"name": "a", "description": {}}', "invalid description: expected a string"),
        (b'{"name": "a", "labels": []}', "invalid labels: expected a JSON object"),
        (b'{"name": "a", "labels": {"k": 1}}', "invalid labels: expected a string"),
        (b'{"name": "a", "labels": {"k": null}}', "invalid labels: expected a string"),
        (b'{"name": "a", "tags": "x"}', "invalid tags: expected a JSON object"),
        (b'{"name": "a", "tags": {"tasks": "x"}}', "invalid tags.tasks: expected a list"),
        (b'{"name": "a", "tags": {"tasks": [1]}}', "invalid tags.tasks: expected a string"),
        (b'{"name": "a", "parent_model_id": "x"}', "invalid parent_model_id: expected a UUID"),
        (b'{"name": "a", "parent_model_id": ""}', "invalid parent_model_id: expected a UUID"),
        (b'{"name": "a", "parent_model_id": 1}', "invalid parent_model_id: expected a UUID"),
    ],
)
def test_a_body_that_is_wrong_is_refused_in_plain_words(raw: bytes, message: str) -> None:
    assert refused(ModelCreation, raw) == message


@pytest.mark.parametrize(
    "text", [rb"\u0000", rb"a\u0000b", rb"\ud800", rb"\udc00", rb"\ud800x", b"\xff", b"\xed\xa0\x80"]
)
@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"name": "%b"}', "name"),
        (b'{"name": "a", "description": "%b"}', "description"),
        (b'{"name": "a", "owner_email": "%b"}', "owner_email"),
        (b'{"name": "a", "labels": {"%b": "x"}}', "labels"),
        (b'{"name": "a", "labels": {"x": "%b"}}', "labels"),
        (b'{"name": "a", "tags": {"tasks": ["x", "%b"]}}', "tags"),
    ],
)
def test_text_that_no_database_holds_is_refused(body: bytes, text: bytes, field: str) -> None:
    assert refused(ModelCreation, body % text) == f"invalid {field}: {BAD_TEXT}"


@pytest.mark.parametrize("text", [rb"\u0000", rb"\ud800", b"\xff"])
def test_what_stands_in_an_unknown_field_does_not_matter(text: bytes) -> None:
    assert read(ModelCreation, b'{"name": "a", "x": "%b"}' % text).name == "a"


def test_an_escaped_backslash_is_no_escape() -> None:
    assert read(ModelCreation, rb'{"name": "\\u0000"}').name == r"\u0000"


def test_characters_beyond_the_basic_plane_are_text() -> None:
    body = read(ModelCreation, rb'{"name": "\ud83d\ude00", "description": "\u00e9"}')

    assert (body.name, body.description) == ("\U0001f600", "é")


@pytest.mark.parametrize("form", ["{}", "urn:uuid:{}", "URN:UUID:{}", "{{{}}}"])
def test_a_uuid_may_come_in_every_form_that_go_takes(form: str) -> None:
    given = form.format(str(SOME_ID).upper())

    body = read(ModelCreation, msgspec.json.encode({"name": "a", "parent_model_id": given}))

    assert body.parent_model_id == SOME_ID


def test_a_body_does_not_show_what_it_holds() -> None:
    body = {"name": "v", **ARTIFACT, "secret_key": "s"}

    assert repr(read(VersionCreation, msgspec.json.encode(body))) == "VersionCreation()"


@pytest.mark.parametrize(
    ("kind", "body", "field", "limit"),
    [
        (ModelCreation, {}, "name", 100),
        (ModelCreation, {"name": "m"}, "owner_email", 255),
        (ModelPatch, {}, "name", 100),
        (VersionCreation, VERSION, "name", 100),
        (VersionCreation, VERSION, "uri", 500),
        (VersionCreation, VERSION, "container_image", 500),
        (VersionCreation, VERSION, "model_framework", 100),
        (VersionCreation, VERSION, "model_framework_version", 50),
        (VersionCreation, VERSION, "model_catalog_name", 200),
        (VersionCreation, VERSION, "created_by_email", 255),
        (VersionCreation, VERSION, "updated_by_email", 255),
        (VersionCreation, VERSION, "access_key", 500),
        (VersionCreation, VERSION, "secret_key", 500),
        (VersionPatch, {}, "name", 100),
        (VersionPatch, {}, "uri", 500),
        (VersionPatch, {}, "container_image", 500),
        (VersionPatch, {}, "model_framework", 100),
        (VersionPatch, {}, "model_framework_version", 50),
        (EnvironmentCreation, {}, "name", 100),
        (EnvironmentCreation, {"name": "e"}, "external_id", 255),
        (DeploymentOrder, ORDER, "name", 100),
    ],
)
def test_a_text_may_be_as_long_as_its_limit_and_no_longer(
    kind: type[Struct], body: dict[str, Any], field: str, limit: int
) -> None:
    longer = msgspec.json.encode(body | {field: "é" * (limit + 1)})

    assert refused(kind, longer) == f"invalid {field}: at most {limit} characters are allowed"
    assert getattr(read(kind, msgspec.json.encode(body | {field: "é" * limit})), field) == "é" * limit
