"""The API's document: valid, whole, and said by the very things that it is about."""

import re
from collections.abc import Iterator
from typing import cast

import litestar
import msgspec
import pytest
from litestar import Litestar, Router
from litestar.routes import HTTPRoute
from openapi_spec_validator import validate

from modeltrail.http.answers import Answer, json
from modeltrail.http.app import BASE_PATH, create_app
from modeltrail.http.bodies import EnvironmentCreation
from modeltrail.http.documentation import Operation, Tag, one
from modeltrail.http.limits import BODY_SECONDS, LARGEST_BODY
from modeltrail.http.openapi import UndocumentedRouteError, describe
from modeltrail.http.routes import OPERATION, post
from modeltrail.http.services import Services
from modeltrail.projections.serving_environments import EnvironmentBody
from support.fuzzing import Json, operations


@pytest.fixture(scope="module")
def app() -> Litestar:
    return create_app(cast("Services", None))  # no route is called


@pytest.fixture(scope="module")
def document(app: Litestar) -> Json:
    return cast("Json", msgspec.json.decode(app.state.schema.as_json))


def test_the_document_is_valid_openapi(document: Json) -> None:
    validate(document)
    assert document["openapi"] == "3.1.0"


def test_the_document_names_the_routes_that_exist_and_no_others(app: Litestar, document: Json) -> None:
    existing = {
        (route.path_format, method.lower())
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for method in route.methods
        if method != "OPTIONS"
    }

    assert {(path, method) for path, methods in document["paths"].items() for method in methods} == existing
    assert len(existing) >= 20


@post(
    "/undocumented",
    Operation(tag=Tag("Test", "A test."), takes=EnvironmentCreation, success=one(EnvironmentBody, "It.", 201)),
)
async def documented() -> Answer:
    """Do it.

    With care.
    """
    return json(201, b"{}")


