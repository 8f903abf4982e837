"""Model artifacts over HTTP: the same versions, seen as artifacts."""

from uuid import uuid4

import pytest

from support.api import ARTIFACT, Api, Project, refusal

FIELDS = [
    "id",
    "created_at",
    "updated_at",
    "registered_model_id",
    "name",
    "artifact_type",
    "model_framework",
    "model_framework_version",
    "container_image",
    "uri",
    "labels",
    "prebuilt_container_id",
]
NOT_FOUND = (404, "model version not found")


async def test_an_artifact_is_a_version_of_the_model_that_it_names(project: Project) -> None:
    model = await project.model()
    given = {"registered_model_id": model["id"], "name": "a1", "labels": {"a": "b"}, **ARTIFACT}

    answer = await project.post("/model_artifacts", given)

    artifact = answer.json()
    assert answer.status_code == 201
    assert list(artifact) == FIELDS
    assert artifact.items() >= given.items()
    version = (await project.get(f"/model_versions/{artifact['id']}")).json()
    assert {field: version[field] for field in FIELDS} == artifact
    assert not version["is_default"]


async def test_a_version_is_found_as_artifact_by_every_route(project: Project) -> None:
    model = await project.model()
    version = await project.version(model, "v1", created_by_email="ann@example.org")
    artifact = {field: version[field] for field in FIELDS}

    listed = (await project.get("/model_artifacts?status=PENDING&state=LIVE&sort_by=uri&order=asc")).json()

    assert (listed["items"], listed["total"]) == ([artifact], 1)
    assert (await project.get("/model_artifacts?status=READY")).json()["items"] == []
    assert (await project.get(f"/model_artifacts/{version['id']}")).json() == artifact
    for query in ("name=v1", f"externalId={version['id']}", f"parentResourceId={model['id']}"):
        assert (await project.get(f"/model_artifact?{query}")).json() == artifact


async def test_a_patched_artifact_is_a_patched_version(project: Project) -> None:
    version = await project.version(await project.model(), "v1", artifact_type="onnx")

    answer = await project.patch(
        f"/model_artifacts/{version['id']}", {"uri": "s3://b", "artifact_type": "", "name": "x"}
    )

    assert answer.status_code == 200
    assert list(answer.json()) == FIELDS
    after = (await project.get(f"/model_versions/{version['id']}")).json()
    assert (after["uri"], after["artifact_type"], after["name"]) == ("s3://b", "model-artifact", "v1")


@pytest.mark.parametrize("route", ["model_artifacts", "model_versions"])
@pytest.mark.parametrize("field", ["uri", "model_framework", "model_framework_version"])
async def test_a_patch_cannot_empty_what_creation_requires(project: Project, route: str, field: str) -> None:
    version = await project.version(await project.model())

    answer = await project.patch(f"/{route}/{version['id']}", {field: ""})

    assert refusal(answer) == (400, f"invalid {field}: cannot be empty")


async def test_an_empty_model_type_in_a_patch_is_the_usual_one(project: Project) -> None:
    model = await project.model(model_type="LLM")

    answer = await project.patch(f"/models/{model['id']}", {"model_type": ""})

    assert answer.json()["model_type"] == "CUSTOMTRAIN"


async def test_an_artifact_of_another_project_is_not_found(api: Api, project: Project) -> None:
    version = await project.version(await project.model(), "v1")
    other = api.project()
    path = f"/model_artifacts/{version['id']}"

    assert refusal(await other.get(path)) == NOT_FOUND
    assert refusal(await other.patch(path, {"uri": "s3://b"})) == NOT_FOUND
    assert refusal(await other.get("/model_artifact?name=v1")) == NOT_FOUND
    assert (await other.get("/model_artifacts")).json()["total"] == 0


async def test_what_names_no_artifact_is_refused(project: Project) -> None:
    given = {"registered_model_id": str(uuid4()), "name": "a", **ARTIFACT}

    assert refusal(await project.post("/model_artifacts", given)) == (404, "registered model not found")
    assert refusal(await project.get("/model_artifacts/no")) == (400, "invalid artifact id")
    assert refusal(await project.get("/model_artifact")) == NOT_FOUND
    assert refusal(await project.get("/model_artifacts?sort_by=status")) == (400, "invalid sort_by")
