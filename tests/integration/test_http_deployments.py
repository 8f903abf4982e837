"""Serving environments, click-to-deploy and inference services over HTTP."""

from uuid import UUID, uuid4

import pytest

from modeltrail.commands.deployments import Cluster
from support.api import Api, Project, made, refusal, running_api
from support.database import Database

ENVIRONMENT_NOT_FOUND = (404, "serving environment not found")
SERVICE_NOT_FOUND = (404, "inference service not found")
SERVICE_FIELDS = [
    "id",
    "created_at",
    "updated_at",
    "project_id",
    "name",
    "serving_environment_id",
    "serving_environment_name",
    "registered_model_id",
    "registered_model_name",
    "model_version_id",
    "desired_state",
    "current_state",
    "runtime",
    "labels",
    "served_models",
]


async def test_an_environment_is_created_and_shown(project: Project) -> None:
    environment = await project.environment("models", description="d", external_id="ns-1")

    assert list(environment) == ["id", "created_at", "updated_at", "project_id", "name", "description", "external_id"]
    assert environment["project_id"] == str(project.id)
    assert made(await project.get(f"/serving_environments/{environment['id']}"), 200) == environment
    assert made(await project.get("/serving_environment?name=models"), 200) == environment
    assert made(await project.get("/serving_environments"), 200)["items"] == [environment]


async def test_an_environment_shows_no_empty_external_id(project: Project) -> None:
    environment = await project.environment(description=None, external_id="")

    assert "external_id" not in environment
    assert environment["description"] == ""


@pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": None}, {"name": "  "}])
async def test_an_environment_needs_a_name(project: Project, body: dict[str, str]) -> None:
    assert refusal(await project.post("/serving_environments", body)) == (400, "invalid name: cannot be empty")


async def test_the_name_of_an_environment_is_taken_once_per_project(api: Api, project: Project) -> None:
    await project.environment("models")

    again = await project.post("/serving_environments", {"name": "models"})

    assert refusal(again) == (409, "serving environment name already exists")
    await api.project().environment("models")


async def test_an_environment_of_another_project_is_not_found(api: Api, project: Project) -> None:
    environment = await api.project().environment("models")

    assert refusal(await project.get(f"/serving_environments/{environment['id']}")) == ENVIRONMENT_NOT_FOUND
    assert refusal(await project.get("/serving_environment?name=models")) == ENVIRONMENT_NOT_FOUND
    assert refusal(await project.get("/serving_environment")) == ENVIRONMENT_NOT_FOUND
    assert made(await project.get("/serving_environments"), 200)["total"] == 0


async def test_an_id_that_is_none_is_refused(project: Project) -> None:
    assert refusal(await project.get("/serving_environments/x")) == (400, "invalid id")
    assert refusal(await project.get("/inference_services/x")) == (400, "invalid id")
    undeploy = await project.delete("/inference_services/x/undeploy")
    assert refusal(undeploy) == (400, "invalid inference service id")


async def test_deploying_answers_with_the_new_service(project: Project) -> None:
    model, environment = await project.model("Iris"), await project.environment()
    version = await project.ready_version(model)
    order = {"registered_model_id": model["id"], "serving_environment_id": environment["id"], "labels": {"a": "b"}}

    answer = made(await project.post("/deploy", order), 202)

    assert list(answer) == ["inference_service", "status", "message"]
    assert (answer["status"], answer["message"]) == ("PENDING", "Deployment initiated")
    service = answer["inference_service"]
    assert list(service) == SERVICE_FIELDS
    assert service["name"] == f"iris-{version['id'][:8]}"
    assert service["model_version_id"] == version["id"]
    assert (service["desired_state"], service["current_state"], service["runtime"]) == (
        "DEPLOYED",
        "UNDEPLOYED",
        "kserve",
    )
    assert service["labels"] == {"a": "b"}
    assert service["served_models"][0]["last_known_state"] == "PENDING"
    assert made(await project.get(f"/inference_services/{service['id']}"), 200) == service


