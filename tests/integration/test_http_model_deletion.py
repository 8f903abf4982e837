"""Deleting models over HTTP."""

import asyncio
from uuid import UUID

from modeltrail.commands.deployments import Cluster
from support.api import Api, Json, Project, made, refusal, running_api
from support.database import Database

ACTIVE = (400, "model has active deployments")


async def archived(project: Project, model: Json) -> Json:
    return made(await project.patch(f"/models/{model['id']}", {"state": "ARCHIVED"}), 200)


async def topics(api: Api, stream: str) -> list[str]:
    query = "SELECT topic FROM stored_events WHERE originator_id = $1 ORDER BY originator_version"
    return [record["topic"] for record in await api.pool.fetch(query, UUID(stream))]


async def test_a_model_goes_with_its_versions_and_their_credentials(api: Api, project: Project) -> None:
    model = await project.model()
    version = await project.version(model, access_key="k", secret_key="s", is_default=True)
    await archived(project, model)

    answer = await project.delete(f"/models/{model['id']}")

    assert (answer.status_code, answer.json()) == (200, {"status": "deleted"})
    assert (await project.get(f"/models/{model['id']}")).status_code == 404
    assert (await project.get(f"/model_versions/{version['id']}")).status_code == 404
    assert (await project.get("/models")).json()["total"] == 0
    assert await api.pool.fetchval("SELECT count(*) FROM credentials") == 0
    assert (await topics(api, model["id"]))[-1] == "registered_model.deleted"
    assert (await topics(api, version["id"]))[-1] == "model_version.deleted"
    await project.model()


async def test_the_children_of_a_deleted_model_have_no_parent(api: Api, project: Project) -> None:
    parent = await project.model("parent")
    child = await project.model("child", parent_model_id=parent["id"])
    await archived(project, parent)

    made(await project.delete(f"/models/{parent['id']}"), 200)

    assert (await project.get(f"/models/{child['id']}")).json()["parent_model_id"] is None
    assert (await topics(api, child["id"]))[-1] == "registered_model.parent_removed"


async def test_only_an_archived_model_can_be_deleted(project: Project) -> None:
    model = await project.model()

    answer = await project.delete(f"/models/{model['id']}")

    assert refusal(answer) == (400, "cannot delete model: must be archived with no READY versions")


async def test_a_deployed_model_cannot_be_deleted_until_it_is_off_the_cluster(project: Project) -> None:
    model = await project.model()
    await project.ready_version(model)
    service = await project.deployed(model, await project.environment())
    await archived(project, model)

    assert refusal(await project.delete(f"/models/{model['id']}")) == ACTIVE
    await project.confirm(service)
    await project.delete(f"/inference_services/{service['id']}/undeploy")

    assert refusal(await project.delete(f"/models/{model['id']}")) == ACTIVE


async def test_a_deployment_and_a_deletion_that_race_do_not_both_win(project: Project) -> None:
    environment = await project.environment()
    for number in range(5):
        model = await project.model(f"m{number}")
        await project.ready_version(model)
        await archived(project, model)
        order = {"registered_model_id": model["id"], "serving_environment_id": environment["id"]}

        deployed, deleted = await asyncio.gather(
            project.post("/deploy", order), project.delete(f"/models/{model['id']}")
        )

        assert (deployed.status_code, deleted.status_code) in {(202, 400), (404, 200)}


async def test_a_stale_deletion_and_one_from_another_project_are_refused(api: Api, project: Project) -> None:
    model = await archived(project, await project.model())
    path = f"/models/{model['id']}"

    assert (await project.delete(path, **{"If-Match": '"1"'})).status_code == 412
    assert (await api.project().delete(path)).status_code == 404
    assert (await project.delete(path, **{"If-Match": '"2"'})).status_code == 200


async def test_an_inference_service_of_a_deleted_model_stays_as_a_record_of_it(database: Database) -> None:
    async with running_api(database, Cluster.NONE) as api:
        project = api.project()
        model = await project.model()
        version = await project.ready_version(model)
        environment = await project.environment()
        service = await project.deployed(model, environment)
        await project.confirm(service)
        path = f"/inference_services/{service['id']}"
        assert (await project.delete(f"{path}/undeploy")).status_code == 204
        before = made(await project.get(path), 200)
        await archived(project, model)
        made(await project.delete(f"/models/{model['id']}"), 200)

        shown = made(await project.get(path), 200)

        names = ("name", "registered_model_id", "registered_model_name", "model_version_id", "serving_environment_name")
        assert {name: shown[name] for name in names} == {name: before[name] for name in names}
        assert shown["served_models"] == before["served_models"]
        for query in ("", f"?registered_model_id={model['id']}", f"?model_version_id={version['id']}"):
            assert [item["id"] for item in made(await project.get(f"/inference_services{query}"), 200)["items"]] == [
                service["id"]
            ]
        events = await project.events()
        assert (await project.delete(f"{path}/undeploy")).status_code == 204
        assert await project.events() == events
        order = {"registered_model_id": model["id"], "serving_environment_id": environment["id"]}
        assert refusal(await project.post("/deploy", order)) == (404, "registered model not found")
        again = await project.model()
        await project.ready_version(again)
        order["registered_model_id"] = again["id"]
        assert made(await project.post("/deploy", order), 202)["inference_service"]["id"] != service["id"]
        assert made(await project.get(path), 200) == shown
