"""Model versions over HTTP."""

from uuid import UUID, uuid4

import msgspec
import pytest

from support.api import ARTIFACT, Api, Json, Project, made, refusal

FIELDS = [
    "id",
    "created_at",
    "updated_at",
    "registered_model_id",
    "name",
    "description",
    "is_default",
    "state",
    "status",
    "created_by_id",
    "updated_by_id",
    "created_by_email",
    "updated_by_email",
    "artifact_type",
    "model_framework",
    "model_framework_version",
    "container_image",
    "model_catalog_name",
    "uri",
    "labels",
    "prebuilt_container_id",
]
EMAILS = ("created_by_email", "updated_by_email")
NOT_FOUND = (404, "model version not found")
TAKEN = (409, "version with this name already exists for this model")


async def test_a_version_is_registered_with_everything_that_was_given(project: Project) -> None:
    model, container = await project.model(), str(uuid4())
    given = {
        "description": "d",
        "is_default": True,
        "artifact_type": "onnx",
        "container_image": "image:1",
        "model_catalog_name": "catalogue",
        "labels": {"a": "b"},
        "prebuilt_container_id": container,
        "created_by_email": "ann@example.org",
        "updated_by_email": "bob@example.org",
        **ARTIFACT,
    }

    version = await project.version(model, "v1", **given)

    assert list(version) == FIELDS
    assert version.items() >= given.items()
    assert (version["state"], version["status"]) == ("LIVE", "PENDING")
    assert version["registered_model_id"] == model["id"]


async def test_what_is_not_given_has_its_default(project: Project) -> None:
    optional = ("description", "is_default", "artifact_type", "container_image", "labels", "prebuilt_container_id")
    nothing: Json = dict.fromkeys((*optional, *EMAILS, "access_key"))
    version = await project.version(await project.model(), **nothing)

    assert list(version) == [field for field in FIELDS if field not in EMAILS]
    assert [version[field] for field in optional] == ["", False, "model-artifact", "", {}, None]
    assert (version["created_by_id"], version["updated_by_id"], version["model_catalog_name"]) == (None, None, "")


@pytest.mark.parametrize("field", ["name", *ARTIFACT])
@pytest.mark.parametrize("value", ["", None])
async def test_what_is_required_must_be_given(project: Project, field: str, value: str | None) -> None:
    path = f"/models/{(await project.model())['id']}/versions"
    body = {"name": "v1", **ARTIFACT}
    refused = (400, f"invalid {field}: cannot be empty")

    assert refusal(await project.post(path, body | {field: value})) == refused
    del body[field]
    assert refusal(await project.post(path, body)) == refused


async def test_a_name_is_taken_once_per_model(project: Project) -> None:
    model, other = await project.model("iris"), await project.model("other")
    await project.version(model, "v1")

    assert refusal(await project.post(f"/models/{model['id']}/versions", {"name": "v1", **ARTIFACT})) == TAKEN
    assert (await project.version(other, "v1"))["name"] == "v1"


async def test_a_version_needs_a_model_of_the_project(api: Api, project: Project) -> None:
    elsewhere = await api.project().model()
    body = {"name": "v1", **ARTIFACT}

    for model in (elsewhere["id"], uuid4()):
        assert refusal(await project.post(f"/models/{model}/versions", body)) == (404, "registered model not found")
    assert refusal(await project.post("/models/x/versions", body)) == (400, "invalid model id")


async def test_keys_are_kept_encrypted_and_shown_nowhere(api: Api, project: Project) -> None:
    version = await project.version(await project.model(), access_key="AKIA-ACCESS", secret_key="the-secret")

    row = await api.pool.fetchrow("SELECT * FROM credentials")
    log = await api.pool.fetchval("SELECT string_agg(encode(state, 'escape'), '') FROM stored_events")
    opened = api.services.keys.unseal(row["key_id"], row["box"], UUID(version["id"]).bytes)
    assert msgspec.json.decode(opened) == {"access_key": "AKIA-ACCESS", "secret_key": "the-secret"}
    assert not any(secret in str(version) + log for secret in ("AKIA-ACCESS", "the-secret"))
    assert '"has_credentials":true' in log


