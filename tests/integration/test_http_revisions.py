"""Conditional requests: what the caller has, and what the caller decided on."""

import pytest

from modeltrail.http.app import BASE_PATH
from support.api import Api, Project, made, refusal


async def test_a_single_resource_carries_its_revision(project: Project) -> None:
    created = await project.post("/models", {"name": "iris"})
    path = f"/models/{created.json()['id']}"
    patched = await project.patch(path, {"description": "d"})

    assert (created.headers["etag"], patched.headers["etag"]) == ('"1"', '"2"')
    for shown in (path, "/model?name=iris"):
        assert (await project.get(shown)).headers["etag"] == '"2"'


@pytest.mark.parametrize("tag", ['"2"', 'W/"2"', '"1", "2"', "*"])
async def test_what_the_caller_has_is_not_sent_again(project: Project, tag: str) -> None:
    path = f"/models/{(await project.model())['id']}"
    await project.patch(path, {"description": "d"})

    answer = await project.get(path, If_None_Match=tag)

    assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", '"2"')


@pytest.mark.parametrize("tag", ['"1"', '"22"', "2", "", "x"])
async def test_what_the_caller_has_not_is_sent(project: Project, tag: str) -> None:
    path = f"/models/{(await project.model())['id']}"
    await project.patch(path, {"description": "d"})

    assert (await project.get(path, If_None_Match=tag)).status_code == 200


async def test_another_project_learns_nothing_from_a_revision(api: Api, project: Project) -> None:
    model = await project.model()

    assert (await api.project().get(f"/models/{model['id']}", If_None_Match="*")).status_code == 404


@pytest.mark.parametrize("kind", ["model", "version"])
async def test_a_patch_on_an_old_revision_is_refused(project: Project, kind: str) -> None:
    model = await project.model()
    version = await project.version(model)
    path = f"/models/{model['id']}" if kind == "model" else f"/model_versions/{version['id']}"
    current = (await project.get(path)).headers["etag"]
    await project.patch(path, {"description": "theirs"}, If_Match=current)

    status, _ = refusal(await project.patch(path, {"description": "mine"}, If_Match=current))

    assert status == 412
    assert made(await project.get(path), 200)["description"] == "theirs"
    assert made(await project.patch(path, {"description": "mine"}, If_Match="*"), 200)["description"] == "mine"


@pytest.mark.parametrize("tag", ["1", '"x"', "", 'W/"1"', '"1", "2"', '"-1"', '"' + "1" * 5000 + '"'])
async def test_a_malformed_if_match_is_refused(project: Project, tag: str) -> None:
    answer = await project.patch(f"/models/{(await project.model())['id']}", {"name": "new"}, If_Match=tag)

    assert refusal(answer) == (400, 'invalid If-Match: expected a revision in quotes, such as "3", or *')


async def test_revisions_may_be_listed_in_several_headers(project: Project) -> None:
    model = await project.model()
    headers = [("Project-ID", str(project.id)), ("If-None-Match", '"7"'), ("If-None-Match", '"1"')]

    assert (await project.client.get(f"{BASE_PATH}/models/{model['id']}", headers=headers)).status_code == 304
