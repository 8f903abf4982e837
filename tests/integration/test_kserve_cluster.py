"""The worker's view of a cluster, through the real client, against the simulated one."""

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path
from uuid import UUID

import pytest
from msgspec.structs import replace

from modeltrail.domain.serving_options import DeploymentMode, ServingOptions
from modeltrail.simulated_cluster import (
    Delay,
    ExpireHistory,
    Fail,
    Fault,
    Hang,
    Reset,
    SimulatedCluster,
    TearWatch,
    Timing,
    write_kubeconfig,
)
from modeltrail.simulated_cluster.resources import INFERENCE_SERVICES
from modeltrail.workers.access import Access
from modeltrail.workers.cluster import (
    Applied,
    Bookmark,
    Change,
    ClusterError,
    ClusterNotConfigured,
    ClusterRefused,
    ClusterUnavailable,
    Deleted,
    Deletion,
    FieldConflict,
    ObservedService,
    WatchExpired,
)
from modeltrail.workers.kserve import KServeCluster
from modeltrail.workers.manifest import DesiredService, manifest
from support.cluster import (
    STUCK,
    RawApi,
    desired,
    eventually,
    kserve,
    options,
    raw_api,
    service,
)


@pytest.fixture
async def simulated() -> AsyncIterator[SimulatedCluster]:
    async with SimulatedCluster(options()) as running:
        yield running


@pytest.fixture
async def cluster(simulated: SimulatedCluster) -> AsyncIterator[KServeCluster]:
    async with kserve(simulated) as connected:
        yield connected


@pytest.fixture
async def other(simulated: SimulatedCluster) -> AsyncIterator[RawApi]:
    """Somebody else at the same cluster."""
    async with raw_api(simulated) as connected:
        yield connected


async def until(
    cluster: KServeCluster, wanted: Callable[[ObservedService], bool], name: str = "iris"
) -> ObservedService:
    async def probe() -> ObservedService | None:
        found = await cluster.get("models", name)
        return found if found and wanted(found) else None

    return await eventually(probe)


async def taken(changes: AsyncGenerator[Change, None], count: int) -> list[Change]:
    found: list[Change] = []
    async with asyncio.timeout(5), aclosing(changes):
        async for change in changes:
            found.append(change)
            if len(found) == count:
                break
    return found


async def deploy(cluster: KServeCluster, wanted: DesiredService) -> ObservedService:
    await cluster.apply(manifest(wanted))
    return await until(cluster, lambda found: found.ready, wanted.name)


# Applying and looking


async def test_an_apply_that_creates_returns_the_object(cluster: KServeCluster) -> None:
    wanted = desired(deployment=7, labels={"team": "fraud"})

    found = await cluster.apply(manifest(wanted))

    assert (found.namespace, found.name, found.generation) == ("models", "iris", 1)
    assert (found.service_id, found.deployment_id) == (wanted.service_id, wanted.deployment_id)
    assert found.labels["team"] == "fraud"
    assert found.uid
    assert (found.ready, found.failed, found.url) == (False, None, None)


async def test_a_service_becomes_ready_with_its_url(cluster: KServeCluster) -> None:
    found = await deploy(cluster, desired())

    assert found.url == "http://iris.models.example.simulated"
    assert {each.type: each.status for each in found.conditions}["Ready"] == "True"
    assert not found.deleting
    assert found.finalizers == ("inferenceservice.finalizers",)


async def test_a_failed_service_says_why(cluster: KServeCluster) -> None:
    await cluster.apply(manifest(desired(storage_uri="s3://simulate-fail")))

    found = await until(cluster, lambda each: each.failed is not None)

    assert found.failed is not None
    assert (found.failed.reason, found.failed.exit_code) == ("ModelLoadFailed", 1)
    assert "could not be loaded" in found.failed.message
    assert not found.ready