async def test_without_keys_nothing_is_kept(api: Api, project: Project) -> None:
    await project.version(await project.model(), access_key="", secret_key=None)

    assert await api.pool.fetchval("SELECT count(*) FROM credentials") == 0


@pytest.mark.parametrize("prefix", ["/models/{model}/versions/{version}", "/model_versions/{version}"])
async def test_a_version_is_shown_on_both_paths(project: Project, prefix: str) -> None:
    model = await project.model()
    version = await project.version(model, created_by_email="ann@example.org")

    shown = await project.get(prefix.format(model=model["id"], version=version["id"]))

    assert made(shown, 200) == version


async def test_a_version_below_another_model_is_not_found(project: Project) -> None:
    version = await project.version(await project.model("iris"))
    path = f"/models/{(await project.model('other'))['id']}/versions/{version['id']}"

    assert refusal(await project.get(path)) == NOT_FOUND
    assert refusal(await project.patch(path, {"name": "v2"})) == NOT_FOUND
    assert made(await project.get(f"/model_versions/{version['id']}"), 200) == version


async def test_a_version_of_another_project_is_not_found(api: Api, project: Project) -> None:
    other = api.project()
    model = await other.model()
    version = await other.version(model)

    for path in (f"/models/{model['id']}/versions/{version['id']}", f"/model_versions/{version['id']}"):
        assert refusal(await project.get(path)) == NOT_FOUND
        assert refusal(await project.patch(path, {"name": "mine"})) == NOT_FOUND
    for query in ("name=v1", f"externalId={version['id']}", f"parentResourceId={model['id']}"):
        assert refusal(await project.get(f"/model_version?{query}")) == NOT_FOUND
    for path in (f"/models/{model['id']}/versions", "/model_versions"):
        assert made(await project.get(path), 200)["items"] == []


async def test_ids_in_the_path_are_checked_from_left_to_right(project: Project) -> None:
    assert refusal(await project.get("/models/x/versions/y")) == (400, "invalid model id")
    assert refusal(await project.get(f"/models/{uuid4()}/versions/y")) == (400, "invalid version id")
    assert refusal(await project.patch(f"/models/{uuid4()}/versions/y", b"{")) == (400, "invalid version id")
    assert refusal(await project.get("/model_versions/y")) == (400, "invalid version id")
    assert refusal(await project.get("/models/x/versions")) == (400, "invalid model id")


async def test_an_unknown_model_has_no_versions(project: Project) -> None:
    answer = made(await project.get(f"/models/{uuid4()}/versions"), 200)

    assert answer == {"items": [], "total": 0, "page_size": 20, "next_offset": 0}


async def test_versions_are_listed_by_model_and_over_the_project(project: Project) -> None:
    iris, other = await project.model("iris"), await project.model("other")
    one, two, three = (
        await project.version(iris, "v1"),
        await project.version(other, "v1"),
        await project.version(iris, "v2"),
    )

    assert made(await project.get(f"/models/{iris['id']}/versions"), 200)["items"] == [three, one]
    assert made(await project.get("/model_versions"), 200)["items"] == [three, two, one]


async def test_versions_are_filtered_by_state_and_status(project: Project) -> None:
    model = await project.model()
    ready = await project.ready_version(model, "ready")
    pending = await project.version(model, "pending")
    gone = await project.version(model, "gone")
    gone = made(await project.patch(f"/model_versions/{gone['id']}", {"state": "ARCHIVED"}), 200)

    for path in ("/model_versions", f"/models/{model['id']}/versions"):
        assert made(await project.get(f"{path}?status=READY"), 200)["items"] == [ready]
        assert made(await project.get(f"{path}?state=ARCHIVED&status="), 200)["items"] == [gone]
        assert made(await project.get(f"{path}?state=LIVE&status=PENDING"), 200)["items"] == [pending]
        assert made(await project.get(f"{path}?status=nonsense"), 200)["total"] == 0


