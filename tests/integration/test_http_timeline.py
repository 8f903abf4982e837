"""The story of an inference service, as the API tells it from the log."""

from uuid import UUID, uuid4

import pytest

from modeltrail.commands.deployments import ClusterReport, Report
from modeltrail.domain.ids import DeploymentId, ServiceId
from modeltrail.domain.inference_service_facts import RecordDrift, RecordInterruption, RecordReadiness, RecordStall
from modeltrail.domain.inference_service_messages import ConfirmUndeployment, FailDeployment, RecordApplied
from modeltrail.eventlog.record import Context
from modeltrail.workers.reports import WORKER
from support.api import Api, Json, Project, made, refusal

ADA = {"X_User_Email": "ada@example.com"}
DRIFT = "the InferenceService in the cluster was changed outside of the registry by kubectl: .spec.predictor"
URL = "http://iris.models.example"


async def report(project: Project, service: Json, news: ClusterReport) -> None:
    """What the worker tells of it."""
    context = Context(project.id, uuid4(), "the-worker", WORKER)  # type: ignore[arg-type] # as in support.api
    await project.services.committer.submit(Report(ServiceId(UUID(service["id"])), news), context)


async def told(project: Project, service: Json, query: str = "limit=100") -> list[Json]:
    items: list[Json] = made(await project.get(f"/inference_services/{service['id']}/timeline?{query}"), 200)["items"]
    return items


async def deployment_of(project: Project, service: Json) -> DeploymentId:
    """The newest deployment or undeployment."""
    asked = [each for each in await told(project, service) if each["type"].endswith("_requested")]
    return DeploymentId(UUID(asked[-1]["deployment_id"]))


@pytest.fixture
async def service(project: Project) -> Json:
    """A service that Ada has asked for."""
    model, environment = await project.model(), await project.environment()
    await project.ready_version(model)
    order = {"name": "iris", "registered_model_id": model["id"], "serving_environment_id": environment["id"]}
    deployed: Json = made(await project.post("/deploy", order, **ADA), 202)["inference_service"]
    return deployed


async def test_the_whole_story_is_told_in_order(project: Project, service: Json) -> None:
    first = await deployment_of(project, service)
    await report(project, service, RecordApplied(deployment_id=first, external_id="uid-1"))
    await project.confirm(service)
    await report(project, service, RecordInterruption(deployment_id=first, reason="NoReplicas", message="0 of 1 ready"))
    await report(project, service, RecordReadiness(deployment_id=first, external_id="uid-1", url=URL))
    drift = RecordDrift(deployment_id=first, managers=("kubectl",), fields=(".spec.predictor",))
    await report(project, service, drift)
    await project.patch(f"/inference_services/{service['id']}", {"min_replicas": 2}, X_User_Email="bob@example.com")
    second = await deployment_of(project, service)
    await report(project, service, FailDeployment(deployment_id=second, reason="OOMKilled", message="out of memory"))
    await project.delete(f"/inference_services/{service['id']}/undeploy")
    away = await deployment_of(project, service)
    stall = RecordStall(undeployment_id=away, reason="FinalizersPending", message="still there", finalizers=("hold",))
    await report(project, service, stall)
    await report(project, service, ConfirmUndeployment(undeployment_id=away))

    story = await told(project, service)

    assert [(each["says"], each.get("by"), each.get("deployment_id")) for each in story] == [
        ("created for model 'iris' in environment 'models'", "ada@example.com", None),
        ("deployment of version 'v1' to namespace 'models' requested", "ada@example.com", str(first)),
        ("applied: the cluster holds the InferenceService (UID uid-1)", "deploy-worker", str(first)),
        (f"ready: version 'v1' is live at {URL}", "test", str(first)),
        ("not ready any more: 0 of 1 ready", "deploy-worker", str(first)),
        (f"ready again at {URL}", "deploy-worker", str(first)),
        (
            f"drifted: {DRIFT}",
            "deploy-worker",
            str(first),
        ),
        ("deployment of version 'v1' to namespace 'models' requested", "bob@example.com", str(second)),
        ("deployment of version 'v1' failed: out of memory", "deploy-worker", str(second)),
        ("undeployment from namespace 'models' requested", None, str(away)),
        ("undeployment stalled: still there", "deploy-worker", str(away)),
        ("undeployed: nothing of it is left in the cluster", "deploy-worker", str(away)),
    ]
    assert [each["at"] for each in story] == sorted(each["at"] for each in story)
    assert {each.get("model_version_name", "v1") for each in story} == {"v1"}
    assert (story[8]["reason"], story[8]["message"]) == ("OOMKilled", "out of memory")
    assert (story[6]["managers"], story[6]["fields"]) == (["kubectl"], [".spec.predictor"])
    assert story[10]["finalizers"] == ["hold"]


async def test_its_parts_make_the_whole(project: Project, service: Json) -> None:
    await project.confirm(service)
    path = f"/inference_services/{service['id']}/timeline"

    first = made(await project.get(f"{path}?limit=2"), 200)
    second = made(await project.get(f"{path}?limit=2&after={first['next_after']}"), 200)
    third = made(await project.get(f"{path}?limit=2&after={second['next_after']}"), 200)

    assert first["items"] + second["items"] == await told(project, service)
    assert (len(first["items"]), len(second["items"]), first["page_size"]) == (2, 1, 2)
    assert (third["items"], third["next_after"]) == ([], second["next_after"])
    await project.delete(f"/inference_services/{service['id']}/undeploy")
    (news,) = await told(project, service, f"after={second['next_after']}")
    assert news["type"] == "inference_service.undeployment_requested"
    assert refusal(await project.get(f"{path}?after=-1")) == (400, "invalid after: must not be negative")


async def test_who_was_erased_is_named_no_more(project: Project, service: Json) -> None:
    await project.services.pool.execute("DELETE FROM person_keys")

    story = await told(project, service)

    assert {each["by"] for each in story} == {"(erased)"}


async def test_only_a_service_of_the_project_has_a_story(api: Api, project: Project, service: Json) -> None:
    path = "/inference_services/{}/timeline"
    missing = (404, "inference service not found")

    assert refusal(await api.project().get(path.format(service["id"]))) == missing
    assert refusal(await project.get(path.format(uuid4()))) == missing
    assert refusal(await project.get(path.format("x"))) == (400, "invalid id")
