"""What all routes have in common: tenants, errors, ids, revisions, bodies."""

import asyncio
import re
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
from structlog.testing import capture_logs

from modeltrail.commands.committing.committer import LogUnavailableError
from modeltrail.http.app import BASE_PATH
from modeltrail.http.large_bodies import AT_ONCE, LARGE
from support.api import ARTIFACT, Api, Project, made, refusal

BAD_TEXT = "must be Unicode text without U+0000"
TENANT_REQUIRED = (400, "project ID is required (Project-ID header)")
ROUTES = [
    ("POST", "/models"),
    ("GET", "/models"),
    ("GET", "/models/x"),
    ("PATCH", "/models/x"),
    ("GET", "/model"),
    ("POST", "/models/x/versions"),
    ("GET", "/models/x/versions"),
    ("GET", "/models/x/versions/y"),
    ("PATCH", "/models/x/versions/y"),
    ("GET", "/model_versions?sort_by=x"),
    ("GET", "/model_versions/x"),
    ("PATCH", "/model_versions/x"),
    ("GET", "/model_version?parentResourceId=x"),
    ("POST", "/serving_environments"),
    ("GET", "/serving_environments"),
    ("GET", "/serving_environments/x"),
    ("GET", "/serving_environment"),
    ("GET", "/inference_services?registered_model_id=x"),
    ("GET", "/inference_services/x"),
    ("PATCH", "/serving_environments/x"),
    ("DELETE", "/serving_environments/x"),
    ("POST", "/inference_services"),
    ("PATCH", "/inference_services/x"),
    ("DELETE", "/inference_services/x"),
    ("GET", "/inference_service"),
    ("POST", "/serve_models"),
    ("GET", "/serve_models"),
    ("GET", "/serve_models/x"),
    ("DELETE", "/serve_models/x"),
    ("POST", "/deploy"),
    ("DELETE", "/inference_services/x/undeploy"),
]


async def test_the_project_is_asked_for_before_anything_else(api: Api) -> None:
    for method, path in ROUTES:
        for headers in ({}, {"Project-ID": ""}, {"Project-ID": "x"}, {"Project-ID": f"{uuid4()}x"}):
            answer = await api.client.request(method, BASE_PATH + path, headers=headers, content=b"{")
            assert refusal(answer) == TENANT_REQUIRED


@pytest.mark.parametrize("form", ["{}", "urn:uuid:{}", "{{{}}}", "URN:UUID:{}"])
async def test_a_uuid_may_come_in_every_form_that_go_takes(project: Project, form: str) -> None:
    model = await project.model("iris")
    written = form.format(model["id"].upper())

    assert made(await project.get(f"/models/{written}"), 200) == model
    assert made(await project.get("/model?name=iris", Project_ID=form.format(str(project.id).upper())), 200) == model
    assert (await project.model("child", parent_model_id=written))["parent_model_id"] == model["id"]


async def test_a_uuid_may_come_without_hyphens(project: Project) -> None:
    model = await project.model()

    assert made(await project.get(f"/models/{UUID(model['id']).hex}"), 200) == model


@pytest.mark.parametrize("path", ["/", "/nothing", BASE_PATH, f"{BASE_PATH}/nothing", f"{BASE_PATH}/models/a/b/c"])
async def test_an_unknown_route_is_not_found(project: Project, path: str) -> None:
    answer = await project.client.get(path)

    assert refusal(answer) == (404, "not found")
    assert answer.headers["x-request-id"]


async def test_a_wrong_method_is_refused_with_the_right_ones(project: Project) -> None:
    answer = await project.send("PUT", "/models")

    assert refusal(answer) == (405, "method not allowed")
    assert {"GET", "POST"} <= set(answer.headers["allow"].split(", "))


@pytest.mark.parametrize("given", ["abc", "x" * 128, "Root=1-67891233-abcdef012345:7/8+9_.x"])
async def test_a_request_id_is_echoed_and_kept_with_the_events(api: Api, project: Project, given: str) -> None:
    answer = await project.post("/models", {"name": "iris"}, X_Request_ID=given)

    assert answer.headers.get_list("x-request-id") == [given]
    assert await api.pool.fetchval("SELECT request_id FROM stored_events") == given
    assert (await project.get("/models/x", X_Request_ID=given)).headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["ann@example.org", "Ann Example", "<ann>"])