async def test_a_service_without_pods_because_nobody_calls_it_is_ready() -> None:
    wanted = replace(desired(), mode=DeploymentMode.KNATIVE, options=ServingOptions(min_replicas=0))
    timing = Timing(ready_after=0, linger=0, idle_after=0)
    async with (
        SimulatedCluster(options(timing=timing)) as simulated,
        kserve(simulated) as cluster,
        raw_api(simulated) as api,
    ):
        await cluster.apply(manifest(wanted))

        async def sleeps() -> bool:
            told = (await api.get("iris")).body.get("status", {}).get("modelStatus", {})
            return bool(told.get("copies", {}).get("totalCopies") == 0 and told["transitionStatus"] == "InProgress")

        await eventually(sleeps)
        found = await cluster.get("models", "iris")

        assert found is not None
        assert (found.ready, found.interruption) == (True, None)
        await cluster.apply(manifest(replace(wanted, deployment_id=UUID(int=2))))
        again = await until(cluster, lambda each: each.ready)
        assert again.deployment_id == UUID(int=2)


async def test_an_old_failure_does_not_count_once_the_service_is_ready(cluster: KServeCluster) -> None:
    await cluster.apply(manifest(desired(storage_uri="s3://simulate-fail")))
    await until(cluster, lambda each: each.failed is not None)

    found = await deploy(cluster, desired(deployment=2))

    assert found.failed is None


async def test_repeating_an_apply_changes_nothing(cluster: KServeCluster) -> None:
    before = await deploy(cluster, desired())

    again = await cluster.apply(manifest(desired()))

    assert again == before
    assert again.ready


async def test_the_readiness_of_the_deployment_before_does_not_count() -> None:
    timing = Timing(ready_after=0.02, linger=60)
    async with SimulatedCluster(options(timing=timing)) as simulated, kserve(simulated) as cluster:
        await deploy(cluster, desired())

        found = await cluster.apply(manifest(desired(deployment=2, storage_uri="s3://models/better")))

    assert (found.serving, found.stale, found.ready) == (True, True, False)


async def test_the_failure_of_the_deployment_before_does_not_count() -> None:
    async with SimulatedCluster(options()) as simulated, kserve(simulated) as cluster:
        await cluster.apply(manifest(desired(storage_uri="s3://simulate-fail")))
        await until(cluster, lambda each: each.failed is not None)

        found = await cluster.apply(manifest(desired(deployment=2)))

    assert (found.stale, found.failed) == (True, None)


async def test_a_rollout_in_progress_is_not_ready_though_the_old_pods_serve() -> None:
    timing = Timing(ready_after=0.02, slow_after=60, linger=0)
    async with SimulatedCluster(options(timing=timing)) as simulated, kserve(simulated) as cluster:
        await deploy(cluster, desired())
        await cluster.apply(manifest(desired(deployment=2, storage_uri="s3://simulate-slow")))
        found = await until(cluster, lambda each: not each.stale)

    assert {each.type: each.status for each in found.conditions}["Ready"] == "True"
    assert (found.ready, found.interruption, found.url) == (False, None, "http://iris.models.example.simulated")


async def test_the_same_version_can_be_deployed_again(cluster: KServeCluster) -> None:
    await deploy(cluster, desired(deployment=1))

    found = await deploy(cluster, desired(deployment=2))

    assert found.deployment_id == desired(deployment=2).deployment_id


async def test_an_unknown_service_is_none(cluster: KServeCluster) -> None:
    assert await cluster.get("models", "nothing") is None


async def test_ids_that_are_no_ids_are_read_as_none(cluster: KServeCluster, other: RawApi) -> None:
    await other.create(service(labels={"modelregistry.ai-platform/inference-service-id": "not-an-id"}))

    found = await cluster.get("models", "iris")

    assert found is not None
    assert (found.service_id, found.deployment_id) == (None, None)


# Conflicts and refusals


