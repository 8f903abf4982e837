"""Keys that were given with a version reach the cluster as KServe reads them, and leave it with the service."""

from base64 import b64decode
from contextlib import AbstractAsyncContextManager
from typing import Any
from uuid import uuid4

import pytest

from modeltrail.simulated_cluster import Fail, Fault, SimulatedCluster
from modeltrail.workers.options import WorkerOptions
from modeltrail.workers.storage import KeptCredentials
from support.api import Api, Json, Project
from support.cluster import RawApi, eventually
from support.database import Database
from support.deploy_worker import worker_of

REGION = {"serving.kserve.io/s3-region": "eu-1", "serving.kserve.io/s3-usehttps": "1"}


def worker(
    api: Api, database: Database, cluster: SimulatedCluster, options: WorkerOptions | None = None
) -> AbstractAsyncContextManager[None]:
    """The deploy worker on the API's database, with what opens storage."""
    storage = KeptCredentials(api.pool, api.services.keys, REGION)
    return worker_of(api, database, cluster, options, storage)


async def deployed(project: Project, **version: Any) -> Json:  # Any: fields of a version
    model = await project.model()
    await project.ready_version(model, **version)
    return await project.deployed(model, await project.environment("models"), name="iris")


async def until(project: Project, service: Json, **expected: object) -> Json:
    async def as_expected() -> Json | None:
        shown: Json = (await project.get(f"/inference_services/{service['id']}")).json()
        return shown if shown | expected == shown else None

    return await eventually(as_expected, 10.0)


async def kept(kubernetes: RawApi, service: Json, kind: str) -> tuple[int, Json]:
    answer = await kubernetes.send("GET", f"/api/v1/namespaces/models/{kind}/modeltrail-{service['id']}")
    return answer.status, answer.body


async def test_the_keys_of_a_version_are_where_kserve_looks_for_them(
    api: Api, database: Database, cluster: SimulatedCluster, kubernetes: RawApi
) -> None:
    project, access, secret = api.project(), uuid4().hex, uuid4().hex
    endpoint = {"serving.kserve.io/s3-endpoint": "minio:9000", "serving.kserve.io/s3-usehttps": "0", "team": "botany"}
    endpoint |= {"serving.kserve.io/s3-useaccelerate": "1", "serving.kserve.io/s3-cabundle-configmap": "authorities"}
    async with worker(api, database, cluster):
        service = await deployed(project, access_key=access, secret_key=secret, labels=endpoint)
        shown = await until(project, service, current_state="DEPLOYED")

    (_, object_), (_, account), (_, kept_secret) = (
        (200, (await kubernetes.get("iris")).body),
        await kept(kubernetes, service, "serviceaccounts"),
        await kept(kubernetes, service, "secrets"),
    )
    name = f"modeltrail-{service['id']}"
    assert object_["spec"]["predictor"]["serviceAccountName"] == name
    assert account["secrets"] == [{"name": name}]
    opened = {key: b64decode(value).decode() for key, value in kept_secret["data"].items()}
    as_installed = {"AWS_ACCESS_KEY_ID": access, "AWS_SECRET_ACCESS_KEY": secret}
    without_settings = {"awsAccessKeyID": access, "awsSecretAccessKey": secret}
    assert opened == as_installed | without_settings
    assert kept_secret["metadata"]["annotations"] == {
        "serving.kserve.io/s3-endpoint": "minio:9000",
        "serving.kserve.io/s3-usehttps": "0",
        "serving.kserve.io/s3-region": "eu-1",
        "serving.kserve.io/s3-useaccelerate": "1",
        "serving.kserve.io/s3-cabundle-configmap": "authorities",
    }
    for each in (account, kept_secret):
        assert each["metadata"]["ownerReferences"][0]["uid"] == object_["metadata"]["uid"] == shown["external_id"]
        assert each["metadata"]["labels"]["modelregistry.ai-platform/inference-service-id"] == service["id"]
    log = await api.pool.fetch("SELECT convert_from(state, 'UTF8') AS payload FROM stored_events")
    assert not any(secret in row["payload"] for row in log)