async def test_a_request_id_that_may_name_a_person_is_echoed_and_kept_nowhere(
    api: Api, project: Project, given: str
) -> None:
    answer = await project.post("/models", {"name": "iris"}, X_Request_ID=given)
    await api.pool.execute("DROP TABLE serving_environments CASCADE")
    with capture_logs() as logs:
        failed = await project.get("/serving_environments", X_Request_ID=given)

    assert answer.headers["x-request-id"] == failed.headers["x-request-id"] == given
    assert failed.status_code == 500
    kept = await api.pool.fetchval("SELECT request_id FROM stored_events")
    assert UUID(kept).version == UUID(logs[0]["request_id"]).version == 4
    assert given not in str(logs)


@pytest.mark.parametrize("method", ["OPTIONS", "HEAD", "TRACE", "PROPFIND"])
async def test_a_method_that_no_route_has_is_refused_with_the_right_ones(project: Project, method: str) -> None:
    for path, allowed in {f"{BASE_PATH}/models": "GET, POST", "/healthz": "GET"}.items():
        answer = await project.client.request(method, path)
        if method != "HEAD":
            assert refusal(answer) == (405, "method not allowed")
        assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    assert (await project.client.request(method, "/nothing")).status_code == 404


async def test_large_bodies_wait_for_each_other_and_small_ones_for_nobody(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modeltrail.http.large_bodies.PATIENCE", 0.05)
    release = asyncio.Event()
    begun = 0
    full = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        nonlocal begun
        begun += 1
        if begun == AT_ONCE:
            full.set()
        yield b'{"name": "large%d"' % begun
        await release.wait()
        yield b"}"

    headers = {"Project-ID": str(project.id)}
    held = [
        asyncio.create_task(project.client.post(f"{BASE_PATH}/models", content=slow(), headers=headers))
        for _ in range(AT_ONCE)
    ]
    async with asyncio.timeout(10):
        await full.wait()

    assert (await project.model("small"))["name"] == "small"
    refused = await project.post("/models", b'{"name": "late"}' + b" " * LARGE)
    assert refusal(refused) == (503, "too many large requests are under way; try again")
    assert refused.headers["retry-after"] == "1"
    release.set()
    assert [answer.status_code for answer in await asyncio.gather(*held)] == [201] * AT_ONCE
    assert made(await project.post("/models", b'{"name": "late"}' + b" " * LARGE))["name"] == "late"


@pytest.mark.parametrize(
    "body",
    [
        b'{"name": "a", "labels": ' + b'{"a":' * 5000 + b"1" + b"}" * 5001,
        b'{"name": "a", "labels": ' + b"[" * 100_000,
        b'{"name": "\\ud800"}',
        b'{"name": "a", "labels": {"\\udc00": "b"}}',
        b'{"name": "a\x00"}',
        b'{"name": "\xff"}',
        b'{"name": ' + b"9" * 10_000 + b"}",
        b'{"name": 1e999}',
        b'{"name": NaN}',
    ],
    ids=["deep objects", "deep lists", "surrogate", "surrogate key", "NUL", "no UTF-8", "digits", "1e999", "NaN"],
)
async def test_a_strange_body_is_refused_stores_nothing_and_harms_nobody(project: Project, body: bytes) -> None:
    assert refusal(await project.post("/models", body))[0] == 400
    assert await project.events() == 0
    assert (await project.model("next"))["name"] == "next"


@pytest.mark.parametrize("name", ["Project-ID", "If-Match", "X-User-Email"])
async def test_a_header_with_two_values_is_refused_and_one_that_is_repeated_is_not(project: Project, name: str) -> None:
    model = await project.model()
    url, body = f"{BASE_PATH}/models/{model['id']}", b'{"description": "new"}'
    once = {"Project-ID": str(project.id), "If-Match": '"1"', "X-User-Email": "ann@example.org"}
    other = {"Project-ID": str(uuid4()), "If-Match": '"2"', "X-User-Email": "bob@example.org"}

    two = await project.client.patch(url, content=body, headers=[*once.items(), (name, other[name])])
    assert refusal(two) == (
        400,
        f"invalid {name.lower()}: the header is there more than once, with different values",
    )
    assert await project.events() == 1
    same = await project.client.patch(url, content=body, headers=[*once.items(), (name, once[name])])
    assert made(same, 200)["description"] == "new"


async def test_ten_thousand_labels_are_kept(project: Project) -> None:
    labels = {f"label-{number}": "x" for number in range(10_000)}

    assert (await project.model("iris", labels=labels))["labels"] == labels


async def test_a_gigantic_size_is_refused(project: Project) -> None:
    path = f"/models/{(await project.model())['id']}"

    for size in (b"9" * 5000, b"9223372036854775808", b"1e400", b"-9223372036854775809", b"1.5"):
        assert refusal(await project.patch(path, b'{"model_size": %b}' % size))[0] == 400, size[:40]
    assert await project.events() == 1


@pytest.mark.parametrize("given", [None, b"", b"x" * 129, b"caf\xc3\xa9", b"tab\tbed"])
async def test_a_request_id_that_is_not_fit_is_replaced(project: Project, given: bytes | None) -> None:
    headers = [] if given is None else [(b"x-request-id", given)]

    answer = await project.client.get("/healthz", headers=headers)

    assert UUID(answer.headers["x-request-id"]).version == 4


async def test_a_body_that_is_wrong_is_refused_in_plain_words(project: Project) -> None:
    for raw, message in {
        b"": "invalid body: must not be empty: expected a JSON object",
        b"{": "invalid body: malformed JSON",
        b"[]": "invalid body: expected a JSON object",
        b"{}": "invalid name: cannot be empty",
        b'{"name": 7}': "invalid name: expected a string",
        b'{"name": "\\u0000"}': f"invalid name: {BAD_TEXT}",
    }.items():
        for path in ("/models", f"/models/{uuid4()}/versions", "/serving_environments"):
            assert refusal(await project.post(path, raw)) == (400, message)


async def test_a_text_may_be_as_long_as_its_limit_and_no_longer(project: Project) -> None:
    longer = await project.post("/models", {"name": "\U0001f600" * 101})

    assert refusal(longer) == (400, "invalid name: at most 100 characters are allowed")
    assert (await project.model("\U0001f600" * 100))["name"] == "\U0001f600" * 100


@pytest.mark.parametrize("path", ["/models/{model}", "/model_versions/{version}"])
async def test_a_patch_cannot_take_the_name_away(project: Project, path: str) -> None:
    model = await project.model()
    target = path.format(model=model["id"], version=(await project.version(model))["id"])

    assert refusal(await project.patch(target, {"name": ""})) == (400, "invalid name: cannot be empty")
    assert refusal(await project.patch(target, b"")) == (
        400,
        "invalid body: must not be empty: expected a JSON object",
    )


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "x"]
)
async def test_the_content_type_does_not_matter(project: Project, content_type: str) -> None:
    answer = await project.post("/models", b'{"name": "iris"}', Content_Type=content_type)

    assert made(answer)["name"] == "iris"