async def test_another_managers_hand_is_seen_and_then_overruled(cluster: KServeCluster, other: RawApi) -> None:
    await deploy(cluster, desired())
    patch = {"spec": {"predictor": {"model": {"storageUri": "s3://theirs"}}}}
    await other.merge("iris", patch, fieldManager="kubectl-edit")

    with pytest.raises(FieldConflict) as conflict:
        await cluster.apply(manifest(desired()))
    await cluster.apply(manifest(desired()), force=True)
    body = (await other.get("iris")).body

    assert conflict.value.managers == ("kubectl-edit",)
    assert conflict.value.fields == (".spec.predictor.model.storageUri",)
    assert body["spec"]["predictor"]["model"]["storageUri"] == "s3://models/iris"


async def test_the_fields_of_others_are_left_alone(cluster: KServeCluster, other: RawApi) -> None:
    await deploy(cluster, desired())
    await other.merge("iris", {"spec": {"predictor": {"minReplicas": 3}}}, fieldManager="kubectl-edit")

    await cluster.apply(manifest(desired(deployment=2, storage_uri="s3://models/better")))
    spec = (await other.get("iris")).body["spec"]

    assert spec["predictor"]["minReplicas"] == 3
    assert spec["predictor"]["model"]["storageUri"] == "s3://models/better"


async def test_a_label_that_is_gone_from_the_registry_goes_from_the_cluster(cluster: KServeCluster) -> None:
    await cluster.apply(manifest(desired(labels={"team": "fraud", "stage": "test"})))

    found = await cluster.apply(manifest(desired(labels={"team": "fraud"})))

    assert found.labels["team"] == "fraud"
    assert "stage" not in found.labels


async def test_a_name_that_kserve_refuses_is_refused_for_good(cluster: KServeCluster) -> None:
    with pytest.raises(ClusterRefused, match="InferenceService name must consist of") as refused:
        await cluster.apply(manifest(desired("1-iris")))

    assert refused.value.reason == "Forbidden"


async def test_a_changed_deployment_mode_is_refused_in_kserves_words(cluster: KServeCluster) -> None:
    await deploy(cluster, desired())

    with pytest.raises(ClusterRefused, match="deploymentMode cannot be changed from 'Standard' to 'Knative'"):
        await cluster.apply(manifest(replace(desired(), mode=DeploymentMode.KNATIVE)))


async def test_an_unknown_namespace_is_refused_for_good() -> None:
    strict = SimulatedCluster(options(strict_namespaces=True))
    async with strict as simulated, kserve(simulated) as cluster:
        with pytest.raises(ClusterRefused, match='namespaces "models" not found'):
            await cluster.apply(manifest(desired()))


@pytest.mark.parametrize(
    ("code", "reason", "expected"),
    [
        (400, "BadRequest", ClusterRefused),
        (403, "Forbidden", ClusterRefused),
        (422, "Invalid", ClusterRefused),
        (404, "NotFound", ClusterRefused),
        (408, "Timeout", ClusterUnavailable),
        (409, "Conflict", ClusterUnavailable),
        (429, "TooManyRequests", ClusterUnavailable),
        (500, "InternalError", ClusterUnavailable),
        (503, "ServiceUnavailable", ClusterUnavailable),
    ],
)
async def test_refusals_are_told_from_what_may_work_later(
    simulated: SimulatedCluster, cluster: KServeCluster, code: int, reason: str, expected: type[ClusterError]
) -> None:
    simulated.faults.add(Fault(Fail(code, reason, "because")))

    with pytest.raises(expected, match="because"):
        await cluster.apply(manifest(desired()))


async def test_a_cluster_without_kserve_is_not_an_absent_service(
    simulated: SimulatedCluster, cluster: KServeCluster
) -> None:
    simulated.faults.add(Fault(Fail(404, "NotFound", "the server could not find the requested resource")))

    with pytest.raises(ClusterRefused, match="is KServe installed"):
        await cluster.get("models", "iris")


