"""Fixtures of the tests with a real Kubernetes control plane and a real KServe; `make kserve` builds and runs them."""

import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from modeltrail.commands.preflight import Preflight
from modeltrail.projections.catalogue import INLINE
from support.api import Api, Project, client_of, running_services
from support.cluster import eventually
from support.command_line import SECRET_KEYS
from support.control_plane import ControlPlane
from support.database import Database
from support.deploy_worker import listening
from support.kserve_programs import manifests_of
from support.pod_fates import write_stages
from support.real_kserve import grant_worker, install
from support.worker_process import PATIENCE, WorkerProcess

PROGRAMS = Path(os.environ.get("KSERVE_PROGRAMS", "build/kserve")).absolute()
WITH_KEYS = "with-keys"  # where the worker may keep Secrets


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """Kubernetes with KServe, whose worker account has the roles of docs/kubernetes.yaml."""
    plane = ControlPlane(PROGRAMS, tmp_path_factory.mktemp("plane"))
    try:
        stages = plane.folder / "stages.yaml"
        write_stages(stages, manifests_of(PROGRAMS, "sigs.k8s.io/kwok") / "stage")
        plane.start_all(stages)
        install(plane, PROGRAMS)
        plane.create("/api/v1/namespaces", {"metadata": {"name": WITH_KEYS}})
        grant_worker(plane, WITH_KEYS)
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
    async with running_services(database) as services:
        asking = replace(services, preflight=Preflight(services.pool, INLINE))
        async with client_of(asking) as api:
            yield api


@pytest.fixture
def project(api: Api) -> Project:
    return api.project()


@pytest.fixture
def process(database: Database, plane: ControlPlane, tmp_path: Path) -> WorkerProcess:
    """The deploy worker, not started yet."""
    return WorkerProcess(database, plane, tmp_path, MODELTRAIL_SECRET_KEYS=SECRET_KEYS)


@pytest.fixture
async def worker(process: WorkerProcess, api: Api) -> AsyncIterator[WorkerProcess]:
    """The deploy worker at work, and ready to be asked."""

    async def has_synced() -> bool:
        return process.has_logged('"event":"synced"')

    async with process.running():
        await listening(api)
        await eventually(has_synced, PATIENCE)
        yield process
