"""Registered models over HTTP."""

from uuid import UUID, uuid4

import pytest

from support.api import Api, Project, made, refusal

FIELDS = [
    "id",
    "created_at",
    "updated_at",
    "project_id",
    "owner_id",
    "owner_email",
    "name",
    "slug",
    "description",
    "model_type",
    "model_size",
    "state",
    "deployment_status",
    "tags",
    "labels",
    "parent_model_id",
    "version_count",
]
NOT_FOUND = (404, "registered model not found")
SECONDS = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"


async def test_a_model_is_registered_with_everything_that_was_given(project: Project) -> None:
    parent = await project.model("parent")

    model = await project.model(
        "Iris Model_2",
        description="flowers",
        owner_email="ann@example.org",
        model_type="LLM",
        tags={"frameworks": ["sklearn"], "tasks": ["classify"], "subjects": None},
        labels={"team": "a"},
        parent_model_id=parent["id"],
    )

    assert list(model) == FIELDS
    assert model["project_id"] == str(project.id)
    assert model["slug"] == "iris-model-2"
    assert model["owner_email"] == "ann@example.org"
    assert model["tags"] == {"frameworks": ["sklearn"], "architectures": [], "tasks": ["classify"], "subjects": []}
    assert model["labels"] == {"team": "a"}
    assert model["parent_model_id"] == parent["id"]
    assert (model["state"], model["deployment_status"]) == ("LIVE", "UNDEPLOYED")


async def test_what_is_not_given_has_its_default(project: Project) -> None:
    model = await project.model("iris")

    assert list(model) == [field for field in FIELDS if field != "owner_email"]
    assert model["model_type"] == "CUSTOMTRAIN"
    assert model["tags"] == {"frameworks": [], "architectures": [], "tasks": [], "subjects": []}
    assert (model["description"], model["labels"], model["parent_model_id"]) == ("", {}, None)
    assert (model["owner_id"], model["model_size"], model["version_count"]) == (None, 0, 0)


async def test_null_is_the_same_as_absent(project: Project) -> None:
    fields = ("description", "owner_email", "model_type", "tags", "labels", "parent_model_id")

    model = await project.model("iris", **dict.fromkeys(fields))

    plain = await project.model("plain")
    assert {field: model.get(field) for field in fields} == {field: plain.get(field) for field in fields}


async def test_an_empty_model_type_is_the_usual_one(project: Project) -> None:
    assert (await project.model(model_type=""))["model_type"] == "CUSTOMTRAIN"


async def test_unknown_fields_are_ignored(project: Project) -> None:
    assert "colour" not in await project.model(colour="blue")


async def test_times_are_whole_seconds_in_utc(project: Project) -> None:
    model = await project.model()

    assert model["created_at"] == model["updated_at"]
    assert len(model["created_at"]) == len("2026-02-10T08:15:30Z")
    assert model["created_at"].endswith("Z")


async def test_a_name_is_taken_once_per_project(api: Api, project: Project) -> None:
    await project.model("iris")

    again = await project.post("/models", {"name": "iris"})

    assert refusal(again) == (409, "model with this name already exists in the project")
    assert (await api.project().model("iris"))["name"] == "iris"


async def test_a_parent_must_be_a_model_of_the_project(api: Api, project: Project) -> None:
    elsewhere = await api.project().model()

    for parent in (elsewhere["id"], str(uuid4()), str(uuid4()).replace("-", "")):
        assert refusal(await project.post("/models", {"name": "iris", "parent_model_id": parent})) == NOT_FOUND


async def test_a_model_is_shown_right_after_it_was_registered(project: Project) -> None:
    model = await project.model(owner_email="ann@example.org")

    shown = await project.get(f"/models/{model['id']}")

    assert made(shown, 200) == model
    assert list(shown.json()) == FIELDS


async def test_a_single_model_shows_its_latest_and_default_version_without_people(project: Project) -> None:
    model = await project.model()
    first = await project.version(model, "v1", is_default=True, created_by_email="ann@example.org")
    last = await project.version(model, "v2", updated_by_email="ann@example.org")

    shown = made(await project.get(f"/models/{model['id']}"), 200)

    assert list(shown)[-3:] == ["version_count", "latest_version", "default_version"]
    assert shown["version_count"] == 2
    del first["created_by_email"], last["updated_by_email"]
    assert shown["default_version"] == first
    assert shown["latest_version"] == last


async def test_a_model_in_a_list_shows_no_versions(project: Project) -> None:
    await project.version(await project.model())

    (item,) = made(await project.get("/models"), 200)["items"]

    assert item["version_count"] == 1
    assert not {"latest_version", "default_version"} & set(item)


async def test_a_model_of_another_project_is_not_found_by_id(api: Api, project: Project) -> None:
    model = await api.project().model()

    assert refusal(await project.get(f"/models/{model['id']}")) == NOT_FOUND
    assert refusal(await project.patch(f"/models/{model['id']}", {"name": "mine"})) == NOT_FOUND


async def test_a_model_of_another_project_is_not_found_by_name_or_in_lists(api: Api, project: Project) -> None:
    model = await api.project().model("iris")

    assert refusal(await project.get("/model?name=iris")) == NOT_FOUND
    assert refusal(await project.get(f"/model?externalId={model['id']}")) == NOT_FOUND
    assert made(await project.get("/models"), 200)["items"] == []


