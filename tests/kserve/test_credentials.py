"""Versions with keys on a real KServe: it hands them to the pods, and the cluster takes them away with the service."""

import pytest

from support.api import Project, refusal
from support.control_plane import ControlPlane
from support.real_serving import Serving, is_live

KEYS = {"access_key": "an-example", "secret_key": "another-example"}
pytestmark = pytest.mark.usefixtures("worker")


async def test_the_pods_get_them_and_nothing_is_left(project: Project, plane: ControlPlane) -> None:
    serving = Serving(project, plane, "with-keys")
    service = await serving.deploy(await serving.version(**KEYS))
    await serving.until(service, "is live", is_live)

    name, folder = f"modeltrail-{service['id']}", "/api/v1/namespaces/with-keys"
    (pod,) = plane.get(f"{folder}/pods")["items"]
    (loader,) = pod["spec"]["initContainers"]
    references = {each["name"]: each.get("valueFrom", {}).get("secretKeyRef") for each in loader["env"]}
    assert references["AWS_ACCESS_KEY_ID"] == {"name": name, "key": "AWS_ACCESS_KEY_ID"}
    assert references["AWS_SECRET_ACCESS_KEY"] == {"name": name, "key": "AWS_SECRET_ACCESS_KEY"}
    assert pod["spec"]["serviceAccountName"] == name

    await serving.undeploy(service)
    await serving.until(service, "is off the cluster", lambda shown: shown["current_state"] == "UNDEPLOYED")
    assert plane.find(f"{folder}/secrets/{name}") is None
    assert plane.find(f"{folder}/serviceaccounts/{name}") is None


async def test_without_the_role_for_them_the_deployment_is_refused(
    project: Project, plane: ControlPlane, namespace: str
) -> None:
    serving = Serving(project, plane, namespace)
    version = await serving.version(**KEYS)
    environment = await project.environment(namespace)
    order = {"registered_model_id": version["registered_model_id"], "serving_environment_id": environment["id"]}

    status, message = refusal(await project.post("/deploy", order))

    assert status == 400
    assert 'cannot get resource "secrets"' in message
    assert KEYS["access_key"] not in message
