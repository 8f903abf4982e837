"""`Idempotency-Key` over HTTP: a POST that is sent again, and what is kept for it."""

# asyncpg's functions carry no annotations.
# mypy: allow-untyped-calls

import asyncio
from datetime import timedelta
from uuid import uuid4

import httpx
import pytest
from litestar.routes import HTTPRoute

from modeltrail.commands.remembered import DELETED_PER_KEPT, KEPT, SQL, Remembered, columns_of
from modeltrail.http.app import create_app
from modeltrail.postgres.arguments import Arguments
from support.api import ARTIFACT, Api, Json, Project, client_of, made, refusal, running_services
from support.database import Database

KEY = {"Idempotency_Key": "order-17"}
REUSED = (422, "this Idempotency-Key was used for another request: send that one again, or take a new key")
MALFORMED = (400, "invalid Idempotency-Key: expected 1 to 255 visible ASCII characters")
WHOLE: dict[str, Json] = {
    "/models": {"name": "rose", "owner_email": "ann@example.org", "labels": {"ä": "ö"}},
    "/models/{model}/versions": {
        "name": "v2",
        "created_by_email": "ann@example.org",
        "access_key": "AKIA-OPEN",
        "secret_key": "SESAME",
        **ARTIFACT,
    },
    "/model_artifacts": {"registered_model_id": "{model}", "name": "v3", "secret_key": "SESAME", **ARTIFACT},
    "/serving_environments": {"name": "staging"},
    "/inference_services": {
        "name": "iris",
        "registered_model_id": "{model}",
        "serving_environment_id": "{environment}",
    },
    "/serve_models": {"inference_service_id": "{service}", "model_version_id": "{other_version}"},
    "/inference_services/{canary}/promote": {},
    "/inference_services/{canary}/abort": {},
    "/inference_services/{service}/rollback": {"model_version_id": "{version}"},
    "/deploy": {"registered_model_id": "{model}", "serving_environment_id": "{environment}"},
}
every_post = pytest.mark.parametrize("path", WHOLE)


class World:
    """A model with a ready version, an environment, and a service: what every POST needs."""

    def __init__(self, project: Project, **existing: Json) -> None:
        self.project = project
        self._ids = {name: each["id"] for name, each in existing.items()}

    def _filled(self, text: str) -> str:
        return text.format_map(self._ids) if text.startswith(("/", "{")) else text

    async def post(self, path: str, **headers: str) -> httpx.Response:
        body = {name: self._filled(value) if isinstance(value, str) else value for name, value in WHOLE[path].items()}
        return await self.project.post(self._filled(path), body, **headers)


@pytest.fixture
async def world(project: Project) -> World:
    model = await project.model("iris")
    await project.ready_version(model)
    environment = await project.environment()
    other = await project.model("other")
    version = await project.ready_version(other)
    service = await project.deployed(other, environment, name="other")
    other_version = await project.version(other, "v0")
    canary = await project.deployed(other, environment, name="canary", model_version_id=version["id"])
    await project.confirm(canary)
    await project.patch(f"/inference_services/{canary['id']}", {"canary_traffic_percent": 10})
    await project.confirm(canary)
    return World(
        project,
        canary=canary,
        model=model,
        environment=environment,
        service=service,
        version=version,
        other_version=other_version,
    )


def seen_by_the_caller(response: httpx.Response) -> tuple[int, list[tuple[str, str]], bytes]:
    """All of an answer but what is each request's own, and what says that it is not the first."""
    own = ("x-request-id", "idempotent-replayed")
    return response.status_code, [each for each in response.headers.items() if each[0] not in own], response.content


def is_replayed(response: httpx.Response) -> bool:
    return "idempotent-replayed" in response.headers


# --- the same request again -------------------------------------------------------------------------------


@every_post
async def test_a_post_sent_again_has_the_first_answer_byte_for_byte_and_does_nothing(world: World, path: str) -> None:
    first = await world.post(path, **KEY)
    events = await world.project.events()
    again = [await world.post(path, **KEY) for _ in range(3)]

    assert first.status_code in (201, 202)
    assert not is_replayed(first)
    assert all(is_replayed(answer) for answer in again)
    assert [seen_by_the_caller(answer) for answer in again] == [seen_by_the_caller(first)] * 3
    assert await world.project.events() == events


