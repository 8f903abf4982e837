"""Two API processes on one database: what one has answered, the other knows; of two that race, one wins."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest

from support.api import ARTIFACT, Json, Project, client_of, made, refusal, running_services
from support.database import Database

ROUNDS = 8


@dataclass
class Both:
    """One project, as two processes serve it."""

    one: Project
    other: Project


@pytest.fixture
async def both(database: Database) -> AsyncIterator[Both]:
    async with (
        running_services(database) as first,
        running_services(database) as second,
        client_of(first) as here,
        client_of(second) as there,
    ):
        one, other = here.project(), there.project()
        other.id = one.id
        yield Both(one, other)


async def same_everywhere(both: Both, path: str) -> Json:
    """The answer that both processes give."""
    here, there = await both.one.get(path), await both.other.get(path)
    assert (there.status_code, there.content, there.headers.get("etag")) == (
        here.status_code,
        here.content,
        here.headers.get("etag"),
    )
    body: Json = here.json()
    return body


async def test_what_one_process_writes_the_other_reads_at_once_by_every_route(both: Both) -> None:
    for number in range(ROUNDS):
        writer = both.one if number % 2 else both.other
        model = await writer.model(f"model {number}")
        for path in (f"/models/{model['id']}", f"/model?name=model%20{number}", f"/model?externalId={model['id']}"):
            assert (await same_everywhere(both, path))["id"] == model["id"]
        assert (await same_everywhere(both, f"/models?search=model%20{number}"))["total"] == 1

        version = await writer.ready_version(model, f"v{number}", is_default=True)
        paths = (
            f"/models/{model['id']}/versions/{version['id']}",
            f"/model_versions/{version['id']}",
            f"/model_version?name=v{number}",
        )
        for path in paths:
            assert (await same_everywhere(both, path))["status"] == "READY"
        for path in (f"/model_artifacts/{version['id']}", f"/model_artifact?name=v{number}"):
            assert (await same_everywhere(both, path))["id"] == version["id"]
        for path in (f"/models/{model['id']}/versions", "/model_versions?limit=1", "/model_artifacts?limit=1"):
            assert (await same_everywhere(both, path))["items"][0]["id"] == version["id"]
        assert (await same_everywhere(both, f"/models/{model['id']}"))["default_version"]["id"] == version["id"]

        environment = await writer.environment(f"place-{number}")
        assert (await same_everywhere(both, f"/serving_environments/{environment['id']}")) == environment
        assert (await same_everywhere(both, "/serving_environments?limit=1"))["items"] == [environment]
        service = await writer.deployed(model, environment)
        shown = await same_everywhere(both, f"/inference_services/{service['id']}")
        assert (shown["desired_state"], shown["current_state"]) == ("DEPLOYED", "UNDEPLOYED")
        assert (await same_everywhere(both, "/inference_services?limit=1"))["items"][0]["id"] == service["id"]

        await writer.confirm(service)
        assert (await same_everywhere(both, f"/inference_services/{service['id']}"))["current_state"] == "DEPLOYED"
        assert (await same_everywhere(both, f"/models/{model['id']}"))["deployment_status"] == "DEPLOYED"
        await writer.patch(f"/models/{model['id']}", {"state": "ARCHIVED"})
        assert (await same_everywhere(both, "/models?state=ARCHIVED"))["total"] == number + 1


async def test_what_one_process_deletes_is_gone_in_the_other(both: Both) -> None:
    model = await both.one.model()
    version = await both.one.version(model)
    await both.one.patch(f"/models/{model['id']}", {"state": "ARCHIVED"})
    assert (await both.other.get(f"/models/{model['id']}")).status_code == 200

    made(await both.one.delete(f"/models/{model['id']}"), 200)

    for path in (f"/models/{model['id']}", f"/model_versions/{version['id']}", "/model?name=iris"):
        assert (await both.other.get(path)).status_code == 404
    assert [(await both.other.get(path)).json()["total"] for path in ("/models", "/model_versions")] == [0, 0]


def outcome(*answers: httpx.Response) -> list[int]:
    return sorted(answer.status_code for answer in answers)


async def test_of_two_that_race_for_a_name_one_gets_it(both: Both) -> None:
    model = await both.one.model("shared")
    environment = await both.one.environment("shared")
    await both.one.ready_version(model, "shared", is_default=True)
    order = {"registered_model_id": model["id"], "serving_environment_id": environment["id"]}
    races: tuple[tuple[str, dict[str, str], str], ...] = (
        ("/models", {}, "model with this name already exists in the project"),
        (f"/models/{model['id']}/versions", ARTIFACT, "version with this name already exists for this model"),
        ("/serving_environments", {}, "serving environment name already exists"),
        ("/deploy", order, "inference service name already exists"),
    )
    for path, fields, message in races:
        for number in range(ROUNDS):
            body = {"name": f"wanted-{number}", **fields}
            answers = await asyncio.gather(both.one.post(path, body), both.other.post(path, body))
            assert outcome(*answers) in ([201, 409], [202, 409])
            assert refusal(max(answers, key=lambda answer: answer.status_code)) == (409, message)


async def test_of_two_that_rename_to_one_name_one_gets_it(both: Both) -> None:
    home = await both.one.model("home")
    for number in range(ROUNDS):
        models = [await both.one.model(f"{side} {number}") for side in ("left", "right")]
        versions = [await both.one.version(home, f"{side} {number}") for side in ("left", "right")]
        for first, second in (
            [f"/models/{model['id']}" for model in models],
            [f"/model_versions/{version['id']}" for version in versions],
        ):
            wish = {"name": f"wanted {number}"}
            assert outcome(*await asyncio.gather(both.one.patch(first, wish), both.other.patch(second, wish))) == [
                200,
                409,
            ]


async def test_a_name_that_is_given_up_can_be_taken_at_once_in_the_other_process(both: Both) -> None:
    model = await both.one.model("first")
    made(await both.one.patch(f"/models/{model['id']}", {"name": "second"}), 200)
    again = await both.other.model("first")

    made(await both.other.patch(f"/models/{again['id']}", {"state": "ARCHIVED"}), 200)
    made(await both.other.delete(f"/models/{again['id']}"), 200)
    third = await both.one.model("first")

    version = await both.one.version(third, "v1")
    made(await both.other.patch(f"/model_versions/{version['id']}", {"name": "v2"}), 200)
    await both.one.version(third, "v1")
    assert (await same_everywhere(both, f"/models/{third['id']}"))["version_count"] == 2


async def test_two_that_race_to_set_the_default_end_with_one(both: Both) -> None:
    model = await both.one.model()
    versions = [await both.one.version(model, f"v{number}") for number in range(2)]
    for _ in range(ROUNDS):
        answers = await asyncio.gather(
            both.one.patch(f"/model_versions/{versions[0]['id']}", {"is_default": True}),
            both.other.patch(f"/model_versions/{versions[1]['id']}", {"is_default": True}),
        )
        assert outcome(*answers) == [200, 200]
        defaults = [
            version["id"]
            for version in (await same_everywhere(both, f"/models/{model['id']}/versions"))["items"]
            if version["is_default"]
        ]
        assert defaults == [(await same_everywhere(both, f"/models/{model['id']}"))["default_version"]["id"]]


async def test_two_that_race_to_register_the_default_end_with_one(both: Both) -> None:
    for number in range(ROUNDS):
        model = await both.one.model(f"model {number}")
        answers = await asyncio.gather(
            both.one.version(model, "v1", is_default=True), both.other.version(model, "v2", is_default=True)
        )
        shown = (await same_everywhere(both, f"/models/{model['id']}/versions"))["items"]
        defaults = [version["id"] for version in shown if version["is_default"]]
        assert defaults == [(await same_everywhere(both, f"/models/{model['id']}"))["default_version"]["id"]]
        assert {version["id"] for version in shown} == {version["id"] for version in answers}


async def test_the_default_moves_in_one_transaction(both: Both) -> None:
    model = await both.one.model()
    first = await both.one.version(model, "v1", is_default=True)
    second = await both.one.version(model, "v2")
    before = await both.one.events()

    await both.one.patch(f"/model_versions/{second['id']}", {"is_default": True})

    writers = await both.one.services.pool.fetch(
        "SELECT xmin::text AS writer FROM model_versions WHERE id = ANY($1::uuid[])"
        " UNION ALL SELECT xmin::text FROM models WHERE id = $2"
        " UNION ALL (SELECT xmin::text FROM stored_events ORDER BY notification_id OFFSET $3)",
        [first["id"], second["id"]], model["id"], before,
    )  # fmt: skip
    assert len(writers) == 4
    assert len({row["writer"] for row in writers}) == 1


async def test_the_default_moves_by_one_event_of_its_model(both: Both) -> None:
    model = await both.one.model()
    first, second = [await both.one.version(model, f"v{number}") for number in range(2)]
    for version in (first, second):
        await both.one.patch(f"/model_versions/{version['id']}", {"is_default": True})

    rows = await both.one.services.pool.fetch(
        "SELECT originator_id::text, convert_from(state, 'UTF8')::json AS state FROM stored_events"
        " WHERE topic = 'registered_model.default_version_changed' ORDER BY notification_id"
    )

    assert [row["originator_id"] for row in rows] == [model["id"]] * 2
    assert b'"previous_version_id":"%b"' % first["id"].encode() in rows[1]["state"]