async def test_a_version_is_found_by_name_id_and_model(project: Project) -> None:
    model = await project.model()
    version = await project.version(model, "v1")

    for query in (
        "name=v1",
        f"externalId={version['id']}",
        f"parentResourceId={model['id']}",
        f"registered_model_id={model['id']}&name=v1",
        f"parentResourceId={model['id']}&name=v1&externalId={version['id']}",
        f"parentResourceId={model['id']}&registered_model_id=ignored",
    ):
        assert made(await project.get(f"/model_version?{query}"), 200) == version


async def test_of_several_versions_with_a_name_the_newest_is_found(project: Project) -> None:
    await project.version(await project.model("iris"), "v1")
    newest = await project.version(await project.model("other"), "v1")

    assert made(await project.get("/model_version?name=v1"), 200) == newest


@pytest.mark.parametrize(
    "query", ["", "name=", "name=no", "externalId=no", f"parentResourceId={UUID(int=1)}", "name=v1&externalId=no"]
)
async def test_a_lookup_that_finds_nothing_is_not_found(project: Project, query: str) -> None:
    await project.version(await project.model(), "v1")

    assert refusal(await project.get(f"/model_version?{query}")) == NOT_FOUND


@pytest.mark.parametrize("name", ["parentResourceId", "registered_model_id"])
async def test_a_lookup_below_something_that_is_no_id_is_refused(project: Project, name: str) -> None:
    assert refusal(await project.get(f"/model_version?{name}=7&name=v1")) == (400, "invalid parentResourceId")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "v2"),
        ("description", "new"),
        ("is_default", True),
        ("state", "ARCHIVED"),
        ("status", "READY"),
        ("status", "FAILED"),
        ("artifact_type", "onnx"),
        ("model_framework", "torch"),
        ("model_framework_version", "2"),
        ("container_image", "image"),
        ("uri", "s3://other"),
        ("labels", {"c": "d"}),
    ],
)
async def test_a_patch_changes_one_field_and_nothing_else(project: Project, field: str, value: object) -> None:
    model = await project.model()
    version = await project.version(model, labels={"a": "b"}, created_by_email="ann@example.org")
    path = f"/models/{model['id']}/versions/{version['id']}"

    patched = made(await project.patch(path, {field: value}), 200)

    assert patched == version | {field: value, "updated_at": patched["updated_at"]}
    assert made(await project.get(f"/model_versions/{version['id']}"), 200) == patched


async def test_one_version_is_the_default(project: Project) -> None:
    model = await project.model()
    first = await project.version(model, "v1", is_default=True)
    second = await project.version(model, "v2")

    await project.patch(f"/model_versions/{second['id']}", {"is_default": True})

    assert made(await project.get(f"/model_versions/{first['id']}"), 200)["is_default"] is False
    assert made(await project.get(f"/models/{model['id']}"), 200)["default_version"]["id"] == second["id"]


async def test_a_patch_that_changes_nothing_appends_no_event(project: Project) -> None:
    version = await project.version(await project.model(), labels={"a": "b"})
    unchangeable = {"id", "created_at", "updated_at", "registered_model_id", "model_catalog_name"}
    same = {name: value for name, value in version.items() if name not in unchangeable}
    before = await project.events()

    for body in ({}, same, dict.fromkeys(same)):
        assert made(await project.patch(f"/model_versions/{version['id']}", body), 200) == version

    assert await project.events() == before


async def test_a_patch_cannot_take_the_name_of_another_version(project: Project) -> None:
    model = await project.model()
    await project.version(model, "v1")
    other = await project.version(model, "v2")

    assert refusal(await project.patch(f"/model_versions/{other['id']}", {"name": "v1"})) == TAKEN


@pytest.mark.parametrize(("field", "value"), [("state", "READY"), ("status", "LIVE"), ("status", "")])
async def test_an_unknown_state_or_status_is_refused(project: Project, field: str, value: str) -> None:
    version = await project.version(await project.model())

    assert refusal(await project.patch(f"/model_versions/{version['id']}", {field: value})) == (400, "invalid state")
