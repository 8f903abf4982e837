"""Creating, changing and deleting inference services over HTTP, and what is requested of the cluster then."""

from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from modeltrail.commands.deployments import Cluster
from modeltrail.projections.catalogue import INLINE
from support.api import Api, Json, Project, made, refusal, running_api
from support.committing import read_log_over
from support.database import Database
from support.fold import Fold

NOT_READY = "model version is not ready for deployment"
NOBODY = str(UUID(int=404))
NOT_FOUND = (404, "inference service not found")
DEPLOYED_STILL = (400, "cannot delete deployed inference service")


class Scene:
    """A model and an environment of one project."""

    def __init__(self, project: Project, model: Json, environment: Json) -> None:
        self.project, self.model, self.environment = project, model, environment

    def wish(self, name: str = "iris", **fields: object) -> Json:
        ids = {"registered_model_id": self.model["id"], "serving_environment_id": self.environment["id"]}
        return {"name": name, **ids, **fields}

    async def create(self, name: str = "iris", **fields: object) -> Json:
        return made(await self.project.post("/inference_services", self.wish(name, **fields)))

    async def shown(self, service: Json) -> Json:
        return made(await self.project.get(f"/inference_services/{service['id']}"), 200)

    async def patched(self, service: Json, **fields: object) -> Json:
        return made(await self.project.patch(f"/inference_services/{service['id']}", fields), 200)

    async def mark(self, version: Json, status: str) -> None:
        made(await self.project.patch(f"/model_versions/{version['id']}", {"status": status}), 200)

    async def topics(self, service: Json) -> list[str]:
        query = "SELECT topic FROM stored_events WHERE originator_id = $1 ORDER BY originator_version"
        rows = await self.project.services.pool.fetch(query, UUID(service["id"]))
        return [row["topic"].removeprefix("inference_service.") for row in rows]

    async def task(self, service: Json) -> Any:  # Any: JSON
        """What the deploy worker still has to do about the service."""
        query = "SELECT body FROM deployment_tasks WHERE id = $1"
        body = await self.project.services.pool.fetchval(query, UUID(service["id"]))
        return None if body is None else msgspec.json.decode(body)


@pytest.fixture
async def scene(project: Project) -> Scene:
    return Scene(project, await project.model(), await project.environment())


@pytest.fixture(autouse=True)
async def tables_are_the_fold_of_the_log(api: Api) -> Any:  # Any: a fixture that only checks
    yield
    async with api.pool.acquire() as connection:
        fold = Fold(*INLINE).over(await read_log_over(connection))
        assert [each for each in await fold.differences(connection) if "_email" not in each] == []


async def test_a_service_of_a_ready_version_is_requested_at_once(scene: Scene) -> None:
    version = await scene.project.ready_version(scene.model)

    service = await scene.create(labels={"team": "botany"})

    assert (service["name"], service["model_version_id"]) == ("iris", version["id"])
    assert (service["desired_state"], service["current_state"]) == ("DEPLOYED", "UNDEPLOYED")
    assert (service["runtime"], service["labels"]) == ("kserve", {"team": "botany"})
    assert "last_error" not in service
    assert [each["last_known_state"] for each in service["served_models"]] == ["PENDING"]
    assert await scene.topics(service) == ["created", "deployment_requested"]
    assert await scene.shown(service) == service


async def test_a_service_waits_for_its_version_and_is_deployed_with_it(scene: Scene) -> None:
    version = await scene.project.version(scene.model)

    service = await scene.create()

    assert (service["last_error"], service["model_version_id"]) == (NOT_READY, version["id"])
    assert (service["desired_state"], service["current_state"]) == ("DEPLOYED", "UNDEPLOYED")
    assert service["served_models"] == []
    assert await scene.task(service) is None
    await scene.mark(version, "READY")
    after = await scene.shown(service)
    assert "last_error" not in after
    assert [each["model_version_id"] for each in after["served_models"]] == [version["id"]]
    assert (await scene.task(service))["target"]["model_version_id"] == version["id"]
    query = "SELECT count(DISTINCT command_id) FROM stored_events WHERE topic LIKE '%marked_ready' OR topic LIKE $1"
    assert await scene.project.services.pool.fetchval(query, "%deployment_requested") == 1


