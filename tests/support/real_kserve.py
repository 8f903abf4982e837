"""KServe's controller and webhooks, as released, on a `ControlPlane`."""

import base64
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx

from modeltrail.cli.ports import free_port
from support.control_plane import HOST, ControlPlane
from support.kserve_programs import KSERVE_VERSION
from support.manifests import configure, define, read_all

NAMESPACE = "kserve"
MANAGER = f"kserve-{KSERVE_VERSION}"
GROUP = "/apis/serving.kserve.io"
_ROLES = Path(__file__).parents[2] / "docs" / "kubernetes.yaml"


def install(plane: ControlPlane, programs: Path) -> None:
    """Return once InferenceServices are taken, defaulted, validated and reconciled."""
    manifests = programs / MANAGER
    define(plane, _definitions(manifests))
    plane.create("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    configure(plane, NAMESPACE, read_all(manifests / "configmap" / "inferenceservice.yaml")[0])
    _start_manager(plane, manifests)
    runtimes = (manifests / "runtimes").glob("kserve-*.yaml")
    for file in (*runtimes, manifests / "storagecontainers" / "default.yaml"):
        for each in read_all(file):
            kind = f"{each['kind'].lower()}s"
            plane.apply(f"{GROUP}/v1alpha1/{kind}/{each['metadata']['name']}", each)


def _definitions(manifests: Path) -> Iterator[Path]:
    yield from sorted((manifests / "crd" / "full").glob("serving.kserve.io_*.yaml"))
    yield from sorted((manifests / "crd" / "full" / "clusterstoragecontainer").glob("serving.kserve.io_*.yaml"))


def _start_manager(plane: ControlPlane, manifests: Path) -> None:
    """Beside the cluster, not in it: its webhooks are named by their URL."""
    hooks, health = free_port(HOST, 0), free_port(HOST, 0)
    certificates = plane.folder / "k8s-webhook-server" / "serving-certs"
    certificates.mkdir(parents=True)
    shutil.copyfile(plane.folder / "server.crt", certificates / "tls.crt")
    shutil.copyfile(plane.folder / "server.key", certificates / "tls.key")
    plane.start(
        MANAGER,
        f"--webhook-port={hooks}",
        f"--metrics-addr={HOST}:{free_port(HOST, 0)}",
        f"--health-probe-addr={HOST}:{health}",
        environment={
            "KUBECONFIG": str(plane.admin_config),
            "POD_NAMESPACE": NAMESPACE,
            "TMPDIR": str(plane.folder),  # where it looks for its certificate
            "HOME": str(plane.folder),
        },
    )

    def is_ready() -> bool:
        try:
            return httpx.get(f"http://{HOST}:{health}/readyz").is_success
        except httpx.TransportError:
            return False

    plane.wait_until(is_ready, "KServe is ready")
    trusted = base64.b64encode(plane.authority.read_bytes()).decode()
    for each in read_all(manifests / "webhook" / "manifests.yaml"):
        for webhook in each["webhooks"]:
            path = webhook["clientConfig"]["service"]["path"]
            webhook["clientConfig"] = {"url": f"https://{HOST}:{hooks}{path}", "caBundle": trusted}
        plane.create(f"/apis/admissionregistration.k8s.io/v1/{each['kind'].lower()}s", each)


def grant_worker(plane: ControlPlane, *key_namespaces: str) -> None:
    """Give the worker an account with the roles of our documentation, and a token of it."""
    plane.create("/api/v1/namespaces", {"metadata": {"name": "modeltrail"}})
    for each in read_all(_ROLES):
        match each["kind"]:
            case "ServiceAccount":
                plane.create("/api/v1/namespaces/modeltrail/serviceaccounts", each)
            case "ClusterRole" | "ClusterRoleBinding":
                plane.create(f"/apis/rbac.authorization.k8s.io/v1/{each['kind'].lower()}s", each)
            case "RoleBinding":
                for namespace in key_namespaces:
                    each["metadata"]["namespace"] = namespace
                    plane.create(f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings", each)
            case _:
                pass  # modeltrail itself runs beside the cluster
    plane.worker_token = plane.token_of("modeltrail", "modeltrail-worker")