def test_a_route_says_of_itself_what_it_reads_and_answers() -> None:
    described = describe(Litestar([documented], openapi_config=None).routes, BASE_PATH)["paths"]["/undocumented"]

    assert described["post"]["summary"] == "Do it"
    assert described["post"]["description"] == "With care."
    body = described["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body == {"$ref": "#/components/schemas/EnvironmentCreation"}
    answer = described["post"]["responses"]["201"]
    assert answer["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Environment"}
    assert answer["headers"].keys() == {"X-Request-ID", "ETag"}


def test_a_route_without_documentation_is_refused() -> None:
    @litestar.get("/silent")  # noqa: TID251 - what must not pass
    async def silent() -> Answer:
        return json(200, b"{}")

    app = Litestar([Router(BASE_PATH, route_handlers=[silent])], openapi_config=None)

    with pytest.raises(UndocumentedRouteError, match="silent"):
        describe(app.routes, BASE_PATH)
    assert OPERATION not in silent.opt


def test_every_operation_has_a_name_of_its_own_and_a_summary(document: Json) -> None:
    names = [each["operationId"] for each in operations(document)]

    assert len(names) == len(set(names))
    assert all(each["summary"] for each in operations(document))
    assert not any(each.get("deprecated") for each in operations(document))


def statuses(document: Json, method: str, path: str) -> set[str]:
    return set(document["paths"][path][method]["responses"])


def test_statuses_that_many_routes_share_stand_where_they_can_occur(document: Json) -> None:
    shared = {"400", "500", "503"}
    body = {"408", "413"}

    assert statuses(document, "get", f"{BASE_PATH}/models") == {"200"} | shared
    assert statuses(document, "get", f"{BASE_PATH}/models/{{model_id}}") == {"200", "304", "404"} | shared
    assert statuses(document, "post", f"{BASE_PATH}/models") == {"201", "404", "409", "422"} | shared | body
    assert (
        statuses(document, "patch", f"{BASE_PATH}/models/{{model_id}}") == {"200", "404", "409", "412"} | shared | body
    )
    promotion = statuses(document, "post", f"{BASE_PATH}/inference_services/{{service_id}}/promote")
    assert promotion == {"202", "404", "412", "422"} | shared | body
    assert statuses(document, "get", "/healthz") == {"200", "503"}


def test_headers_stand_where_they_are_read(document: Json) -> None:
    def headers(method: str, path: str) -> set[str]:
        parameters = document["paths"][path][method]["parameters"]
        return {each["$ref"].rpartition("/")[2] for each in parameters if "$ref" in each}

    assert headers("get", "/healthz") == {"X-Request-ID"}
    assert headers("get", f"{BASE_PATH}/models") == {"Project-ID", "X-Request-ID"}
    assert headers("get", f"{BASE_PATH}/models/{{model_id}}") == {"Project-ID", "X-Request-ID", "If-None-Match"}
    assert headers("post", f"{BASE_PATH}/models") == {"Project-ID", "X-Request-ID", "X-User-Email", "Idempotency-Key"}
    assert headers("get", f"{BASE_PATH}/events/stream") == {"Project-ID", "X-Request-ID", "Last-Event-ID"}
    assert headers("post", f"{BASE_PATH}/inference_services/{{service_id}}/sync") == {"Project-ID", "X-Request-ID"}
    patch = {"Project-ID", "X-Request-ID", "X-User-Email", "If-Match"}
    assert headers("patch", f"{BASE_PATH}/models/{{model_id}}") == patch
    assert document["components"]["parameters"]["Project-ID"]["required"] is True


def test_limits_are_those_of_the_code(document: Json) -> None:
    schemas, responses = document["components"]["schemas"], document["components"]["responses"]

    name = schemas["ModelCreation"]["properties"]["name"]
    assert (name["minLength"], name["maxLength"], name["pattern"]) == (1, 100, "^[^\\u0000]*$")
    assert schemas["ModelCreation"]["required"] == ["name"]
    assert schemas["ModelState"]["enum"] == ["ARCHIVED", "LIVE"]
    assert "not" in schemas["DeploymentOrder"]["properties"]["registered_model_id"]
    assert schemas["Model"]["properties"]["created_at"]["format"] == "date-time"
    assert str(LARGEST_BODY) in responses["ContentTooLarge"]["description"]
    assert f"{BODY_SECONDS:g} seconds" in responses["RequestTimeout"]["description"]


def strings_in(part: object) -> Iterator[str]:
    """All texts somewhere in a part of the document."""
    if isinstance(part, dict):
        part = list(part.values())
    for each in part if isinstance(part, list) else ():
        if isinstance(each, str):
            yield each
        yield from strings_in(each)


def test_times_say_that_they_are(document: Json) -> None:
    properties = [
        (name, each)
        for schema in document["components"]["schemas"].values()
        for name, each in schema.get("properties", {}).items()
    ]

    times = {name: each.get("format") for name, each in properties if name == "at" or name.endswith("_at")}
    assert times == dict.fromkeys(times, "date-time")
    assert {"created_at", "updated_at", "recorded_at", "at"} <= times.keys()


def test_descriptions_have_neither_the_lines_of_the_code_nor_marks_that_nobody_renders(document: Json) -> None:
    schemas = document["components"]["schemas"].values()

    assert [text for each in schemas if re.search(r"[^\n]\n[^\n]|  ", text := each.get("description", ""))] == []
    assert [text for text in strings_in(document) if " " in text and "*" in re.sub("`[^`]*`", "", text)] == []


def test_an_answer_leaves_out_only_what_is_documented_as_optional(document: Json) -> None:
    schemas = document["components"]["schemas"]

    def optional(name: str) -> set[str]:
        return set(schemas[name]["properties"]) - set(schemas[name]["required"])

    assert optional("Tags") == set()
    assert optional("Version") == {"created_by_email", "updated_by_email"}
    assert optional("ModelWithVersions") == {"owner_email", "latest_version", "default_version"}
    assert "created_by_email" not in schemas["VersionInModel"]["properties"]


def test_what_is_write_only_is_in_no_answer(document: Json) -> None:
    schemas = document["components"]["schemas"]
    holders = {name for name, schema in schemas.items() if "access_key" in schema.get("properties", {})}

    assert holders == {"VersionCreation", "ArtifactCreation"}


def test_only_what_keeps_a_model_from_being_deleted_is_named(document: Json) -> None:
    """READY versions do not, whatever the message of the refusal has said since the Go service."""
    (answers,) = [
        operation["responses"]
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if (method, path.endswith("/models/{model_id}")) == ("delete", True)
    ]

    assert "READY" not in answers["400"]["description"]