async def test_a_service_without_any_version_waits_for_the_first_that_is_ready(scene: Scene) -> None:
    service = await scene.create()
    assert (service["last_error"], service["model_version_id"]) == (NOT_READY, None)

    version = await scene.project.ready_version(scene.model, uri="s3://models/patched")

    after = await scene.shown(service)
    assert after["model_version_id"] == version["id"]
    assert (await scene.task(service))["target"]["storage_uri"] == "s3://models/patched"


async def test_a_service_waits_for_the_version_that_was_asked_for_and_no_other(scene: Scene) -> None:
    wanted = await scene.project.version(scene.model, "v1")
    service = await scene.create(model_version_id=wanted["id"])

    await scene.project.ready_version(scene.model, "v2", is_default=True)
    assert (await scene.shown(service))["last_error"] == NOT_READY
    await scene.mark(wanted, "READY")

    assert (await scene.shown(service))["served_models"][0]["model_version_id"] == wanted["id"]


async def test_a_ready_version_that_becomes_the_default_ends_a_wait(scene: Scene) -> None:
    first = await scene.project.ready_version(scene.model, "v1")
    await scene.project.version(scene.model, "v2")
    service = await scene.create()
    assert service["last_error"] == NOT_READY

    await scene.project.patch(f"/model_versions/{first['id']}", {"is_default": True})

    assert (await scene.shown(service))["served_models"][0]["model_version_id"] == first["id"]


async def test_what_still_cannot_be_deployed_goes_on_waiting_and_says_why(scene: Scene) -> None:
    version = await scene.project.version(scene.model)
    service = await scene.create()
    await scene.project.patch(f"/serving_environments/{scene.environment['id']}", {"name": "No Namespace"})

    await scene.mark(version, "READY")

    assert "DNS-1123" in (await scene.shown(service))["last_error"]
    assert await scene.task(service) is None


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("name", "", (400, "invalid name: cannot be empty")),
        ("name", None, (400, "invalid name: cannot be empty")),
        ("registered_model_id", NOBODY, (404, "registered model not found")),
        ("serving_environment_id", NOBODY, (404, "serving environment not found")),
        ("model_version_id", NOBODY, (404, "model version not found")),
        ("registered_model_id", None, (400, "invalid registered_model_id: cannot be empty")),
        ("serving_environment_id", "x", (400, "invalid serving_environment_id: expected a UUID")),
        ("max_replicas", 1, (400, "invalid max_replicas: 1 is less than min_replicas, 2")),
        ("min_replicas", -1, (400, "invalid min_replicas: must be at least 0")),
        ("protocol_version", "v9", (400, "invalid protocol_version: expected one of v1, v2, grpc-v1, grpc-v2")),
        (
            "resources",
            {"requests": {"cpu": "much"}},
            (400, "invalid resources: 'much' is not a quantity for 'cpu', such as '500m' or '2Gi'"),
        ),
    ],
)
async def test_a_bad_wish_is_refused_and_leaves_nothing(
    scene: Scene, field: str, value: object, expected: tuple[int, str]
) -> None:
    await scene.project.ready_version(scene.model)
    events = await scene.project.events()

    answer = await scene.project.post("/inference_services", scene.wish(min_replicas=2) | {field: value})

    assert refusal(answer) == expected
    assert await scene.project.events() == events


async def test_a_name_is_checked_at_the_click_and_taken_once_per_environment(scene: Scene) -> None:
    await scene.create("iris")

    assert refusal(await scene.project.post("/inference_services", scene.wish("iris"))) == (
        409,
        "inference service name already exists",
    )
    status, message = refusal(await scene.project.post("/inference_services", scene.wish("Not_Valid")))
    assert (status, message.partition(":")[0]) == (400, "invalid name")
    elsewhere = await scene.project.environment("elsewhere")
    await scene.create("iris", serving_environment_id=elsewhere["id"])


@pytest.mark.parametrize(
    ("artifact", "problem"),
    [
        ({"uri": "/models/iris"}, "invalid uri: KServe cannot read '/models/iris'"),
        ({"model_framework": "prophet"}, "invalid model_framework: KServe has no runtime for 'prophet'"),
    ],
)
async def test_what_kserve_could_not_serve_is_refused_at_the_click(scene: Scene, artifact: Json, problem: str) -> None:
    version = await scene.project.ready_version(scene.model, **artifact)
    events = await scene.project.events()

    for path in ("/inference_services", "/deploy"):
        status, message = refusal(await scene.project.post(path, scene.wish(model_version_id=version["id"])))
        assert (status, message.partition(";")[0]) == (400, problem)
    assert await scene.project.events() == events


