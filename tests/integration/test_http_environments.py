"""Changing and deleting serving environments over HTTP."""

from uuid import UUID

import msgspec
import pytest

from modeltrail.projections.deployment_tasks import ToApply
from support.api import Api, Json, Project, made, refusal

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


DEFAULTS: Json = {
    "min_replicas": 1,
    "max_replicas": 3,
    "resources": {"requests": {"cpu": "500m"}, "limits": {"memory": "2Gi"}},
    "runtime": "our-runtime",
    "protocol_version": "v2",
}


async def told_the_cluster(project: Project, service: Json) -> Json:
    """The options of the object that the cluster is to hold."""
    row = await project.services.pool.fetchrow(
        "SELECT body FROM deployment_tasks WHERE id = $1 UNION ALL"
        " SELECT body FROM standing_deployments WHERE id = $1 LIMIT 1",
        UUID(service["id"]),
    )
    task = msgspec.json.decode(row["body"], type=ToApply)
    told: Json = msgspec.to_builtins(task.target.served_with)
    return told


async def test_what_a_deployment_does_not_say_the_environment_says(project: Project) -> None:
    model = await project.model()
    await project.ready_version(model)
    environment = await project.environment(defaults=DEFAULTS)
    assert environment["defaults"] == DEFAULTS

    service = await project.deployed(model, environment, max_replicas=5)

    assert {name: service[name] for name in DEFAULTS} == {**DEFAULTS, "max_replicas": 5}
    assert await told_the_cluster(project, service) == {**DEFAULTS, "max_replicas": 5}


async def test_changed_defaults_hold_from_the_next_deployment_on(project: Project) -> None:
    model = await project.model()
    await project.ready_version(model)
    environment = await project.environment(defaults={"min_replicas": 1, "runtime": "our-runtime"})
    service = await project.deployed(model, environment, protocol_version="v2")
    await project.confirm(service)
    events = await project.events()

    place = f"/serving_environments/{environment['id']}"
    after = made(await project.patch(place, {"defaults": {"min_replicas": 4}}), 200)
    path = f"/inference_services/{service['id']}"
    shown = made(await project.get(path), 200)

    assert after["defaults"] == {"min_replicas": 4}, "as a whole"
    assert (shown["min_replicas"], shown["runtime"]) == (1, "our-runtime"), "what is in the cluster stays as it is"
    assert await project.events() == events + 1

    second = await project.ready_version(model, "v2")
    rolled_out = made(await project.patch(path, {"model_version_id": second["id"]}), 200)

    assert (rolled_out["min_replicas"], rolled_out["runtime"], rolled_out["protocol_version"]) == (4, "kserve", "v2")
    assert await told_the_cluster(project, service) == {"min_replicas": 4, "protocol_version": "v2"}


async def test_a_rollback_brings_the_defaults_of_then_back(project: Project) -> None:
    model = await project.model()
    await project.ready_version(model)
    environment = await project.environment(defaults={"min_replicas": 1})
    service = await project.deployed(model, environment)
    await project.confirm(service)
    await project.patch(f"/serving_environments/{environment['id']}", {"defaults": {"min_replicas": 4}})
    second = await project.ready_version(model, "v2")
    path = f"/inference_services/{service['id']}"
    await project.patch(path, {"model_version_id": second["id"]})
    await project.confirm(service)

    made(await project.post(f"{path}/rollback", {}), 202)

    assert made(await project.get(path), 200)["min_replicas"] == 1


async def test_a_patch_with_what_the_service_shows_deploys_nothing(project: Project) -> None:
    model = await project.model()
    await project.ready_version(model)
    service = await project.deployed(model, await project.environment(defaults=DEFAULTS))
    events = await project.events()

    shown = {name: service[name] for name in DEFAULTS}
    answer = await project.patch(f"/inference_services/{service['id']}", shown)

    assert made(answer, 200) == service
    assert await project.events() == events


async def test_a_service_that_waited_is_deployed_with_the_defaults_of_the_day(project: Project) -> None:
    model = await project.model()
    version = await project.version(model)
    environment = await project.environment(defaults={"min_replicas": 1})
    wish = {
        "name": "later",
        "registered_model_id": model["id"],
        "serving_environment_id": environment["id"],
        "model_version_id": version["id"],
    }
    service = made(await project.post("/inference_services", wish))
    await project.patch(f"/serving_environments/{environment['id']}", {"defaults": {"min_replicas": 2}})

    await project.patch(f"/model_versions/{version['id']}", {"status": "READY"})

    assert await told_the_cluster(project, service) == {"min_replicas": 2}


async def test_no_defaults_are_not_shown(project: Project) -> None:
    environment = await project.environment(defaults={})
    assert "defaults" not in environment
    path = f"/serving_environments/{environment['id']}"
    assert made(await project.patch(path, {"defaults": {"min_replicas": 1}}), 200)["defaults"] == {"min_replicas": 1}
    assert "defaults" not in made(await project.patch(path, {"defaults": {}}), 200)


@pytest.mark.parametrize(
    ("defaults", "message"),
    [
        ({"min_replicas": 3, "max_replicas": 2}, "invalid max_replicas: 2 is less than min_replicas, 3"),
        ({"min_replicas": -1}, "invalid defaults.min_replicas: must be at least 0"),
        ({"protocol_version": "v9"}, "invalid protocol_version: expected one of v1, v2, grpc-v1, grpc-v2"),
        (
            {"resources": {"limits": {"cpu": "lots"}}},
            "invalid resources: 'lots' is not a quantity for 'cpu', such as '500m' or '2Gi'",
        ),
    ],
)
async def test_defaults_that_nothing_could_be_served_with_are_refused(
    project: Project, defaults: Json, message: str
) -> None:
    assert refusal(await project.post("/serving_environments", {"name": "x", "defaults": defaults})) == (400, message)
    path = f"/serving_environments/{(await project.environment())['id']}"
    assert refusal(await project.patch(path, {"defaults": defaults})) == (400, message)


async def test_a_deployment_that_does_not_go_with_the_defaults_is_told_so(project: Project) -> None:
    model = await project.model()
    await project.ready_version(model)
    environment = await project.environment(defaults={"min_replicas": 3})
    order = {"registered_model_id": model["id"], "serving_environment_id": environment["id"], "max_replicas": 2}

    message = "invalid max_replicas: 2 is less than min_replicas, 3, with the defaults of the serving environment"
    assert refusal(await project.post("/deploy", order)) == (400, message)
