"""Deleting a model while it is deployed or changed."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import msgspec

from modeltrail.commands import deployments, inference_services, model_deletion, models, serve_models, versions
from modeltrail.commands.committing.batch import Outcome
from modeltrail.commands.deployments import Cluster
from modeltrail.domain.errors import NotFoundError
from modeltrail.domain.ids import DeploymentId, ModelId, ServiceId, VersionId
from modeltrail.domain.registered_model_messages import ModelState
from support.api import Project, client_of, running_services
from support.committing import submit_together
from support.database import Database
from support.samples import PROJECT


async def test_two_committers_never_both_deploy_and_delete_a_model(database: Database) -> None:
    async with (
        running_services(database) as one,
        running_services(database) as two,
        client_of(one) as api,
        client_of(two) as other,
    ):
        project = api.project()
        elsewhere = Project(other.client, other.services)
        elsewhere.id = project.id
        environment = await project.environment()
        for number in range(10):
            model = await project.model(f"m{number}")
            await project.ready_version(model)
            await project.patch(f"/models/{model['id']}", {"state": "ARCHIVED"})
            order = {"registered_model_id": model["id"], "serving_environment_id": environment["id"]}

            deployed, deleted = await asyncio.gather(
                project.post("/deploy", order), elsewhere.delete(f"/models/{model['id']}")
            )

            assert (deployed.status_code, deleted.status_code) in {(202, 400), (404, 200)}
            gone = (await elsewhere.get(f"/models/{model['id']}")).status_code
            assert gone == (404 if deleted.status_code == 200 else 200)


async def test_what_is_changed_and_deleted_in_one_breath_answers_both(database: Database) -> None:
    async with running_services(database, Cluster.NONE) as services, client_of(services) as api:
        project = api.project()
        project.id = PROJECT
        model, environment = await project.model(), await project.environment()
        first, second = await project.ready_version(model), await project.version(model, "v2")
        service = await project.deployed(model, environment, model_version_id=first["id"])
        model_id, version_id = ModelId(UUID(model["id"])), VersionId(UUID(second["id"]))
        service_id, undeployment = ServiceId(UUID(service["id"])), DeploymentId(uuid4())
        of_service: dict[str, Any] = {"project_id": PROJECT, "service_id": service_id}  # Any: arguments
        off: dict[str, Any] = {**of_service, "undeployment_id": undeployment, "cluster": Cluster.NONE}  # Any: the same

        outcomes = await submit_together(
            services.committer,
            serve_models.Add(**of_service, version_id=version_id),
            deployments.Undeploy(**off),  # which takes the serve models with it
            inference_services.Delete(**off),
            models.Revise(project_id=PROJECT, model_id=model_id, state=ModelState.ARCHIVED),
            versions.Revise(project_id=PROJECT, version_id=version_id, description="its last"),
            model_deletion.Delete(project_id=PROJECT, model_id=model_id),
            models.Revise(project_id=PROJECT, model_id=model_id, description="too late"),
        )

        *done, refused = outcomes
        assert isinstance(refused, NotFoundError)
        added, undeployed, service_gone, archived, described, model_gone = map(_shown, done)
        assert (service_gone, model_gone) == (None, None)
        assert added["model_version_id"] == second["id"]
        assert undeployed["desired_state"] == "UNDEPLOYED"
        assert (archived["state"], archived["latest_version"]["id"]) == ("ARCHIVED", second["id"])
        assert described["description"] == "its last"
        assert (await project.get(f"/models/{model['id']}")).status_code == 404


def _shown(outcome: Outcome | BaseException) -> Any:  # Any: JSON
    """The resource that the caller is answered with."""
    assert isinstance(outcome, Outcome), outcome
    return None if outcome.document is None else msgspec.json.decode(outcome.document.body)