async def test_the_time_to_wait_is_passed_on(simulated: SimulatedCluster, cluster: KServeCluster) -> None:
    simulated.faults.add(Fault(Fail(429, "TooManyRequests", "slow down", retry_after=7)))

    with pytest.raises(ClusterUnavailable) as unavailable:
        await cluster.list()

    assert unavailable.value.retry_after == 7


# Connections


async def test_a_lost_answer_can_be_asked_for_again(simulated: SimulatedCluster, cluster: KServeCluster) -> None:
    simulated.faults.add(Fault(Reset(after_handling=True), verb="apply"))

    with pytest.raises(ClusterUnavailable):
        await cluster.apply(manifest(desired()))
    again = await cluster.apply(manifest(desired()))

    assert again.generation == 1
    assert [row.status for row in simulated.requests.all("apply")] == [0, 200]


async def test_a_reset_connection_is_unavailable(simulated: SimulatedCluster, cluster: KServeCluster) -> None:
    # Two: aiohttp itself repeats an idempotent request once when a kept connection turns out dead.
    simulated.faults.add(Fault(Reset(), verb="get", times=2))

    with pytest.raises(ClusterUnavailable):
        await cluster.get("models", "iris")


@pytest.mark.parametrize("action", [Hang(), Delay(30)])
async def test_a_cluster_that_does_not_answer_is_given_up_on(simulated: SimulatedCluster, action: Hang | Delay) -> None:
    simulated.faults.add(Fault(action))

    async with kserve(simulated, call_seconds=0.1) as cluster:
        with pytest.raises(ClusterUnavailable, match="did not answer in time"):
            await cluster.get("models", "iris")


async def test_nobody_listening_is_unavailable(simulated: SimulatedCluster) -> None:
    async with await KServeCluster.connect(Access(url="http://127.0.0.1:1")) as cluster:
        with pytest.raises(ClusterUnavailable, match="connection to the cluster failed"):
            await cluster.list()


