"""Ways into a cluster whose credentials change while we work: tokens in files, plugins, pods; several contexts."""

import asyncio
import json
import ssl
import stat
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from kubernetes_asyncio.config import incluster_config

from modeltrail.postgres.connect import writer
from modeltrail.simulated_cluster import SimulatedCluster
from modeltrail.simulated_cluster.kubeconfig import write_kubeconfig
from modeltrail.workers.access import Access
from modeltrail.workers.cluster import ClusterNotConfigured, ClusterUnavailable
from modeltrail.workers.deploy_worker import DeployWorker
from modeltrail.workers.kserve import KServeCluster
from support.certificate import self_signed, signed_without_key_identifiers
from support.cluster import Json, eventually, options, raw_api, service
from support.committing import address_of
from support.database import Database
from support.registry import registry

BETWEEN = "client.authentication.k8s.io/v1"


@pytest.fixture
def token(tmp_path: Path) -> Path:
    """The token that the cluster demands, in a file that ends with a newline as files do."""
    path = tmp_path / "token"
    renew(path)
    return path


@pytest.fixture
async def guarded(token: Path) -> AsyncIterator[SimulatedCluster]:
    async with SimulatedCluster(options(token_file=token)) as running:
        yield running


def renew(token: Path, ending: str = "\n") -> None:
    token.write_text(uuid4().hex + ending)


def read(token: Path) -> str:
    return token.read_text().strip()


def with_contexts(path: Path, urls: dict[str, str], users: Json | None = None) -> Path:
    """A kubeconfig with a cluster, a user and a context of each name; the first is the current one."""
    given = users or {}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": url}} for name, url in urls.items()],
        "users": [{"name": name, "user": given.get(name, {})} for name in urls],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}} for name in urls],
        "current-context": next(iter(urls)),
    }
    path.write_text(json.dumps(config))
    return path


def as_in_a_pod(monkeypatch: pytest.MonkeyPatch, url: str, token: Path, authority: Path) -> None:
    place = urlsplit(url)
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(token))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(authority))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", str(place.hostname))
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(place.port))


def test_a_kubeconfig_is_private_whatever_a_crash_left(tmp_path: Path) -> None:
    (tmp_path / "config.new").touch(mode=0o644)
    write_kubeconfig(tmp_path / "config", "http://127.0.0.1:1", token="secret")

    assert stat.S_IMODE((tmp_path / "config").stat().st_mode) == 0o600


async def test_a_token_file_that_changes_is_read_again(guarded: SimulatedCluster, token: Path, tmp_path: Path) -> None:
    write_kubeconfig(tmp_path / "config", guarded.url, token_file=token)
    async with await KServeCluster.connect(Access(kubeconfig=tmp_path / "config")) as cluster:
        assert (await cluster.list())[0] == []
        renew(token)
        everybody = await asyncio.gather(*(cluster.get("models", "iris") for _ in range(5)))
    assert everybody == [None] * 5


async def test_an_expired_token_of_a_plugin_is_asked_for_anew(
    guarded: SimulatedCluster, token: Path, tmp_path: Path
) -> None:
    said = tmp_path / "credential.json"

    def issue() -> None:
        plugin_says = {"apiVersion": BETWEEN, "kind": "ExecCredential", "status": {"token": read(token)}}
        said.write_text(json.dumps(plugin_says))

    issue()
    plugin: Json = {"exec": {"apiVersion": BETWEEN, "command": "cat", "args": [str(said)]}}
    path = with_contexts(tmp_path / "config", {"only": guarded.url}, {"only": plugin})
    async with await KServeCluster.connect(Access(kubeconfig=path)) as cluster:
        assert (await cluster.list())[0] == []
        renew(token)
        with pytest.raises(ClusterUnavailable, match="Unauthorized"):
            await cluster.list()  # the plugin still has the old one
        said.unlink()
        with pytest.raises(ClusterNotConfigured, match="cannot be used"):
            await cluster.list()
        issue()
        assert (await cluster.list())[0] == []