async def test_options_go_to_the_cluster_and_are_shown(scene: Scene) -> None:
    await scene.project.ready_version(scene.model)
    resources = {"requests": {"cpu": "500m"}, "limits": {"memory": "2Gi"}}
    options: dict[str, Any] = {
        "min_replicas": 1,
        "max_replicas": 3,
        "resources": resources,
        "protocol_version": "v2",
    }  # Any: JSON

    service = await scene.create(runtime="my-runtime", **options)

    assert {name: service[name] for name in options} == options
    assert service["runtime"] == "my-runtime"
    assert (await scene.task(service))["target"]["options"] == {**options, "runtime": "my-runtime"}
    events = await scene.project.events()
    assert await scene.patched(service, min_replicas=1) == service
    assert await scene.project.events() == events
    after = await scene.patched(service, min_replicas=0)
    assert (after["min_replicas"], after["max_replicas"]) == (0, 3)
    assert (await scene.topics(service))[-1] == "deployment_requested"


async def test_a_service_is_found_by_its_name_or_by_its_object(api: Api, scene: Scene) -> None:
    await scene.project.ready_version(scene.model)
    service = await scene.create()
    await scene.project.confirm(service)
    service = await scene.shown(service)
    environment = scene.environment["id"]

    async def found(query: str) -> Json:
        return made(await scene.project.get(f"/inference_service?{query}"), 200)

    assert await found("externalId=uid-1") == service
    assert await found(f"name=iris&serving_environment_id={environment}") == service
    assert await found("name=iris") == service
    for query in ("", "name=rose", f"serving_environment_id={environment}", "externalId=uid-2", "externalId="):
        assert refusal(await scene.project.get(f"/inference_service?{query}")) == NOT_FOUND
    assert refusal(await api.project().get("/inference_service?externalId=uid-1")) == NOT_FOUND
    bad = await scene.project.get("/inference_service?name=iris&serving_environment_id=7")
    assert refusal(bad) == (400, "invalid serving_environment_id")


async def test_a_new_version_of_a_deployed_service_is_rolled_out(scene: Scene) -> None:
    first = await scene.project.ready_version(scene.model, "v1")
    service = await scene.create()
    await scene.project.confirm(service)
    second = await scene.project.ready_version(scene.model, "v2")

    after = await scene.patched(service, model_version_id=second["id"])

    assert (after["model_version_id"], after["current_state"]) == (second["id"], "DEPLOYED")
    states = {each["model_version_id"]: each["last_known_state"] for each in after["served_models"]}
    assert states == {first["id"]: "RUNNING", second["id"]: "PENDING"}
    await scene.project.confirm(service)
    assert [each["model_version_id"] for each in (await scene.shown(service))["served_models"]] == [second["id"]]


async def test_a_deployed_service_takes_no_version_that_is_not_ready_or_not_its_models(scene: Scene) -> None:
    await scene.project.ready_version(scene.model)
    service = await scene.create()
    pending = await scene.project.version(scene.model, "v2")
    stranger = await scene.project.ready_version(await scene.project.model("other"))
    path = f"/inference_services/{service['id']}"

    assert refusal(await scene.project.patch(path, {"model_version_id": pending["id"]})) == (400, NOT_READY)
    not_found = (404, "model version not found")
    assert refusal(await scene.project.patch(path, {"model_version_id": stranger["id"]})) == not_found
    assert await scene.shown(service) == service


async def test_labels_are_applied_to_the_live_object(scene: Scene) -> None:
    await scene.project.ready_version(scene.model)
    service = await scene.create(labels={"a": "b"})
    await scene.project.confirm(service)

    after = await scene.patched(service, labels={"c": "d"})

    assert after["labels"] == {"c": "d"}
    assert (await scene.task(service))["labels"] == {"c": "d"}
    assert (await scene.topics(service))[-2:] == ["relabelled", "deployment_requested"]


async def test_an_object_stays_in_its_namespace_when_the_environment_gets_another(scene: Scene) -> None:
    await scene.project.ready_version(scene.model)
    service = await scene.create()
    await scene.project.confirm(service)
    await scene.project.patch(f"/serving_environments/{scene.environment['id']}", {"external_id": "elsewhere"})

    await scene.patched(service, labels={"c": "d"})

    assert (await scene.task(service))["target"]["namespace"] == scene.environment["name"]


