"""A Kubernetes control plane of real programs, without root, images or machines.

etcd, the API server, the controller manager and the scheduler are those of any cluster. The machines are kwok's
(https://kwok.sigs.k8s.io): pods are scheduled and get a status, but nothing runs in them.
"""

import json
import signal
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec

from modeltrail.cli.ports import free_port
from support.certificate import self_signed

HOST = "127.0.0.1"
START_SECONDS = 60.0
APPLY = "application/apply-patch+yaml"
_ADMIN = "admin-of-a-test"
Json = dict[str, Any]


class ControlPlane:
    """The programs of one, each of which can be killed, frozen and started again."""

    def __init__(self, programs: Path, folder: Path) -> None:
        """`programs` is where `support.kserve_programs` has put them; `folder` gets logs and data."""
        self.folder = folder
        self._programs = programs
        self._port, self._store_port = free_port(HOST, 0), free_port(HOST, 0)
        self._commands: dict[str, tuple[list[str], Mapping[str, str] | None]] = {}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self.url = f"https://{HOST}:{self._port}"
        self.worker_token = _ADMIN  # until the worker has an account of its own
        _, self.authority = self_signed(folder)
        (folder / "tokens.csv").write_text(f"{_ADMIN},admin,admin,system:masters\n")
        self.admin_config = folder / "admin.kubeconfig"
        self.write_kubeconfig(self.admin_config, _ADMIN)
        self.api = httpx.Client(
            base_url=self.url,
            verify=ssl.create_default_context(cafile=self.authority),
            headers={"Authorization": f"Bearer {_ADMIN}"},
            timeout=START_SECONDS,
        )

    def write_kubeconfig(self, path: Path, token: str) -> None:
        """A kubeconfig for whoever has `token`."""
        cluster = {"server": self.url, "certificate-authority": str(self.authority)}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "real", "cluster": cluster}],
            "users": [{"name": "real", "user": {"token": token}}],
            "contexts": [{"name": "real", "context": {"cluster": "real", "user": "real"}}],
            "current-context": "real",
        }
        path.write_bytes(msgspec.json.encode(config))

    def start_all(self, stages: Path) -> None:
        """Return once pods of a Deployment could run. `stages` tells kwok what becomes of nodes and pods."""
        folder, key = self.folder, str(self.folder / "server.key")
        store = f"http://{HOST}:{self._store_port}"
        # No disk is waited for: what a test has stored need not outlive the machine.
        peers = f"http://{HOST}:{free_port(HOST, 0)}"
        self.start(
            "etcd",
            f"--data-dir={folder / 'etcd'}",
            f"--listen-client-urls={store}",
            f"--advertise-client-urls={store}",
            f"--listen-peer-urls={peers}",
            f"--initial-advertise-peer-urls={peers}",
            f"--initial-cluster=default={peers}",
            "--unsafe-no-fsync",
        )
        self.start(
            "kube-apiserver",
            f"--etcd-servers={store}",
            f"--bind-address={HOST}",
            f"--secure-port={self._port}",
            f"--tls-cert-file={folder / 'server.crt'}",
            f"--tls-private-key-file={key}",
            f"--token-auth-file={folder / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            "--service-account-issuer=https://modeltrail.test",
            f"--service-account-key-file={folder / 'server.crt'}",
            f"--service-account-signing-key-file={key}",
            "--service-cluster-ip-range=10.0.0.0/16",
        )
        self.wait_until_answering()
        config = f"--kubeconfig={self.admin_config}"
        self.start(
            "kube-controller-manager",
            config,
            f"--service-account-private-key-file={key}",
            f"--root-ca-file={self.authority}",
            "--use-service-account-credentials",
            "--leader-elect=false",
            "--secure-port=0",
        )
        self.start("kube-scheduler", config, "--leader-elect=false", "--secure-port=0")
        self.start(
            "kwok", config, "--manage-all-nodes", "--node-lease-duration-seconds=40", "--cidr=10.1.0.0/16",
            "--node-ip=10.0.0.1", f"--config={stages}",
        )  # fmt: skip
        room = {"cpu": "1000", "memory": "1000Gi", "pods": "1000"}
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "kwok"}}
        self.apply("/api/v1/nodes/kwok", node)
        self.apply("/api/v1/nodes/kwok/status", node | {"status": {"allocatable": room, "capacity": room}})

    def start(self, program: str, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        """Start one of the programs, which `restart` then starts alike."""
        self._commands[program] = ([str(self._programs / "bin" / program), *arguments], environment)
        self.restart(program)

    def restart(self, program: str) -> None:
        command, environment = self._commands[program]
        with (self.folder / f"{program}.log").open("ab") as log:
            self._running[program] = subprocess.Popen(command, env=environment, stdout=log, stderr=log)

    def kill(self, program: str) -> None:
        """End it as a power cut would."""
        running = self._running.pop(program)
        running.kill()
        running.wait()

    @contextmanager
    def frozen(self, program: str) -> Iterator[None]:
        """It keeps its connections, and answers nothing, as long as the block lasts."""
        running = self._running[program]
        running.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            running.send_signal(signal.SIGCONT)

    def stop_all(self) -> None:
        """The clients first, so that none fills its log with the others' absence."""
        self.api.close()
        for program in reversed(list(self._running)):
            self.kill(program)

    def wait_until_answering(self) -> None:
        def answers() -> bool:
            try:
                return self.api.get("/readyz").is_success
            except httpx.TransportError:
                return False

        self.wait_until(answers, "the API server answers")

    def wait_until(self, holds: Callable[[], bool], what: str) -> None:
        """Raises `AssertionError` with the end of every log after a minute, or when a program has ended."""
        deadline = time.monotonic() + START_SECONDS
        while not holds():
            ended = [name for name, process in self._running.items() if process.poll() is not None]
            if ended or time.monotonic() > deadline:
                ends = [f"{log.name}: {log.read_text()[-500:]}" for log in sorted(self.folder.glob("*.log"))]
                raise AssertionError("\n".join([f"not yet: {what}; ended: {ended}", *ends]))
            time.sleep(0.05)

    def apply(self, path: str, body: Json) -> Json:
        """Server-side apply; what is said must hold."""
        query = {"fieldManager": "test", "force": "true"}
        return _read(self.api.patch(path, params=query, content=json.dumps(body), headers={"Content-Type": APPLY}))

    def merge(self, path: str, body: Json) -> Json:
        """A change as `kubectl edit` makes it."""
        headers = {"Content-Type": "application/merge-patch+json"}
        return _read(self.api.patch(path, content=json.dumps(body), headers=headers))

    def create(self, path: str, body: Json) -> Json:
        return _read(self.api.post(path, json=body))

    def delete(self, path: str) -> None:
        _read(self.api.delete(path))

    def get(self, path: str) -> Json:
        return _read(self.api.get(path))

    def find(self, path: str) -> Json | None:
        """The object, or None when there is none."""
        answer = self.api.get(path)
        return None if answer.status_code == httpx.codes.NOT_FOUND else _read(answer)

    def token_of(self, namespace: str, account: str) -> str:
        """What a pod of that ServiceAccount would hold."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
        token: str = self.create(path, {"spec": {"expirationSeconds": 86400}})["status"]["token"]
        return token


def _read(answer: httpx.Response) -> Json:
    assert answer.is_success, f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text}"
    body: Json = answer.json()
    return body