async def test_another_version_brings_its_own_keys_before_it_is_rolled_out(
    api: Api, database: Database, cluster: SimulatedCluster, kubernetes: RawApi
) -> None:
    project = api.project()
    async with worker(api, database, cluster):
        service = await deployed(project, access_key="a", secret_key="b")
        await until(project, service, current_state="DEPLOYED")
        model = {"id": service["registered_model_id"]}
        second = await project.ready_version(model, "v2", access_key="c", secret_key="d")
        await project.patch(f"/inference_services/{service['id']}", {"model_version_id": second["id"]})

        async def rolled_out() -> bool:
            labels = (await kubernetes.get("iris")).body["metadata"]["labels"]
            return bool(labels["modelregistry.ai-platform/model-version-id"] == second["id"])

        await eventually(rolled_out, 10.0)
    data = (await kept(kubernetes, service, "secrets"))[1]["data"]
    assert b64decode(data["awsAccessKeyID"]) == b"c"
    applied = [call.resource for call in cluster.requests.all("apply")]
    brought = ["secrets", "serviceaccounts"]
    assert applied == ["inferenceservices", *brought, "inferenceservices", *brought, "inferenceservices"]


async def test_a_roll_out_that_is_refused_leaves_the_keys_of_what_serves_on(
    api: Api, database: Database, cluster: SimulatedCluster, kubernetes: RawApi
) -> None:
    project = api.project()
    async with worker(api, database, cluster):
        service = await deployed(project, access_key="a", secret_key="b")
        await until(project, service, current_state="DEPLOYED")
        model = {"id": service["registered_model_id"]}
        second = await project.ready_version(model, "v2", access_key="c", secret_key="d")
        refusal = Fail(403, "Forbidden", "over quota")
        cluster.faults.add(Fault(action=refusal, verb="apply", resource="inferenceservices", times=9))
        await project.patch(f"/inference_services/{service['id']}", {"model_version_id": second["id"]})
        await until(project, service, current_state="DEPLOYED", last_error="over quota")
    data = (await kept(kubernetes, service, "secrets"))[1]["data"]
    assert b64decode(data["awsAccessKeyID"]) == b"a"


async def test_they_go_with_the_service_and_nothing_else_does(
    api: Api, database: Database, cluster: SimulatedCluster, kubernetes: RawApi
) -> None:
    other = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "somebody-elses"}, "data": {}}
    await kubernetes.send("POST", "/api/v1/namespaces/models/secrets", other)
    project = api.project()
    async with worker(api, database, cluster):
        service = await deployed(project, access_key="a", secret_key="b")
        await until(project, service, current_state="DEPLOYED")
        await project.delete(f"/inference_services/{service['id']}/undeploy")
        await until(project, service, current_state="UNDEPLOYED")

    assert [(await kept(kubernetes, service, kind))[0] for kind in ("secrets", "serviceaccounts")] == [404, 404]
    listed = await kubernetes.send("GET", "/api/v1/namespaces/models/secrets")
    assert [item["metadata"]["name"] for item in listed.body["items"]] == ["somebody-elses"]


@pytest.mark.parametrize("version", [{}, {"access_key": "a", "secret_key": "b", "uri": "gs://models/iris"}])
async def test_what_needs_no_keys_costs_no_call(
    api: Api, database: Database, cluster: SimulatedCluster, kubernetes: RawApi, version: dict[str, object]
) -> None:
    project = api.project()
    async with worker(api, database, cluster):
        service = await deployed(project, **version)
        await until(project, service, current_state="DEPLOYED")
        assert "serviceAccountName" not in (await kubernetes.get("iris")).body["spec"]["predictor"]
        await project.delete(f"/inference_services/{service['id']}/undeploy")
        await until(project, service, current_state="UNDEPLOYED")

    assert {call.resource for call in cluster.requests.all()} == {"inferenceservices"}


async def test_a_cluster_that_takes_no_secrets_fails_the_deployment_with_its_words(
    api: Api, database: Database, cluster: SimulatedCluster
) -> None:
    cluster.faults.add(Fault(action=Fail(403, "Forbidden", "secrets is forbidden"), resource="secrets", times=9))
    project = api.project()
    async with worker(api, database, cluster):
        service = await deployed(project, access_key="a", secret_key="b")
        shown = await until(project, service, last_error="secrets is forbidden")
    assert shown["current_state"] == "UNDEPLOYED"


async def test_a_secret_that_was_not_taken_at_first_is_brought_by_the_next_try(
    api: Api, database: Database, cluster: SimulatedCluster, kubernetes: RawApi
) -> None:
    cluster.faults.add(Fault(action=Fail(503, "ServiceUnavailable"), resource="secrets", times=2))
    project = api.project()
    async with worker(api, database, cluster):
        service = await deployed(project, access_key="a", secret_key="b")
        await until(project, service, current_state="DEPLOYED")

        async def there() -> bool:
            return (await kept(kubernetes, service, "serviceaccounts"))[0] == 200

        await eventually(there, 10.0)


