"""The rights that the manifests give the deploy worker are those that it needs: no fewer, and no more."""

from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path

import pytest
import yaml

from modeltrail.simulated_cluster import SimulatedCluster
from modeltrail.simulated_cluster.faults import Recorded
from modeltrail.simulated_cluster.resources import RESOURCES
from modeltrail.workers.storage import KeptCredentials
from support.api import Api, Json, Project, asking_api
from support.cluster import RawApi, eventually
from support.database import Database
from support.deploy_worker import listening, worker_of

MANIFESTS = Path(__file__).parents[2] / "docs" / "kubernetes.yaml"
GROUPS = {each.plural: each.group for each in RESOURCES}

Right = tuple[str, str, str]  # API group, resource, verb


def given(role: str) -> set[Right]:
    objects = yaml.safe_load_all(MANIFESTS.read_text(encoding="utf-8"))
    (found,) = (each for each in objects if (each["kind"], each["metadata"]["name"]) == ("ClusterRole", role))
    return {
        (group, resource, verb)
        for rule in found["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def needed(calls: Iterable[Recorded]) -> Iterator[Right]:
    """What Kubernetes asks its authorizer; of an apply twice, when it makes the object: a dry run is no exception."""
    for call in calls:
        verbs = (("patch", "create") if call.status == 201 else ("patch",)) if call.verb == "apply" else (call.verb,)
        yield from ((GROUPS[call.resource], call.resource, verb) for verb in verbs)


@pytest.fixture
async def api(database: Database) -> AsyncIterator[Api]:
    """The API, with preflight."""
    async with asking_api(database) as running:
        yield running


async def until(project: Project, service: Json, **expected: object) -> None:
    async def as_expected() -> bool:
        shown = (await project.get(f"/inference_services/{service['id']}")).json()
        return bool(shown | expected == shown)

    await eventually(as_expected, 10.0)


async def test_a_life_with_keys_preflights_drift_and_sync_needs_the_given_rights_and_no_others(
    api: Api, database: Database, cluster: SimulatedCluster, kubernetes: RawApi
) -> None:
    storage = KeptCredentials(api.pool, api.services.keys, {})
    project = api.project()
    model = await project.model()
    await project.ready_version(model, access_key="a", secret_key="b")
    async with worker_of(api, database, cluster, storage=storage):
        await listening(api)
        service = await project.deployed(model, await project.environment("models"), name="iris")
        await until(project, service, current_state="DEPLOYED")
        await project.patch(f"/inference_services/{service['id']}", {"min_replicas": 2})
        await project.post(f"/inference_services/{service['id']}/sync", {})
        first = (await kubernetes.get("iris")).body["metadata"]["uid"]
        await kubernetes.delete("iris")
        not_ours = cluster.requests.all("delete")

        async def repaired() -> bool:
            shown = (await project.get(f"/inference_services/{service['id']}")).json()
            return bool(shown["current_state"] == "DEPLOYED" and shown["external_id"] != first)

        await eventually(repaired, 10.0)
        await project.delete(f"/inference_services/{service['id']}/undeploy")
        await until(project, service, current_state="UNDEPLOYED")

    calls = [call for call in cluster.requests.all() if call not in not_ours]
    assert any("dryRun=All" in call.path for call in calls), "the preflight is among them"
    assert {call.namespace for call in calls if call.resource != "inferenceservices"} == {"models"}
    assert set(needed(calls)) == given("modeltrail-worker") | given("modeltrail-keys")