async def test_a_service_in_a_list_shows_no_served_models(project: Project) -> None:
    model, environment = await project.model(), await project.environment()
    await project.ready_version(model)
    service = await project.deployed(model, environment)
    del service["served_models"]

    assert made(await project.get("/inference_services"), 200)["items"] == [service]


async def test_without_a_version_the_default_is_deployed_else_the_latest(project: Project) -> None:
    model, environment = await project.model(), await project.environment()
    first = await project.ready_version(model, "v1")
    latest = await project.ready_version(model, "v2")

    assert (await project.deployed(model, environment))["model_version_id"] == latest["id"]
    await project.patch(f"/model_versions/{first['id']}", {"is_default": True})
    assert (await project.deployed(model, environment))["model_version_id"] == first["id"]
    given = await project.deployed(model, environment, model_version_id=latest["id"], name="given")
    assert (given["model_version_id"], given["name"]) == (latest["id"], "given")


async def test_an_empty_name_is_made_up(project: Project) -> None:
    model, environment = await project.model("iris"), await project.environment()
    version = await project.ready_version(model)

    assert (await project.deployed(model, environment, name=""))["name"] == f"iris-{version['id'][:8]}"


async def test_made_up_names_are_taken_once_per_namespace(project: Project) -> None:
    model = await project.model("iris")
    version = await project.ready_version(model)
    name = f"iris-{version['id'][:8]}"

    async def named_in(environment: str, **fields: object) -> str:
        service = await project.deployed(model, await project.environment(environment, **fields))
        return str(service["name"])

    assert await named_in("models") == name
    assert await named_in("next door", external_id="models") == f"{name}-2"
    assert await named_in("elsewhere") == name


async def test_what_an_order_lacks_is_found_in_order(project: Project) -> None:
    model, environment = await project.model("iris"), await project.environment()
    stranger = await project.version(await project.model("stranger"))
    order = dict.fromkeys(("registered_model_id", "serving_environment_id", "model_version_id"), str(uuid4()))

    async def refused() -> tuple[int, str]:
        return refusal(await project.post("/deploy", order))

    assert await refused() == ENVIRONMENT_NOT_FOUND
    order["serving_environment_id"] = environment["id"]
    assert await refused() == (404, "registered model not found")
    order["registered_model_id"] = model["id"]
    assert await refused() == (404, "model version not found")
    order["model_version_id"] = stranger["id"]
    assert await refused() == (404, "model version not found")
    del order["model_version_id"]
    assert await refused() == (404, "model version not found")
    version = await project.version(model)
    assert await refused() == (400, "model version is not ready for deployment")
    await project.patch(f"/model_versions/{version['id']}", {"status": "READY"})
    await project.deployed(model, environment, name="taken")
    order["name"] = "taken"
    assert await refused() == (409, "inference service name already exists")
    order["name"] = "Not Valid"
    status, message = await refused()
    assert (status, message.split(":")[0]) == (400, "invalid name")


async def test_nothing_of_another_project_can_be_deployed(api: Api, project: Project) -> None:
    other = api.project()
    model, environment = await other.model(), await other.environment()
    await other.ready_version(model)
    mine = await project.environment()
    order = {"registered_model_id": model["id"], "serving_environment_id": environment["id"]}

    assert refusal(await project.post("/deploy", order)) == ENVIRONMENT_NOT_FOUND
    order["serving_environment_id"] = mine["id"]
    assert refusal(await project.post("/deploy", order)) == (404, "registered model not found")


@pytest.mark.parametrize("field", ["registered_model_id", "serving_environment_id"])
@pytest.mark.parametrize("value", [None, "00000000-0000-0000-0000-000000000000", "absent"])
async def test_an_order_must_name_a_model_and_an_environment(project: Project, field: str, value: str | None) -> None:
    order: dict[str, str | None] = {"registered_model_id": str(uuid4()), "serving_environment_id": str(uuid4())}
    if value == "absent":
        del order[field]
    else:
        order[field] = value

    assert refusal(await project.post("/deploy", order)) == (400, f"invalid {field}: cannot be empty")