def test_the_tests_know_every_post(api: Api) -> None:
    routes = [route for route in create_app(api.services).routes if isinstance(route, HTTPRoute)]
    posts = {route.path_format for route in routes if "POST" in route.methods}

    known = {
        path.replace("{model}", "{model_id}").replace("{service}", "{service_id}").replace("{canary}", "{service_id}")
        for path in WHOLE
    }
    known.add("/inference_services/{service_id}/sync")  # it looks, as often as it is asked to
    assert {path.removeprefix("/api/v1/model-registry") for path in posts} == known


async def test_an_answer_comes_again_as_it_was_though_the_resource_has_changed_and_gone(project: Project) -> None:
    first = await project.post("/models", {"name": "iris"}, **KEY)
    model = made(first)
    await project.version(model)
    await project.patch(f"/models/{model['id']}", {"name": "irises", "state": "ARCHIVED"})
    changed = await project.post("/models", {"name": "iris"}, **KEY)
    await project.delete(f"/models/{model['id']}")
    gone = await project.post("/models", {"name": "iris"}, **KEY)

    assert changed.content == gone.content == first.content
    assert (await project.get("/models")).json()["total"] == 0


async def test_an_answer_has_the_request_id_of_the_request_that_it_answers(project: Project) -> None:
    await project.post("/models", {"name": "iris"}, X_Request_ID="one", **KEY)
    again = await project.post("/models", {"name": "iris"}, X_Request_ID="two", **KEY)

    assert again.headers.get_list("x-request-id") == ["two"]


async def test_without_a_key_every_post_is_a_new_one(project: Project) -> None:
    await project.model("iris")

    assert (await project.post("/models", {"name": "iris"})).status_code == 409


async def test_with_another_key_a_post_is_a_new_one(project: Project) -> None:
    await project.post("/models", {"name": "iris"}, **KEY)

    assert (await project.post("/models", {"name": "iris"}, Idempotency_Key="order-18")).status_code == 409


async def test_those_who_send_one_request_at_once_make_one_resource_and_have_one_answer(project: Project) -> None:
    answers = await asyncio.gather(*(project.post("/models", {"name": "iris"}, **KEY) for _ in range(20)))

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert sum(is_replayed(answer) for answer in answers) == 19
    assert await project.events() == 1


async def test_those_who_send_one_request_to_two_processes_make_one_resource_and_have_one_answer(
    database: Database,
) -> None:
    async with (
        running_services(database) as one,
        running_services(database) as two,
        client_of(one) as api,
        client_of(two) as other,
    ):
        project = api.project()
        elsewhere = Project(other.client, other.services)
        elsewhere.id = project.id
        for number in range(20):
            key = {"Idempotency_Key": f"order-{number}"}
            answers = await asyncio.gather(
                *(each.post("/models", {"name": f"m{number}"}, **key) for each in (project, elsewhere) * 3)
            )

            assert {answer.status_code for answer in answers} == {201}
            assert len({answer.content for answer in answers}) == 1
        assert await project.events() == 20


# --- another request under the same key -------------------------------------------------------------------


@every_post
async def test_another_body_under_the_same_key_is_refused(world: World, path: str) -> None:
    await world.project.post("/models", {"name": "another"}, **KEY)
    events = await world.project.events()

    assert refusal(await world.post(path, **KEY)) == REUSED
    assert await world.project.events() == events


async def test_the_same_body_on_another_path_is_another_request(project: Project) -> None:
    await project.post("/models", {"name": "iris"}, **KEY)

    assert refusal(await project.post("/serving_environments", {"name": "iris"}, **KEY)) == REUSED


async def test_of_two_requests_at_once_under_one_key_one_is_refused(project: Project) -> None:
    answers = await asyncio.gather(
        project.post("/models", {"name": "iris"}, **KEY), project.post("/models", {"name": "rose"}, **KEY)
    )

    assert sorted(answer.status_code for answer in answers) == [201, 422]
    assert await project.events() == 1


