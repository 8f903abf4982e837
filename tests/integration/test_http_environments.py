"""Changing and deleting serving environments over HTTP."""

from uuid import UUID

import pytest

from support.api import Api, Project, made, refusal

NOT_FOUND = (404, "serving environment not found")
IN_USE = (400, "serving environment has active inference services")


async def test_only_what_is_given_changes(project: Project) -> None:
    before = await project.environment("models", description="d", external_id="ns-1")
    path = f"/serving_environments/{before['id']}"

    after = made(await project.patch(path, {"name": "live"}), 200)

    assert after["updated_at"] > before["updated_at"]
    assert after == before | {"name": "live", "updated_at": after["updated_at"]}
    assert made(await project.get(path), 200) == after
    assert made(await project.get("/serving_environment?name=live"), 200) == after
    assert refusal(await project.get("/serving_environment?name=models")) == NOT_FOUND


async def test_an_external_id_is_taken_back_by_an_empty_one(project: Project) -> None:
    environment = await project.environment("models", external_id="ns-1", description="d")

    body = {"external_id": "", "description": ""}
    after = made(await project.patch(f"/serving_environments/{environment['id']}", body), 200)

    assert "external_id" not in after
    assert after["description"] == ""


async def test_a_patch_that_changes_nothing_leaves_no_trace(project: Project) -> None:
    environment = await project.environment("models", external_id="ns-1", description="d")
    events = await project.events()

    body = {"name": "models", "external_id": "ns-1", "description": None}
    answer = await project.patch(f"/serving_environments/{environment['id']}", body)

    assert made(answer, 200) == environment
    assert answer.headers["etag"] == '"1"'
    assert await project.events() == events


@pytest.mark.parametrize("name", ["", "   "])
async def test_an_environment_keeps_a_name(project: Project, name: str) -> None:
    path = f"/serving_environments/{(await project.environment())['id']}"

    assert refusal(await project.patch(path, {"name": name})) == (400, "invalid name: cannot be empty")


async def test_a_name_that_is_taken_is_refused(project: Project) -> None:
    await project.environment("one")
    two = await project.environment("two")

    answer = await project.patch(f"/serving_environments/{two['id']}", {"name": "one"})

    assert refusal(answer) == (409, "serving environment name already exists")


async def test_a_new_name_shows_on_the_services(project: Project) -> None:
    model, environment = await project.model(), await project.environment()
    await project.ready_version(model)
    service = await project.deployed(model, environment)

    await project.patch(f"/serving_environments/{environment['id']}", {"name": "live"})

    for answer in (
        made(await project.get(f"/inference_services/{service['id']}"), 200),
        made(await project.get("/inference_services"), 200)["items"][0],
    ):
        assert answer["serving_environment_name"] == "live"


async def test_an_empty_environment_is_deleted_and_its_name_is_free(api: Api, project: Project) -> None:
    environment = await project.environment("models")
    path = f"/serving_environments/{environment['id']}"

    answer = await project.delete(path)

    assert (answer.status_code, answer.content) == (204, b"")
    assert refusal(await project.get(path)) == NOT_FOUND
    assert refusal(await project.delete(path)) == NOT_FOUND
    assert refusal(await project.patch(path, {"name": "x"})) == NOT_FOUND
    assert made(await project.get("/serving_environments"), 200)["total"] == 0
    query = "SELECT topic FROM stored_events WHERE originator_id = $1 ORDER BY originator_version DESC LIMIT 1"
    assert await api.pool.fetchval(query, UUID(environment["id"])) == "serving_environment.deleted"
    await project.environment("models")


async def test_an_environment_with_a_service_in_it_cannot_be_deleted(project: Project) -> None:
    model, environment = await project.model(), await project.environment()
    await project.ready_version(model)
    await project.deployed(model, environment)

    assert refusal(await project.delete(f"/serving_environments/{environment['id']}")) == IN_USE


async def test_an_environment_of_another_project_is_neither_changed_nor_deleted(api: Api, project: Project) -> None:
    path = f"/serving_environments/{(await api.project().environment())['id']}"

    assert refusal(await project.patch(path, {"name": "mine"})) == NOT_FOUND
    assert refusal(await project.delete(path)) == NOT_FOUND


async def test_a_stale_change_and_a_stale_deletion_are_refused(project: Project) -> None:
    path = f"/serving_environments/{(await project.environment())['id']}"
    await project.patch(path, {"description": "theirs"}, If_Match='"1"')

    assert (await project.patch(path, {"description": "mine"}, If_Match='"1"')).status_code == 412
    assert (await project.delete(path, If_Match='"1"')).status_code == 412
    assert (await project.delete(path, If_Match='"2"')).status_code == 204


async def test_an_id_that_is_none_is_refused(project: Project) -> None:
    assert refusal(await project.patch("/serving_environments/x", {})) == (400, "invalid id")
    assert refusal(await project.delete("/serving_environments/x")) == (400, "invalid id")