async def test_keys_that_nobody_can_read_any_more_fail_the_deployment_before_anything_is_made(
    api: Api, database: Database, cluster: SimulatedCluster
) -> None:
    project = api.project()
    model = await project.model()
    await project.ready_version(model, access_key="a", secret_key="b")
    await api.pool.execute("UPDATE credentials SET key_id = 'lost'")
    async with worker(api, database, cluster):
        service = await project.deployed(model, await project.environment("models"), name="iris")

        async def failed() -> str | None:
            shown: Json = (await project.get(f"/inference_services/{service['id']}")).json()
            return shown.get("last_error")

        assert "'lost'" in await eventually(failed, 10.0)
    assert cluster.requests.all("apply", "iris") == []


async def last_error(project: Project, service: Json) -> str:
    async def told() -> str | None:
        shown: Json = (await project.get(f"/inference_services/{service['id']}")).json()
        return shown.get("last_error")

    return await eventually(told, 10.0)


async def test_keys_of_an_object_that_was_deleted_are_not_given_to_the_next_but_waited_for(
    api: Api, database: Database, cluster: SimulatedCluster, kubernetes: RawApi
) -> None:
    project = api.project()
    service = await deployed(project, access_key="a", secret_key="b")
    gone = {"apiVersion": "v1", "kind": "InferenceService", "name": "iris", "uid": str(uuid4())}
    labels = {"modelregistry.ai-platform/inference-service-id": service["id"]}
    name = f"modeltrail-{service['id']}"
    metadata = {"name": name, "labels": labels, "ownerReferences": [gone]}
    secrets = "/api/v1/namespaces/models/secrets"
    assert (await kubernetes.send("POST", secrets, {"metadata": metadata})).status == 201

    async with worker(api, database, cluster):

        async def looked_again() -> bool:
            return len(cluster.requests.all("get", name)) > 8

        await eventually(looked_again, 10.0)
        assert cluster.requests.all("apply") == []

        await kubernetes.send("DELETE", f"{secrets}/{name}")  # as the garbage collector does
        shown = await until(project, service, current_state="DEPLOYED")
    owner = (await kept(kubernetes, service, "secrets"))[1]["metadata"]["ownerReferences"][0]
    assert owner["uid"] == shown["external_id"]


@pytest.mark.parametrize("kind", ["Secret", "ServiceAccount"])
async def test_somebody_else_s_object_of_the_same_name_is_not_touched(
    api: Api, database: Database, cluster: SimulatedCluster, kubernetes: RawApi, kind: str
) -> None:
    project, plural = api.project(), f"{kind.lower()}s"
    service = await deployed(project, access_key=uuid4().hex, secret_key=uuid4().hex)
    theirs = {"apiVersion": "v1", "kind": kind, "metadata": {"name": f"modeltrail-{service['id']}"}}
    before = (await kubernetes.send("POST", f"/api/v1/namespaces/models/{plural}", theirs)).body
    async with worker(api, database, cluster):
        said = await last_error(project, service)
        await project.delete(f"/inference_services/{service['id']}/undeploy")

        async def undeployed() -> bool:
            return "last_error" not in (await project.get(f"/inference_services/{service['id']}")).json()

        await eventually(undeployed, 10.0)

    assert f"namespace 'models' already holds a {kind} named 'modeltrail-{service['id']}'" in said
    assert (await kept(kubernetes, service, plural))[1] == before
    assert cluster.requests.all("apply") == []


async def test_an_undeployment_is_done_when_the_keys_are_gone_too(
    api: Api, database: Database, cluster: SimulatedCluster, kubernetes: RawApi
) -> None:
    project = api.project()
    quick_to_tell = WorkerOptions(stall_seconds=0.2)
    async with worker(api, database, cluster, quick_to_tell):
        service = await deployed(project, access_key=uuid4().hex, secret_key=uuid4().hex)
        await until(project, service, current_state="DEPLOYED")
        path = f"/api/v1/namespaces/models/secrets/modeltrail-{service['id']}"
        # One that the garbage collector does not see, as when it is behind or broken.
        orphan = {"metadata": {"ownerReferences": None}}
        await kubernetes.send("PATCH", path, orphan, content_type="application/merge-patch+json")
        await project.delete(f"/inference_services/{service['id']}/undeploy")
        assert "garbage collector has left Secret 'modeltrail-" in await last_error(project, service)
        assert (await kubernetes.get("iris")).status == 404
        shown = (await project.get(f"/inference_services/{service['id']}")).json()
        assert shown["current_state"] == "DEPLOYED"
        await kubernetes.send("DELETE", path)
        await until(project, service, current_state="UNDEPLOYED")