async def test_a_key_belongs_to_one_project(api: Api, project: Project) -> None:
    stranger = api.project()
    first = await project.post("/models", {"name": "iris"}, **KEY)
    theirs = await stranger.post("/models", {"name": "iris"}, **KEY)
    another = await stranger.post("/models", {"name": "rose"}, Idempotency_Key="order-18")

    assert (first.status_code, theirs.status_code, another.status_code) == (201, 201, 201)
    assert first.json()["id"] != theirs.json()["id"]
    assert not is_replayed(theirs)


# --- the key ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["", " ", "two words", "k" * 256, "tab\tbed", "\x7f", b"\xe9".decode("latin-1")])
async def test_what_is_no_key_is_refused_and_nothing_is_done(project: Project, key: str) -> None:
    headers = {"Project-ID": str(project.id), "Idempotency-Key": key.encode("latin-1")}
    answer = await project.client.post(
        "/api/v1/model-registry/models",
        content=b'{"name":"iris"}',
        headers=headers,  # type: ignore[arg-type] # httpx takes bytes, too
    )

    assert refusal(answer) == MALFORMED
    assert await project.events() == 0


@pytest.mark.parametrize("key", ["k", "k" * 255, '"8e03978e-40d5-43dd-bc93-6894a57f9324"', "!~"])
async def test_any_visible_ascii_is_a_key(project: Project, key: str) -> None:
    first = await project.post("/models", {"name": "iris"}, Idempotency_Key=key)
    again = await project.post("/models", {"name": "iris"}, Idempotency_Key=key)

    assert (first.status_code, is_replayed(again), again.content) == (201, True, first.content)


async def test_only_post_reads_the_key(project: Project) -> None:
    model = made(await project.post("/models", {"name": "iris"}, **KEY))
    changed = await project.patch(f"/models/{model['id']}", {"description": "d"}, **KEY)
    shown = await project.get(f"/models/{model['id']}", Idempotency_Key="two words")

    assert (changed.status_code, shown.status_code) == (200, 200)
    assert shown.json()["description"] == "d"


# --- refusals ---------------------------------------------------------------------------------------------


async def test_a_refusal_is_not_remembered(api: Api, project: Project) -> None:
    model = await project.model("iris")
    refused = await project.post("/models", {"name": "iris"}, **KEY)
    await project.patch(f"/models/{model['id']}", {"name": "rose"})
    again = await project.post("/models", {"name": "iris"}, **KEY)

    assert refused.status_code == 409
    assert (again.status_code, is_replayed(again)) == (201, False)
    assert await api.pool.fetchval("SELECT count(*) FROM idempotency_keys") == 1


async def test_after_a_refusal_the_key_may_stand_for_another_request(project: Project) -> None:
    assert (await project.post("/models", {"name": ""}, **KEY)).status_code == 400
    ghost = {"name": "iris", "parent_model_id": "0198c9a2-6f3e-7c41-9d0a-4b8f2e6d1c35"}
    assert (await project.post("/models", ghost, **KEY)).status_code == 404

    assert (await project.post("/models", {"name": "iris"}, **KEY)).status_code == 201


# --- for how long, and what is kept -----------------------------------------------------------------------


async def let_pass(api: Api, time: timedelta) -> None:
    await api.pool.execute("UPDATE idempotency_keys SET created_at = created_at - $1::interval", time)


async def test_a_key_is_good_for_a_day(api: Api, project: Project) -> None:
    await project.post("/models", {"name": "iris"}, **KEY)
    await let_pass(api, timedelta(hours=23, minutes=59))

    assert is_replayed(await project.post("/models", {"name": "iris"}, **KEY))
    assert timedelta(hours=24) == KEPT


async def test_after_a_day_a_key_is_as_good_as_new(api: Api, project: Project) -> None:
    await project.post("/models", {"name": "iris"}, **KEY)
    await let_pass(api, KEPT)
    other = await project.post("/models", {"name": "rose"}, **KEY)
    again = await project.post("/models", {"name": "rose"}, **KEY)

    assert (other.status_code, is_replayed(other)) == (201, False)
    assert (is_replayed(again), again.content) == (True, other.content)


