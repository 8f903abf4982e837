"""Reading a service's state from the cluster because somebody wants to know now."""

import asyncio
from uuid import UUID, uuid4

from modeltrail.commands.deployments import Cluster
from modeltrail.simulated_cluster import Fail, Fault, Hang, SimulatedCluster
from support.api import Api, Json, Project, refusal, running_api
from support.cluster import RawApi, eventually
from support.database import Database
from support.deploy_worker import worker_of


async def live(project: Project, name: str = "iris", namespace: str = "models") -> Json:
    model = await project.model(name)
    await project.ready_version(model)
    service = await project.deployed(model, await project.environment(namespace), name=name)

    async def deployed() -> Json | None:
        shown: Json = (await project.get(f"/inference_services/{service['id']}")).json()
        return shown if shown["current_state"] == "DEPLOYED" else None

    return await eventually(deployed, 10.0)


async def unseen(cluster: SimulatedCluster) -> None:
    """From now on the worker's watch tells nothing."""
    cluster.faults.add(
        *(Fault(action=Fail(503, "ServiceUnavailable"), verb=verb, times=99) for verb in ("watch", "list"))
    )
    cluster.drop_watches()


async def test_what_the_watch_has_not_told_is_read(
    api: Api, database: Database, cluster: SimulatedCluster, kubernetes: RawApi
) -> None:
    project = api.project()
    async with worker_of(api, database, cluster):
        service = await live(project)
        await unseen(cluster)
        object_ = (await kubernetes.get("iris")).body
        object_["status"]["conditions"] = [{"type": "Ready", "status": "False", "reason": "NoPods", "message": "none"}]
        path = "/apis/serving.kserve.io/v1beta1/namespaces/models/inferenceservices/iris/status"
        assert (await kubernetes.send("PUT", path, object_)).status == 200

        answer = await project.post(f"/inference_services/{service['id']}/sync")

        assert (answer.status_code, answer.json()["current_state"]) == (200, "UNDEPLOYED")
        assert "none" in answer.json()["last_error"]
        shown = await project.get(f"/inference_services/{service['id']}")
        assert (shown.json(), shown.headers["etag"]) == (answer.json(), answer.headers["etag"])


async def test_an_object_that_is_gone_is_found_out(
    api: Api, database: Database, cluster: SimulatedCluster, kubernetes: RawApi
) -> None:
    project = api.project()
    async with worker_of(api, database, cluster):
        service = await live(project)
        await unseen(cluster)
        await kubernetes.delete("iris")

        async def gone() -> bool:
            return (await kubernetes.get("iris")).status == 404

        await eventually(gone)
        answer = await project.post(f"/inference_services/{service['id']}/sync")

    # The repair is on its way; until it has its answer, nothing is served, and no address is shown.
    assert (answer.status_code, answer.json()["current_state"], "url" in answer.json()) == (200, "UNDEPLOYED", False)


async def test_a_cluster_that_fails_or_never_answers_is_told_and_nothing_is_claimed(
    api: Api, database: Database, cluster: SimulatedCluster
) -> None:
    project = api.project()
    async with worker_of(api, database, cluster):
        service = await live(project)
        path = f"/inference_services/{service['id']}/sync"
        cluster.faults.add(Fault(action=Fail(500, "InternalError", "etcd is away"), verb="get"))
        answer = await project.post(path)
        assert refusal(answer) == (503, "the state could not be read from the cluster: etcd is away")
        assert answer.headers["retry-after"] == "1"
        cluster.faults.add(Fault(action=Hang(), verb="get"))
        answers = await asyncio.gather(project.post(path), project.get("/models"))
        assert refusal(answers[0])[0] == 503
        assert answers[1].status_code == 200
        assert (await project.post(path)).status_code == 200
    assert "is one running?" in refusal(await project.post(path))[1]


async def test_a_service_that_the_worker_cannot_make_sense_of_does_not_end_it(
    api: Api, database: Database, cluster: SimulatedCluster
) -> None:
    project = api.project()
    async with worker_of(api, database, cluster):
        service = await live(project)
        await api.pool.execute("UPDATE standing_deployments SET body = '{}' WHERE id = $1", UUID(service["id"]))

        status, message = refusal(await project.post(f"/inference_services/{service['id']}/sync"))

        assert (status, "failed at it" in message) == (503, True)
        await live(project, "rose", "others")


async def test_without_a_cluster_what_is_known_is_all_there_is(database: Database) -> None:
    async with running_api(database, Cluster.NONE) as api:
        project = api.project()
        model = await project.model()
        await project.ready_version(model)
        service = await project.deployed(model, await project.environment())

        answer = await project.post(f"/inference_services/{service['id']}/sync")

        assert (answer.status_code, answer.json()["id"]) == (200, service["id"])
        shown = await project.get(f"/inference_services/{service['id']}")
        assert answer.content == shown.content
        assert refusal(await project.post(f"/inference_services/{uuid4()}/sync"))[0] == 404
        assert refusal(await project.post("/inference_services/x/sync")) == (400, "invalid inference service id")