async def test_a_patch_that_changes_nothing_leaves_no_trace(scene: Scene) -> None:
    version = await scene.project.ready_version(scene.model)
    service = await scene.create(labels={"a": "b"})
    events = await scene.project.events()

    same = {"name": "iris", "labels": {"a": "b"}, "desired_state": "DEPLOYED", "model_version_id": version["id"]}

    assert await scene.patched(service, **same) == service
    assert await scene.project.events() == events


async def test_states_are_wished_by_patch(scene: Scene) -> None:
    await scene.project.ready_version(scene.model)
    service = await scene.create()
    await scene.project.confirm(service)

    after = await scene.patched(service, desired_state="UNDEPLOYED")

    assert (after["desired_state"], after["current_state"]) == ("UNDEPLOYED", "DEPLOYED")
    assert (await scene.task(service))["type"] == "delete"
    path = f"/inference_services/{service['id']}"
    assert refusal(await scene.project.patch(path, {"desired_state": "RUNNING"})) == (400, "invalid state")


async def test_what_is_undeployed_can_be_changed_renamed_and_deployed_again(database: Database) -> None:
    async with running_api(database, Cluster.NONE) as api:
        project = api.project()
        scene = Scene(project, await project.model(), await project.environment())
        await project.ready_version(scene.model, "v1")
        service = await scene.create()
        await scene.patched(service, desired_state="UNDEPLOYED")
        second = await project.ready_version(scene.model, "v2")

        renamed = await scene.patched(service, name="iris-2", model_version_id=second["id"], labels={"a": "b"})

        assert (renamed["name"], renamed["model_version_id"]) == ("iris-2", second["id"])
        assert await scene.task(service) is None
        again = await scene.patched(service, desired_state="DEPLOYED")
        assert again["desired_state"] == "DEPLOYED"
        task = await scene.task(service)
        assert (task["name"], task["target"]["model_version_id"]) == ("iris-2", second["id"])


async def test_options_for_what_is_undeployed_are_kept_until_it_is_deployed_again(database: Database) -> None:
    async with running_api(database, Cluster.NONE) as api:
        project = api.project()
        scene = Scene(project, await project.model(), await project.environment())
        await project.ready_version(scene.model)
        service = await scene.create(min_replicas=1)
        await scene.patched(service, desired_state="UNDEPLOYED", max_replicas=4)

        after = await scene.patched(service, min_replicas=2, runtime="mine")

        assert (after["min_replicas"], after["max_replicas"], after["runtime"]) == (2, 4, "mine")
        events = await project.events()
        assert await scene.patched(service, min_replicas=2, max_replicas=4) == after
        assert await project.events() == events
        await scene.patched(service, desired_state="DEPLOYED")
        options = (await scene.task(service))["target"]["options"]
        assert options == {"min_replicas": 2, "max_replicas": 4, "runtime": "mine"}
        assert (await scene.topics(service))[2:] == [
            "options_chosen",
            "undeployment_requested",
            "undeployed",
            "options_chosen",
            "deployment_requested",
        ]


async def test_what_is_being_undeployed_is_not_deployed_again_before_that_is_done(scene: Scene) -> None:
    await scene.project.ready_version(scene.model)
    service = await scene.create()
    await scene.patched(service, desired_state="UNDEPLOYED")

    refused = await scene.project.patch(f"/inference_services/{service['id']}", {"desired_state": "DEPLOYED"})

    assert refusal(refused) == (400, "inference service is being undeployed; deploy it again once that is done")
    assert (await scene.task(service))["type"] == "delete"


async def test_a_service_in_the_cluster_cannot_be_renamed(scene: Scene) -> None:
    await scene.project.ready_version(scene.model)
    service = await scene.create()

    status, message = refusal(await scene.project.patch(f"/inference_services/{service['id']}", {"name": "other"}))

    assert status == 400
    assert "undeploy it first" in message


async def test_a_service_that_waits_can_be_renamed_and_withdrawn(scene: Scene) -> None:
    await scene.create("taken")
    service = await scene.create()
    path = f"/inference_services/{service['id']}"

    assert (await scene.project.patch(path, {"name": "taken"})).status_code == 409
    assert (await scene.project.patch(path, {"name": "Not_Valid"})).status_code == 400
    assert (await scene.patched(service, name="iris-2"))["name"] == "iris-2"
    withdrawn = await scene.patched(service, desired_state="UNDEPLOYED")

    assert (withdrawn["desired_state"], withdrawn["current_state"]) == ("UNDEPLOYED", "UNDEPLOYED")
    assert "last_error" not in withdrawn
    await scene.project.ready_version(scene.model)
    assert await scene.task(service) is None