async def test_a_pod_s_token_that_is_replaced_is_taken_up_at_once(
    token: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls, authority = self_signed(tmp_path)
    renew(token, ending="")  # as a kubelet writes it
    async with SimulatedCluster(options(token_file=token, tls=tls)) as inside:
        as_in_a_pod(monkeypatch, inside.url, token, authority)
        async with await KServeCluster.connect(Access(in_cluster=True)) as cluster:
            assert (await cluster.list())[0] == []
            for _ in range(2):
                renew(token, ending="")
                assert (await cluster.list())[0] == []


async def test_an_authority_that_is_replaced_is_taken_up_at_once(
    token: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    renew(token, ending="")
    tls, authority = self_signed(tmp_path)
    async with SimulatedCluster(options(tls=tls)) as before:
        as_in_a_pod(monkeypatch, before.url, token, authority)
        cluster = await KServeCluster.connect(Access(in_cluster=True))
        assert (await cluster.list())[0] == []
    (tmp_path / "new").mkdir()
    tls, renewed = self_signed(tmp_path / "new")
    port = urlsplit(before.url).port or 0
    async with SimulatedCluster(replace(options(tls=tls), port=port)), cluster:
        with pytest.raises(ClusterUnavailable, match="certificate"):
            await cluster.list()  # whoever this is, it is not known yet
        renewed.replace(authority)
        assert (await cluster.list())[0] == []


async def test_an_authority_without_key_identifiers_is_trusted(
    token: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = ssl.create_default_context

    def as_since_python_3_13(cafile: str | None = None) -> ssl.SSLContext:
        context = usual(cafile=cafile)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    renew(token, ending="")
    tls, authority = signed_without_key_identifiers(tmp_path)
    monkeypatch.setattr(ssl, "create_default_context", as_since_python_3_13)
    async with SimulatedCluster(options(token_file=token, tls=tls)) as inside:
        as_in_a_pod(monkeypatch, inside.url, token, authority)
        async with await KServeCluster.connect(Access(in_cluster=True)) as cluster:
            assert (await cluster.list())[0] == []


async def test_of_several_contexts_the_one_named_is_used(tmp_path: Path) -> None:
    async with SimulatedCluster(options()) as first, SimulatedCluster(options()) as second:
        async with raw_api(second) as api:
            await api.create(service("there", labels={"modelregistry.ai-platform/inference-service-id": str(uuid4())}))
        path = with_contexts(tmp_path / "config", {"first": first.url, "second": second.url})

        async def names(context: str | None) -> list[str]:
            async with await KServeCluster.connect(Access(kubeconfig=path, context=context)) as cluster:
                return [each.name for each in (await cluster.list())[0]]

        assert await names(None) == []
        assert await names("first") == []
        assert await names("second") == ["there"]
        with pytest.raises(ClusterNotConfigured, match=r"KUBERNETES_CONTEXT=third.*third"):
            await names("third")


async def test_a_kubeconfig_that_leads_elsewhere_meanwhile_is_followed(
    guarded: SimulatedCluster, token: Path, tmp_path: Path
) -> None:
    path = with_contexts(tmp_path / "config", {"old": guarded.url}, {"old": {"token": read(token)}})
    async with await KServeCluster.connect(Access(kubeconfig=path)) as cluster, SimulatedCluster(options()) as other:
        assert (await cluster.list())[0] == []
        with_contexts(path, {"new": other.url})
        assert (await cluster.list())[0] == [], "whoever still knows us is asked"
        assert other.requests.all() == []
        renew(token)
        assert (await cluster.list())[0] == []
        assert len(other.requests.all("list")) == 1


async def test_the_worker_goes_on_when_its_token_is_replaced(
    guarded: SimulatedCluster, token: Path, tmp_path: Path, database: Database
) -> None:
    write_kubeconfig(tmp_path / "config", guarded.url, token_file=token)
    async with (
        registry(database) as world,
        await KServeCluster.connect(Access(kubeconfig=tmp_path / "config")) as cluster,
    ):
        worker = asyncio.create_task(
            DeployWorker(writer(address_of(database)), world.committer, cluster, owner="test").run()
        )
        try:
            for _ in range(3):
                deployed = await world.deploy()

                async def is_live() -> bool:
                    return (await world.event_names(deployed))[-1] == "DeploymentSucceeded"  # noqa: B023 - called at once

                await eventually(is_live, 10.0)
                renew(token)
                guarded.drop_watches()  # a new watch must show the new token, too
        finally:
            worker.cancel()
            await asyncio.wait([worker])