async def test_what_has_expired_is_removed_a_little_with_every_write(api: Api, project: Project) -> None:
    old = DELETED_PER_KEPT * 2 + 1
    for number in range(old):
        await project.post("/models", {"name": f"m{number}"}, Idempotency_Key=f"order-{number}")
    await let_pass(api, KEPT)
    left = []
    for number in range(4):
        await project.post("/models", {"name": f"n{number}"}, Idempotency_Key=f"new-{number}")
        left.append(await api.pool.fetchval("SELECT count(*) FROM idempotency_keys"))

    assert left == [old + 1 - DELETED_PER_KEPT, old + 2 - DELETED_PER_KEPT * 2, 3, 4]
    assert is_replayed(await project.post("/models", {"name": "n0"}, Idempotency_Key="new-0"))


async def test_finding_and_removing_rows_takes_indexes(api: Api) -> None:
    await api.pool.execute(
        "INSERT INTO idempotency_keys (project_id, key, fingerprint, box, created_at)"
        " SELECT gen_random_uuid(), sha256(n::text::bytea), '', '', now() - n * interval '1 second'"
        " FROM generate_series(1, 100000) AS n"
    )
    await api.pool.execute("ANALYZE idempotency_keys")
    kept = [Remembered(uuid4(), bytes([number]) * 32, b"f" * 32, b"box") for number in range(100)]
    arguments = Arguments()
    save, delete = (arguments.of(part, columns_of(kept)) for part in (SQL.save_remembered, SQL.delete_expired))
    plans = [
        await api.pool.fetch(
            f"EXPLAIN {SQL.get_remembered}", [each.project_id for each in kept], [each.key for each in kept], KEPT
        ),
        await api.pool.fetch(f"EXPLAIN WITH part_0 AS ({save}) {delete}", *arguments.values),
    ]

    assert [row[0] for plan in plans for row in plan if "Seq Scan on idempotency_keys" in row[0]] == []
    assert "idempotency_keys_created_idx" in "".join(row[0] for row in plans[1])


@every_post
async def test_nothing_that_was_sent_or_answered_can_be_read_in_the_table(api: Api, world: World, path: str) -> None:
    key = "order-of-ann@example.org"
    answer = await world.post(path, X_User_Email="ann@example.org", Idempotency_Key=key)
    row = await api.pool.fetchrow("SELECT * FROM idempotency_keys")
    kept = b" ".join(value if isinstance(value, bytes) else str(value).encode() for value in row.values())

    words = [b"ann@", b"example", b"SESAME", b"AKIA", b"order", b"name", b"rose", b"created_at"]
    assert answer.status_code in (201, 202)
    assert [word for word in words if word in kept] == []
    assert list(row.keys()) == ["project_id", "key", "fingerprint", "box", "created_at"]


async def test_no_answer_shows_a_secret_the_second_time_either(world: World) -> None:
    path = "/models/{model}/versions"
    answers = [await world.post(path, **KEY) for _ in range(2)]

    assert not any(b"SESAME" in answer.content or b"AKIA" in answer.content for answer in answers)


async def test_the_installations_keys_alone_open_no_answer_of_somebody_erased(api: Api, project: Project) -> None:
    named = {"name": "iris", "owner_email": "ann@example.org"}
    first = await project.post("/models", named, **KEY)
    await api.pool.execute("DELETE FROM person_keys")

    # Who sends the address gets the address; anybody else gets nothing.
    assert (await project.post("/models", named, **KEY)).content == first.content
    assert refusal(await project.post("/models", {"name": "iris"}, **KEY)) == REUSED


async def test_the_secret_behind_the_keys_is_nobodys_digest(api: Api, project: Project) -> None:
    """Digests of addresses stand in the database. An address must not have the secret as its digest."""
    secret = await api.services.people.secret("idempotency")
    for number, address in enumerate(["idempotency", "\0idempotency"]):
        await project.post("/models", {"name": f"m{number}", "owner_email": address})

    assert secret not in [row["digest"] for row in await api.pool.fetch("SELECT digest FROM person_keys")]