async def test_a_deployed_service_cannot_be_deleted(scene: Scene) -> None:
    await scene.project.ready_version(scene.model)
    service = await scene.create()
    await scene.project.confirm(service)
    path = f"/inference_services/{service['id']}"

    assert refusal(await scene.project.delete(path)) == DEPLOYED_STILL
    await scene.patched(service, desired_state="UNDEPLOYED")
    assert refusal(await scene.project.delete(path)) == DEPLOYED_STILL


async def test_what_is_left_of_a_deleted_service_is_removed(scene: Scene) -> None:
    await scene.project.ready_version(scene.model)
    service = await scene.create()
    path = f"/inference_services/{service['id']}"

    answer = await scene.project.delete(path)

    assert (answer.status_code, answer.content) == (204, b"")
    assert refusal(await scene.project.get(path)) == NOT_FOUND
    assert refusal(await scene.project.delete(path)) == NOT_FOUND
    assert refusal(await scene.project.delete(f"{path}/undeploy")) == NOT_FOUND
    task = await scene.task(service)
    assert (task["type"], task["name"], task["namespace"]) == ("delete", "iris", "models")
    assert made(await scene.project.get("/serve_models"), 200)["items"] == []


async def test_a_waiting_service_is_deleted_without_a_word_to_the_cluster(scene: Scene) -> None:
    service = await scene.create()

    assert (await scene.project.delete(f"/inference_services/{service['id']}")).status_code == 204

    assert await scene.task(service) is None
    await scene.project.ready_version(scene.model)
    assert await scene.topics(service) == ["created", "deployment_postponed", "deleted"]
    environment = await scene.project.delete(f"/serving_environments/{scene.environment['id']}")
    assert environment.status_code == 204


async def test_without_a_cluster_nothing_is_left_of_a_deleted_service(database: Database) -> None:
    async with running_api(database, Cluster.NONE) as api:
        project = api.project()
        scene = Scene(project, await project.model(), await project.environment())
        await project.ready_version(scene.model)
        service = await scene.create()

        assert (await project.delete(f"/inference_services/{service['id']}")).status_code == 204
        assert await scene.task(service) is None


async def test_a_model_with_a_service_that_waits_cannot_be_deleted(scene: Scene) -> None:
    await scene.create()
    path = f"/models/{scene.model['id']}"
    await scene.project.patch(path, {"state": "ARCHIVED"})

    assert refusal(await scene.project.delete(path)) == (400, "model has active deployments")


async def test_a_stale_change_and_a_stale_deletion_are_refused(scene: Scene) -> None:
    service = await scene.create()
    path = f"/inference_services/{service['id']}"
    etag = (await scene.project.get(path)).headers["etag"]
    await scene.project.patch(path, {"labels": {"a": "b"}}, If_Match=etag)

    assert (await scene.project.patch(path, {"labels": {}}, If_Match=etag)).status_code == 412
    assert (await scene.project.delete(path, If_Match=etag)).status_code == 412


@pytest.mark.parametrize(
    ("method", "route"), [("DELETE", "undeploy"), ("POST", "rollback"), ("POST", "promote"), ("POST", "abort")]
)
async def test_who_decided_on_another_revision_starts_nothing(scene: Scene, method: str, route: str) -> None:
    await scene.project.ready_version(scene.model)
    path = f"/inference_services/{(await scene.create())['id']}"
    etag = (await scene.project.get(path)).headers["etag"]
    await scene.project.patch(path, {"labels": {"a": "b"}})
    events = await scene.project.events()

    stale = await scene.project.send(method, f"{path}/{route}", {}, If_Match=etag)
    malformed = await scene.project.send(method, f"{path}/{route}", {}, If_Match="newest")

    assert (stale.status_code, malformed.status_code) == (412, 400)
    assert await scene.project.events() == events