async def test_a_body_above_a_mebibyte_is_too_large(project: Project) -> None:
    body = b'{"name": "iris", "description": "%b"}'
    room = 1024 * 1024 - len(body % b"")

    assert made(await project.post("/models", body % (b"x" * room)))["name"] == "iris"
    refused = await project.post("/models", body % (b"x" * (room + 1)))
    assert refusal(refused) == (413, "request body is too large: at most 1 MiB is taken")


async def test_a_body_that_does_not_tell_its_length_is_limited_too(project: Project) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b" " * 64 * 1024

    answer = await project.client.post(
        f"{BASE_PATH}/models", content=endless(), headers={"Project-ID": str(project.id)}
    )

    assert refusal(answer)[0] == 413


async def test_a_body_that_never_comes_is_given_up(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    async def stuck() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    monkeypatch.setattr("modeltrail.http.requests.BODY_SECONDS", 0.05)
    headers = {"Project-ID": str(project.id)}

    answer = await project.client.post(f"{BASE_PATH}/models", content=stuck(), headers=headers)

    assert refusal(answer) == (408, "the request body did not arrive in time")


async def test_the_actor_is_kept_encrypted(api: Api, project: Project) -> None:
    await project.post("/models", {"name": "iris"}, X_User_Email="ann@example.org")
    await project.post("/models", {"name": "other"}, X_User_Email="")

    first, second = await api.pool.fetch("SELECT actor FROM stored_events ORDER BY notification_id")
    assert b"person" in first["actor"]
    assert b"ann@example.org" not in first["actor"]
    assert second["actor"] is None


@pytest.mark.parametrize(
    ("actor", "problem"),
    [
        (b"x" * 256, "at most 255 characters are allowed"),
        (b"a\xff", BAD_TEXT),
        (b"a\x00b", BAD_TEXT),
        (b"deploy-worker", "expected an e-mail address"),
    ],
)
async def test_an_actor_that_cannot_be_kept_is_refused(project: Project, actor: bytes, problem: str) -> None:
    headers = [(b"Project-ID", str(project.id).encode()), (b"X-User-Email", actor)]

    answer = await project.client.post(f"{BASE_PATH}/models", content=b'{"name": "a"}', headers=headers)

    assert refusal(answer) == (400, f"invalid X-User-Email: {problem}")


async def test_a_fault_of_ours_is_logged_with_its_cause_and_told_to_nobody(api: Api, project: Project) -> None:
    await api.pool.execute("DROP TABLE credentials")
    body = {"name": "v1", **ARTIFACT, "secret_key": "the-secret", "created_by_email": "ann@example.org"}
    path = f"/models/{(await project.model())['id']}/versions"

    with capture_logs() as logs:
        answer = await project.post(path, body, X_Request_ID="r-1")

    assert refusal(answer) == (500, "internal server error")
    assert answer.headers["x-request-id"] == "r-1"
    (line,) = [line for line in logs if line["event"] == "a request failed"]
    assert line["request_id"] == "r-1"
    assert "credentials" in line["cause"][0]
    assert not re.search("the-secret|ann@example.org", str(logs))


async def test_a_value_that_an_error_quotes_is_not_logged(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_address: str) -> None:
        raise ValueError("cannot seal ann@example.org")

    monkeypatch.setattr(project.services.people, "seal", fail)
    with capture_logs() as logs:
        answer = await project.post("/models", {"name": "iris", "owner_email": "ann@example.org"})

    assert refusal(answer) == (500, "internal server error")
    assert logs[0]["cause"] == ["builtins.ValueError"]


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        (LogUnavailableError("1 commands are waiting already"), "no change can be written now; try again"),
        (
            LogUnavailableError("lost", unknown=True),
            "the database cannot be reached; the change may have been made all the same",
        ),
        (ConnectionRefusedError(), "the database cannot be reached; try again"),
        (asyncpg.TooManyConnectionsError("no room"), "the database cannot be reached; try again"),
        (asyncpg.QueryCanceledError("too slow"), "the database cannot be reached; try again"),
    ],
)
async def test_while_the_database_is_away_the_caller_is_asked_to_come_back(
    project: Project, monkeypatch: pytest.MonkeyPatch, failure: Exception, message: str
) -> None:
    async def fail(*_arguments: object) -> None:
        raise failure

    monkeypatch.setattr(project.services.committer, "submit", fail)

    answer = await project.post("/models", {"name": "iris"})

    assert refusal(answer) == (503, message)
    assert answer.headers["retry-after"] == "1"


async def test_reading_from_a_lost_database_is_unavailable(api: Api, project: Project) -> None:
    await api.pool.close()

    for path in ("/models", f"/models/{uuid4()}", "/model?name=x"):
        answer = await project.get(path)
        assert refusal(answer)[0] == 503
        assert answer.headers["retry-after"] == "1"


async def test_many_callers_are_answered_each_their_own(project: Project) -> None:
    answers: list[httpx.Response] = await asyncio.gather(
        *(project.post("/models", {"name": f"m{number}"}) for number in range(30))
    )

    assert [made(answer)["name"] for answer in answers] == [f"m{number}" for number in range(30)]
    assert made(await project.get("/models"), 200)["total"] == 30