async def test_a_proxy_does_not_stand_before_our_own_loopback(
    simulated: SimulatedCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")

    async with kserve(simulated) as cluster:
        assert (await cluster.list())[0] == []


# Deleting


async def test_a_deleted_service_is_deleting_and_then_gone() -> None:
    timing = Timing(ready_after=0, linger=0, finalize_after=0.1)
    async with SimulatedCluster(options(timing=timing)) as simulated, kserve(simulated) as cluster:
        ready = await deploy(cluster, desired())
        asked = await cluster.delete("models", "iris", ready.uid)
        dying = await cluster.get("models", "iris")

        async def gone() -> bool:
            return await cluster.get("models", "iris") is None

        await eventually(gone)
        again = await cluster.delete("models", "iris", ready.uid)

    assert asked is Deletion.STARTED
    assert dying is not None
    assert (dying.deleting, dying.ready) == (True, False)
    assert again is Deletion.GONE


async def test_a_namesake_is_not_deleted(cluster: KServeCluster) -> None:
    found = await deploy(cluster, desired())

    assert await cluster.delete("models", "iris", "another-uid") is Deletion.NOT_OURS
    assert await cluster.get("models", "iris") == found


async def test_a_delete_whose_answer_was_lost_is_settled_by_looking(simulated: SimulatedCluster) -> None:
    async with kserve(simulated) as cluster:
        found = await deploy(cluster, desired())
        simulated.faults.add(Fault(Reset(after_handling=True), verb="delete", times=2))

        async def settled() -> bool:
            try:
                return await cluster.delete("models", "iris", found.uid) is Deletion.GONE
            except ClusterUnavailable:
                return False

        await eventually(settled)


# Listing and watching


async def test_a_list_holds_our_services_and_nobody_elses(cluster: KServeCluster, other: RawApi) -> None:
    await other.create(service("foreign"))
    await deploy(cluster, desired("iris"))

    services, version = await cluster.list()

    assert [each.name for each in services] == ["iris"]
    assert int(version) > 0


async def test_a_list_longer_than_a_page_is_read_whole(simulated: SimulatedCluster, other: RawApi) -> None:
    label = {"modelregistry.ai-platform/inference-service-id": "00000000-0000-0000-0000-000000000001"}
    for number in range(501):
        await other.create(service(f"s-{number}", labels=label))

    async with kserve(simulated) as cluster:
        services, _ = await cluster.list()

    assert len({each.name for each in services}) == 501


async def test_a_list_whose_pages_expire_is_read_in_one_go(simulated: SimulatedCluster, cluster: KServeCluster) -> None:
    await deploy(cluster, desired())
    simulated.faults.add(Fault(Fail(410, "Expired", "too old"), verb="list"))

    services, _ = await cluster.list()

    assert len(services) == 1
    assert "limit=" not in simulated.requests.all("list")[-1].path


async def test_a_watch_tells_the_life_of_a_service(cluster: KServeCluster) -> None:
    _, version = await cluster.list()
    found = await deploy(cluster, desired())
    await cluster.delete("models", "iris", found.uid)

    changes = [change async for change in until_deleted(cluster.watch(version))]

    states = [change.service.ready for change in changes if isinstance(change, Applied)]
    assert states[0] is False
    assert True in states
    assert isinstance(changes[-1], Deleted)
    assert changes[-1].service.uid == found.uid


async def until_deleted(changes: AsyncGenerator[Change, None]) -> AsyncIterator[Change]:
    async with asyncio.timeout(5), aclosing(changes):
        async for change in changes:
            yield change
            if isinstance(change, Deleted):
                return


async def test_a_watch_goes_on_when_the_server_ends_it(simulated: SimulatedCluster, other: RawApi) -> None:
    async with kserve(simulated, watch_seconds=1) as cluster:
        _, version = await cluster.list()
        async with asyncio.timeout(10), aclosing(cluster.watch(version)) as changes:
            bookmarks = [await anext(changes), await anext(changes)]
            await deploy(cluster, desired())
            change = await anext(changes)

    assert all(isinstance(each, Bookmark) for each in bookmarks)
    assert isinstance(change, Applied)
    assert len(simulated.requests.all("watch")) >= 3


async def test_a_watch_skips_what_is_not_ours(cluster: KServeCluster, other: RawApi) -> None:
    _, version = await cluster.list()
    await other.create(service("foreign"))
    await deploy(cluster, desired())

    first = (await taken(cluster.watch(version), 1))[0]

    assert isinstance(first, Applied)
    assert first.service.name == "iris"


@pytest.mark.parametrize("form", ["event", "http"])
async def test_a_watch_from_too_long_ago_has_expired(
    simulated: SimulatedCluster, cluster: KServeCluster, form: str
) -> None:
    simulated.faults.add(Fault(ExpireHistory("http" if form == "http" else "event"), verb="watch"))

    with pytest.raises(WatchExpired):
        await taken(cluster.watch("1"), 1)


async def test_a_watch_from_a_future_that_was_undone_has_expired(cluster: KServeCluster) -> None:
    with pytest.raises(WatchExpired):
        await taken(cluster.watch("999999"), 1)


async def test_a_line_cut_in_half_is_unavailable(simulated: SimulatedCluster, cluster: KServeCluster) -> None:
    _, version = await cluster.list()
    await deploy(cluster, desired())
    simulated.faults.add(Fault(TearWatch(), verb="watch"))

    with pytest.raises(ClusterUnavailable):
        await taken(cluster.watch(version), 1)
    after = await taken(cluster.watch(version), 1)

    assert isinstance(after[0], Applied)


async def test_a_dropped_watch_is_unavailable(simulated: SimulatedCluster, cluster: KServeCluster) -> None:
    _, version = await cluster.list()
    waiting = asyncio.create_task(taken(cluster.watch(version), 1))

    async def open_watch() -> bool:
        return bool([row for row in simulated.requests.all("watch") if row.status])

    await eventually(open_watch)
    simulated.drop_watches()

    with pytest.raises(ClusterUnavailable):
        await waiting


async def test_a_line_longer_than_any_buffer_is_read(simulated: SimulatedCluster, cluster: KServeCluster) -> None:
    _, version = await cluster.list()
    await deploy(cluster, desired())
    small = simulated.store.all(INFERENCE_SERVICES)[0]
    simulated.store.write(small.key, {**small.obj, "padding": "x" * 6 * 2**20}, small.managers)

    changes = await taken(cluster.watch(version), 5)

    assert all(isinstance(change, Applied) for change in changes)


async def test_a_watch_that_ends_at_once_is_not_renewed_in_a_tight_loop(
    simulated: SimulatedCluster, cluster: KServeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(_: object, __: object) -> AsyncGenerator[bytes, None]:
        return
        yield b""

    monkeypatch.setattr("modeltrail.simulated_cluster.server.watch_lines", nothing)

    with pytest.raises(ClusterUnavailable, match="as soon as it began"):
        await taken(cluster.watch("1"), 1)

    assert len(simulated.requests.all("watch")) == 1


async def test_no_connection_is_left_behind_by_a_watch_that_is_closed() -> None:
    async with SimulatedCluster(options(timing=STUCK)) as simulated, kserve(simulated) as cluster:
        await cluster.apply(manifest(desired()))
        for _ in range(150):  # more than the pool holds
            await taken(cluster.watch("1"), 1)

        assert await cluster.get("models", "iris")


# Finding the cluster


async def test_a_renewed_token_is_picked_up(tmp_path: Path) -> None:
    path = tmp_path / "config"
    async with SimulatedCluster(options(token="new")) as simulated:
        write_kubeconfig(path, simulated.url, token="old")
        async with await KServeCluster.connect(Access(kubeconfig=path)) as cluster:
            with pytest.raises(ClusterUnavailable, match="Unauthorized"):
                await cluster.list()
            write_kubeconfig(path, simulated.url, token="new")
            services, _ = await cluster.list()

    assert services == []


async def test_the_usual_kubeconfig_is_found(
    simulated: SimulatedCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_kubeconfig(tmp_path / "mine", simulated.url)
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join([str(tmp_path / "absent"), str(tmp_path / "mine")]))

    async with await KServeCluster.connect(Access()) as cluster:
        assert (await cluster.list())[0] == []


@pytest.mark.parametrize(
    ("access", "sentence"),
    [
        (Access(), "no Kubernetes cluster is configured: .*absent does not exist"),
        (Access(in_cluster=True), "KUBERNETES_IN_CLUSTER is set, but this is not a pod"),
        (Access(kubeconfig=Path("/nowhere/config")), "the kubeconfig /nowhere/config does not exist"),
    ],
)
async def test_no_cluster_is_said_in_a_sentence(
    access: Access, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "absent"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)

    with pytest.raises(ClusterNotConfigured, match=sentence):
        await KServeCluster.connect(access)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "only text",
        "[1]",
        "apiVersion: v1\nkind: Config\n",
        "current-context: x\ncontexts: []\nclusters: []\n",
    ],
)
async def test_a_broken_kubeconfig_is_said_in_a_sentence(content: str, tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(content)

    with pytest.raises(ClusterNotConfigured, match="cannot be used") as refused:
        await KServeCluster.connect(Access(kubeconfig=path))
    assert not any(told in str(refused.value) for told in ("\n", "does not support", "indices"))


async def test_a_folder_for_a_kubeconfig_is_said_to_be_one(tmp_path: Path) -> None:
    with pytest.raises(ClusterNotConfigured, match=r"is a folder; set KUBERNETES_KUBECONFIG to the file"):
        await KServeCluster.connect(Access(kubeconfig=tmp_path))