async def test_a_service_of_another_project_is_neither_changed_nor_deleted(api: Api, scene: Scene) -> None:
    path = f"/inference_services/{(await scene.create())['id']}"
    other = api.project()

    assert refusal(await other.patch(path, {"labels": {}})) == NOT_FOUND
    assert refusal(await other.delete(path)) == NOT_FOUND
    wish = scene.wish("mine")
    assert refusal(await other.post("/inference_services", wish)) == (404, "serving environment not found")


async def test_a_rollback_deploys_what_was_live_before(scene: Scene) -> None:
    first = await scene.project.ready_version(scene.model, "v1")
    service = await scene.create(min_replicas=2)
    await scene.project.confirm(service)
    second = await scene.project.ready_version(scene.model, "v2")
    await scene.patched(service, model_version_id=second["id"], min_replicas=5)
    await scene.project.confirm(service)

    path = f"/inference_services/{service['id']}/rollback"
    back = made(await scene.project.post(path, {}), 202)

    assert (back["model_version_id"], back["min_replicas"]) == (first["id"], 2)
    assert (await scene.task(service))["target"]["model_version_id"] == first["id"]
    await scene.project.confirm(service)
    forth = made(await scene.project.post(path, {"model_version_id": second["id"]}), 202)
    assert forth["model_version_id"] == second["id"]


async def test_a_rollback_goes_where_the_object_is_now(database: Database) -> None:
    async with running_api(database, Cluster.NONE) as api:
        project = api.project()
        scene = Scene(project, await project.model(), await project.environment())
        first = await project.ready_version(scene.model, "v1")
        service = await scene.create()
        await project.confirm(service)
        await scene.patched(service, desired_state="UNDEPLOYED")
        await project.patch(f"/serving_environments/{scene.environment['id']}", {"external_id": "elsewhere"})
        second = await project.ready_version(scene.model, "v2")
        await scene.patched(service, desired_state="DEPLOYED", model_version_id=second["id"])
        await project.confirm(service)

        made(await project.post(f"/inference_services/{service['id']}/rollback", {}), 202)

        target = (await scene.task(service))["target"]
        assert (target["model_version_id"], target["namespace"]) == (first["id"], "elsewhere")


async def test_there_must_be_something_to_roll_back_to(api: Api, scene: Scene) -> None:
    waiting = await scene.create("waiting")
    first = await scene.project.ready_version(scene.model, "v1")
    await scene.patched(waiting, desired_state="UNDEPLOYED")
    service = await scene.create()
    pending = await scene.project.version(scene.model, "v2")
    path = f"/inference_services/{service['id']}/rollback"

    status, message = refusal(await scene.project.post(path, {}))
    assert (status, message.partition(";")[2]) == (400, " name one in model_version_id")
    assert refusal(await scene.project.post(path, {"model_version_id": pending["id"]})) == (400, NOT_READY)
    unknown = await scene.project.post(path, {"model_version_id": NOBODY})
    assert refusal(unknown) == (404, "model version not found")
    assert refusal(await api.project().post(path, {})) == NOT_FOUND
    assert refusal(await scene.project.post("/inference_services/x/rollback", {})) == (
        400,
        "invalid inference service id",
    )
    assert (await scene.shown(service))["model_version_id"] == first["id"]


# --- serve models -----------------------------------------------------------------------------------------


async def test_every_deployment_keeps_a_serve_model(scene: Scene) -> None:
    version = await scene.project.ready_version(scene.model)
    service = await scene.create()

    (serve_model,) = made(await scene.project.get("/serve_models"), 200)["items"]

    assert [serve_model] == service["served_models"]
    assert list(serve_model) == [
        "id",
        "created_at",
        "updated_at",
        "project_id",
        "inference_service_id",
        "inference_service_name",
        "model_version_id",
        "model_version_name",
        "last_known_state",
    ]
    await scene.project.confirm(service)
    shown = made(await scene.project.get(f"/serve_models/{serve_model['id']}"), 200)
    assert shown["last_known_state"] == "RUNNING"
    await scene.project.patch(f"/model_versions/{version['id']}", {"name": "renamed"})
    shown = made(await scene.project.get(f"/serve_models/{serve_model['id']}"), 200)
    assert shown["model_version_name"] == "renamed"


