"""Fixtures of the tests with a real Kubernetes control plane and a real KServe; `make kserve` builds and runs them."""

import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from modeltrail.domain.serving_options import DeploymentMode
from support import real_knative, real_kserve
from support.api import Api, Project, asking_api
from support.cluster import eventually
from support.command_line import SECRET_KEYS
from support.control_plane import ControlPlane
from support.database import Database
from support.deploy_worker import listening
from support.knative_stand_ins import standing_in
from support.kserve_programs import manifests_of
from support.pod_fates import write_stages
from support.real_serving import Serving
from support.worker_process import PATIENCE, WorkerProcess

PROGRAMS = Path(os.environ.get("KSERVE_PROGRAMS", "build/kserve")).absolute()
WITH_KEYS = "with-keys"  # where the worker may keep Secrets


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """Kubernetes with KServe, whose worker account has the roles of docs/kubernetes.yaml."""
    with _running(tmp_path_factory.mktemp("plane"), real_kserve.install) as plane:
        yield plane


@pytest.fixture(scope="session")
def knative_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """The same with Knative Serving."""
    folder = tmp_path_factory.mktemp("knative-plane")
    with _running(folder, real_knative.install, real_kserve.install) as plane, standing_in(plane):
        yield plane


@contextmanager
def _running(folder: Path, *installs: Callable[[ControlPlane, Path], None]) -> Iterator[ControlPlane]:
    plane = ControlPlane(PROGRAMS, folder)
    try:
        stages = folder / "stages.yaml"
        write_stages(stages, manifests_of(PROGRAMS, "sigs.k8s.io/kwok") / "stage")
        plane.start_all(stages)
        for install in installs:
            install(plane, PROGRAMS)
        plane.create("/api/v1/namespaces", {"metadata": {"name": WITH_KEYS}})
        real_kserve.grant_worker(plane, WITH_KEYS)
        yield plane
    finally:
        plane.stop_all()


@pytest.fixture
def namespace(plane: ControlPlane) -> str:
    """One that only this test uses."""
    name = f"ns-{uuid4().hex[:8]}"
    plane.create("/api/v1/namespaces", {"metadata": {"name": name}})
    return name


@pytest.fixture
async def api(database: Database) -> AsyncIterator[Api]:
    """The API in this process, which asks the cluster before it accepts a deployment."""
    async with asking_api(database) as api:
        yield api


@pytest.fixture
def project(api: Api) -> Project:
    return api.project()


@pytest.fixture
def serving(project: Project, plane: ControlPlane, namespace: str) -> Serving:
    return Serving(project, plane, namespace)


@pytest.fixture
def mode() -> DeploymentMode:
    """What the worker asks KServe for."""
    return DeploymentMode.STANDARD


@pytest.fixture
def process(database: Database, plane: ControlPlane, mode: DeploymentMode, tmp_path: Path) -> WorkerProcess:
    """The deploy worker, not started yet."""
    return WorkerProcess(database, plane, tmp_path, mode=mode, MODELTRAIL_SECRET_KEYS=SECRET_KEYS)


@pytest.fixture
async def worker(process: WorkerProcess, api: Api) -> AsyncIterator[WorkerProcess]:
    """The deploy worker at work, and ready to be asked."""

    async def has_synced() -> bool:
        return process.has_logged('"event":"synced"')

    async with process.running():
        await listening(api)
        await eventually(has_synced, PATIENCE)
        yield process
