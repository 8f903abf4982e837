"""Deleting a model through one committer while another deploys it."""

import asyncio

from support.api import Project, client_of, running_services
from support.database import Database


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