async def test_a_service_shows_its_serve_models_as_they_are_listed(scene: Scene) -> None:
    await scene.project.ready_version(scene.model)
    service = await scene.create()
    await scene.project.confirm(service)
    noted = await scene.project.version(scene.model, "v2")
    made(
        await scene.project.post(
            "/serve_models", {"inference_service_id": service["id"], "model_version_id": noted["id"]}
        )
    )
    before = (await scene.project.get(f"/inference_services/{service['id']}")).headers["etag"]

    await scene.project.patch(f"/model_versions/{noted['id']}", {"name": "renamed"})

    after = await scene.project.get(f"/inference_services/{service['id']}", If_None_Match=before)
    served = made(after, 200)["served_models"]
    assert {each["model_version_name"] for each in served} == {"v1", "renamed"}
    assert served[::-1] == made(await scene.project.get("/serve_models"), 200)["items"]


async def test_serve_models_are_made_filtered_and_deleted(api: Api, scene: Scene) -> None:
    await scene.project.ready_version(scene.model)
    service = await scene.create()
    await scene.project.confirm(service)
    version = await scene.project.version(scene.model, "v2")
    pair = {"inference_service_id": service["id"], "model_version_id": version["id"]}

    serve_model = made(await scene.project.post("/serve_models", pair))

    assert serve_model["last_known_state"] == "PENDING"
    assert (serve_model["inference_service_name"], serve_model["model_version_name"]) == ("iris", "v2")
    assert (await scene.project.post("/serve_models", pair)).status_code == 409
    assert len((await scene.shown(service))["served_models"]) == 2

    async def listed(query: str) -> int:
        total: int = made(await scene.project.get(f"/serve_models?{query}"), 200)["total"]
        return total

    assert [await listed(f"inference_service_id={service['id']}"), await listed("state=PENDING")] == [2, 1]
    assert [await listed(f"model_version_id={version['id']}"), await listed("state=FAILED")] == [1, 0]
    assert refusal(await scene.project.get("/serve_models?model_version_id=7")) == (400, "invalid model_version_id")
    path = f"/serve_models/{serve_model['id']}"
    missing = (404, "serve model not found")
    assert refusal(await api.project().get(path)) == missing
    assert refusal(await api.project().delete(path)) == missing
    assert (await scene.project.delete(path, If_Match='"9"')).status_code == 412
    assert (await scene.project.delete(path)).status_code == 204
    assert refusal(await scene.project.get(path)) == missing
    assert refusal(await scene.project.delete(path)) == missing
    assert made(await scene.project.post("/serve_models", pair))["id"] == serve_model["id"]


async def test_a_serve_model_that_is_made_again_has_no_revision_that_it_had_before(scene: Scene) -> None:
    service = await scene.create()
    version = await scene.project.version(scene.model, "v2")
    pair = {"inference_service_id": service["id"], "model_version_id": version["id"]}
    first = await scene.project.post("/serve_models", pair)
    path = f"/serve_models/{first.json()['id']}"
    await scene.project.patch(f"/model_versions/{version['id']}", {"name": "renamed"})
    renamed = await scene.project.get(path)
    made_before = {first.headers["etag"], renamed.headers["etag"]}
    await scene.project.delete(path)

    again = await scene.project.post("/serve_models", pair)

    assert (again.json()["id"], len(made_before)) == (first.json()["id"], 2)
    for etag in made_before:
        assert made(await scene.project.get(path, If_None_Match=etag), 200) == again.json()
        assert (await scene.project.delete(path, If_Match=etag)).status_code == 412
    assert (await scene.project.delete(path, If_Match=again.headers["etag"])).status_code == 204


async def test_the_serve_model_of_a_deployment_cannot_be_deleted(scene: Scene) -> None:
    await scene.project.ready_version(scene.model)
    (serve_model,) = (await scene.create())["served_models"]

    status, message = refusal(await scene.project.delete(f"/serve_models/{serve_model['id']}"))

    assert status == 400
    assert "undeploy the inference service first" in message


async def test_a_serve_model_needs_a_service_and_a_version_of_its_model(scene: Scene) -> None:
    service = await scene.create()
    stranger = await scene.project.version(await scene.project.model("other"))
    pair = {"inference_service_id": str(uuid4()), "model_version_id": stranger["id"]}

    assert refusal(await scene.project.post("/serve_models", pair)) == NOT_FOUND
    pair["inference_service_id"] = service["id"]
    assert refusal(await scene.project.post("/serve_models", pair)) == (404, "model version not found")
    assert refusal(await scene.project.post("/serve_models", {})) == (
        400,
        "invalid inference_service_id: cannot be empty",
    )