async def test_a_model_is_found_by_name_or_by_id_as_text(project: Project) -> None:
    model = await project.model("iris & co")

    assert made(await project.get("/model?name=iris%20%26%20co"), 200) == model
    assert made(await project.get(f"/model?externalId={model['id']}"), 200) == model
    assert made(await project.get(f"/model?externalId={model['id'].upper()}&name=iris+%26+co"), 200) == model


@pytest.mark.parametrize(
    "query", ["", "?name=", "?name=&externalId=", "?name=no", "?externalId=no", f"?externalId={UUID(int=1)}"]
)
async def test_a_lookup_that_finds_nothing_is_not_found(project: Project, query: str) -> None:
    await project.model("iris")

    assert refusal(await project.get("/model" + query)) == NOT_FOUND


async def test_a_lookup_must_match_in_all_that_is_given(project: Project) -> None:
    model = await project.model("iris")
    other = await project.model("other")

    assert refusal(await project.get(f"/model?name=iris&externalId={other['id']}")) == NOT_FOUND
    assert refusal(await project.get(f"/model?name={model['name']}&externalId=no")) == NOT_FOUND


@pytest.mark.parametrize("method", ["GET", "PATCH"])
async def test_an_id_that_is_none_is_refused(project: Project, method: str) -> None:
    assert refusal(await project.send(method, "/models/7", {})) == (400, "invalid model id")
    assert refusal(await project.send(method, "/models/%00", {})) == (400, "invalid model id")


async def test_an_unknown_model_is_not_found(project: Project) -> None:
    assert refusal(await project.get(f"/models/{uuid4()}")) == NOT_FOUND
    assert refusal(await project.patch(f"/models/{uuid4()}", {})) == NOT_FOUND


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "renamed"),
        ("description", "new"),
        ("description", ""),
        ("model_type", "LLM"),
        ("model_size", 2**63 - 1),
        ("state", "ARCHIVED"),
        ("deployment_status", "FAILED"),
        ("tags", {"frameworks": ["a"], "architectures": [], "tasks": [], "subjects": ["b"]}),
        ("labels", {}),
    ],
)
async def test_a_patch_changes_one_field_and_nothing_else(project: Project, field: str, value: object) -> None:
    model = await project.model("iris", description="old", labels={"a": "b"}, tags={"tasks": ["t"]})

    patched = made(await project.patch(f"/models/{model['id']}", {field: value}), 200)

    assert patched == model | {field: value, "updated_at": patched["updated_at"]}
    assert made(await project.get(f"/models/{model['id']}"), 200) == patched


async def test_the_slug_stays_when_the_name_changes(project: Project) -> None:
    model = await project.model("First Name")

    patched = made(await project.patch(f"/models/{model['id']}", {"name": "second"}), 200)

    assert (patched["name"], patched["slug"]) == ("second", "first-name")


async def test_a_patch_cannot_take_the_name_of_another_model(project: Project) -> None:
    await project.model("iris")
    other = await project.model("other")

    patched = await project.patch(f"/models/{other['id']}", {"name": "iris"})

    assert refusal(patched) == (409, "model with this name already exists in the project")


async def test_a_patch_that_changes_nothing_appends_no_event(project: Project) -> None:
    model = await project.model("iris", description="d", labels={"a": "b"}, tags={"tasks": ["t"]})
    same = {
        name: model[name] for name in ("name", "description", "model_type", "model_size", "state", "tags", "labels")
    }
    before = await project.events()

    for body in ({}, same, dict.fromkeys(same), {"deployment_status": "UNDEPLOYED"}):
        assert made(await project.patch(f"/models/{model['id']}", body), 200) == model

    assert await project.events() == before


@pytest.mark.parametrize("field", ["state", "deployment_status"])
@pytest.mark.parametrize("value", ["live", "", "READY"])
async def test_an_unknown_state_or_status_is_refused(project: Project, field: str, value: str) -> None:
    model = await project.model()

    assert refusal(await project.patch(f"/models/{model['id']}", {field: value})) == (400, "invalid state")


@pytest.mark.parametrize(
    ("size", "problem"),
    [
        (2**63, "must be at most 9223372036854775807"),
        (-(2**63) - 1, "must be at least -9223372036854775808"),
        (10**30, "must be at most 9223372036854775807"),
        (True, "expected an integer"),
        (1.5, "expected an integer"),
        ("5", "expected an integer"),
    ],
)
async def test_a_size_must_be_an_integer_that_fits(project: Project, size: object, problem: str) -> None:
    model = await project.model()

    raw = f'{{"model_size": {str(size).lower() if not isinstance(size, str) else chr(34) + size + chr(34)}}}'.encode()

    assert refusal(await project.patch(f"/models/{model['id']}", raw)) == (400, f"invalid model_size: {problem}")


async def test_a_person_is_stored_only_encrypted(api: Api, project: Project) -> None:
    await project.post("/models", {"name": "iris", "owner_email": "ann@example.org"}, X_User_Email="bob@example.org")

    rows = await api.pool.fetch("SELECT state, actor::text AS actor FROM stored_events")

    assert rows[0]["actor"] is not None
    assert not any(b"example.org" in row["state"] or "example.org" in row["actor"] for row in rows)
