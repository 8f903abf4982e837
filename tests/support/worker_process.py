"""The deploy worker in a process of its own, to be killed, frozen and woken."""

import asyncio
import os
import signal
import sys
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from modeltrail.domain.serving_options import DeploymentMode
from modeltrail.simulated_cluster import SimulatedCluster, write_kubeconfig
from support.control_plane import ControlPlane
from support.database import Database

PATIENCE = 60.0  # seconds; measured on two processors that others use, too: 18 until a worker has its lease


class WorkerProcess:
    """`modeltrail worker` as operators run it."""

    def __init__(
        self,
        database: Database,
        cluster: SimulatedCluster | ControlPlane,
        folder: Path,
        log: str = "worker.log",
        mode: DeploymentMode = DeploymentMode.STANDARD,
        program: tuple[str, ...] = ("-m", "modeltrail", "worker"),
        **settings: str,
    ) -> None:
        """`program` is what Python runs; `settings` are variables that differ from the usual ones."""
        kubeconfig = folder / "kubeconfig"
        match cluster:
            case SimulatedCluster():
                write_kubeconfig(kubeconfig, cluster.url)
            case ControlPlane():
                cluster.write_kubeconfig(kubeconfig, cluster.worker_token)
        self._environment = os.environ | {
            "DATABASE_HOST": database.host,
            "DATABASE_PORT": str(database.port),
            "DATABASE_USER": database.user,
            "DATABASE_PASSWORD": database.password,
            "DATABASE_DBNAME": database.name,
            "KSERVE_ENABLED": "true",
            "KSERVE_DEPLOYMENT_MODE": mode.value,
            "KUBERNETES_KUBECONFIG": str(kubeconfig),
            "MODELTRAIL_SECRET_KEYS": "test:" + b64encode(bytes(32)).decode(),
            **settings,
        }
        self._program = program
        self._log = folder / log

    async def has_begun(self, times: int) -> bool:
        """Whether a worker has taken the lease that often."""
        return self._log.read_text().count('"event":"lease taken"') >= times

    def has_logged(self, words: str) -> bool:
        return words in self._log.read_text()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.subprocess.Process]:
        with self._log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, *self._program, env=self._environment, stdout=log, stderr=log
            )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGKILL)
            await process.wait()