async def test_an_environment_that_is_no_namespace_cannot_be_deployed_to(project: Project) -> None:
    model, environment = await project.model(), await project.environment("Not A Namespace")
    await project.ready_version(model)

    status, message = refusal(
        await project.post("/deploy", {"registered_model_id": model["id"], "serving_environment_id": environment["id"]})
    )

    assert status == 400
    assert "DNS-1123" in message


async def test_undeploying_is_wished_at_once_and_done_when_the_cluster_says_so(project: Project) -> None:
    model, environment = await project.model(), await project.environment()
    await project.ready_version(model)
    service = await project.deployed(model, environment)
    await project.confirm(service)

    answer = await project.delete(f"/inference_services/{service['id']}/undeploy")

    assert (answer.status_code, answer.content) == (204, b"")
    shown = made(await project.get(f"/inference_services/{service['id']}"), 200)
    assert (shown["desired_state"], shown["current_state"]) == ("UNDEPLOYED", "DEPLOYED")


async def test_without_a_cluster_undeploying_is_done_at_once(database: Database) -> None:
    async with running_api(database, Cluster.NONE) as api:
        project = api.project()
        model, environment = await project.model(), await project.environment()
        await project.ready_version(model)
        service = await project.deployed(model, environment)
        await project.confirm(service)

        answer = await project.delete(f"/inference_services/{service['id']}/undeploy")

        assert answer.status_code == 204
        shown = made(await project.get(f"/inference_services/{service['id']}"), 200)
        assert (shown["desired_state"], shown["current_state"]) == ("UNDEPLOYED", "UNDEPLOYED")
        assert not {"url", "external_id"} & set(shown)


async def test_undeploying_twice_is_no_error_and_no_event(project: Project) -> None:
    model, environment = await project.model(), await project.environment()
    await project.ready_version(model)
    path = f"/inference_services/{(await project.deployed(model, environment))['id']}/undeploy"
    await project.delete(path)
    before = await project.events()

    assert (await project.delete(path)).status_code == 204
    assert await project.events() == before


async def test_a_service_of_another_project_is_not_found(api: Api, project: Project) -> None:
    other = api.project()
    model, environment = await other.model(), await other.environment()
    await other.ready_version(model)
    service = await other.deployed(model, environment)

    assert refusal(await project.get(f"/inference_services/{service['id']}")) == SERVICE_NOT_FOUND
    assert refusal(await project.delete(f"/inference_services/{service['id']}/undeploy")) == SERVICE_NOT_FOUND
    assert refusal(await project.delete(f"/inference_services/{uuid4()}/undeploy")) == SERVICE_NOT_FOUND
    assert made(await project.get("/inference_services"), 200)["items"] == []


async def test_services_are_filtered_by_what_they_belong_to_and_by_state(project: Project) -> None:
    iris, other = await project.model("iris"), await project.model("other")
    here, there = await project.environment("here"), await project.environment("there")
    await project.ready_version(iris)
    await project.ready_version(other)
    one = await project.deployed(iris, here)
    two = await project.deployed(other, there)
    await project.confirm(one)

    async def listed(query: str) -> list[str]:
        items = made(await project.get(f"/inference_services?{query}"), 200)["items"]
        return [item["id"] for item in items]

    assert await listed(f"registered_model_id={iris['id']}") == [one["id"]]
    assert await listed(f"serving_environment_id={there['id'].upper()}") == [two["id"]]
    assert await listed(f"model_version_id={one['model_version_id']}") == [one["id"]]
    assert await listed("current_state=DEPLOYED") == [one["id"]]
    assert await listed("state=UNDEPLOYED") == [two["id"]]
    assert await listed("desired_state=UNDEPLOYED") == []
    assert await listed(f"registered_model_id={UUID(int=0)}") == []
    assert await listed("registered_model_id=&colour=blue") == [two["id"], one["id"]]


@pytest.mark.parametrize("name", ["serving_environment_id", "registered_model_id", "model_version_id"])
async def test_a_filter_that_is_no_id_is_refused(project: Project, name: str) -> None:
    assert refusal(await project.get(f"/inference_services?{name}=7")) == (400, f"invalid {name}")
