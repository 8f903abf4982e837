"""Knative Serving's controller and webhook, as released, on a `ControlPlane`.

Its autoscaler and its ingress would need pods that run; `support.knative_stand_ins` has their part.
"""

from pathlib import Path

import httpx

from modeltrail.cli.ports import check_port, free_port
from support.control_plane import HOST, ControlPlane
from support.kserve_programs import manifests_of
from support.manifests import configure, define, read_all

NAMESPACE = "knative-serving"
PROGRESS_SECONDS = 20  # until a revision that is not up has failed; Knative's own are 600
WEBHOOK = "knative-webhook"
CONTROLLER = "knative-controller"
_PROBES_PORT = 8080  # the controller's own, which no setting moves
_HOOKS = "/apis/admissionregistration.k8s.io/v1"
_SETTINGS = {
    "config-deployment": {
        "queue-sidecar-image": "queue-proxy",
        "registries-skipping-tag-resolving": "index.docker.io,nvcr.io,ghcr.io,quay.io",  # no registry is asked
        "progress-deadline": f"{PROGRESS_SECONDS}s",
    },
    "config-domain": {"example.com": ""},
}


def install(plane: ControlPlane, programs: Path) -> None:
    """Return once Services are taken, defaulted and validated. KServe's manager wants that before it starts."""
    check_port(HOST, _PROBES_PORT, remedy="leave out the tests with Knative, which listens there itself")
    serving = manifests_of(programs, "knative.dev/serving") / "core"
    networking = manifests_of(programs, "knative.dev/networking")
    shared = ("certificate", "domain-claim", "ingress", "serverlessservice")
    define(
        plane,
        [
            *(serving / "300-resources").glob("*.yaml"),
            *(networking / f"{each}.yaml" for each in shared),
            manifests_of(programs, "knative.dev/caching") / "image.yaml",
        ],
    )
    plane.create("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    for file in (*(serving / "configmaps").glob("*.yaml"), networking / "config-network.yaml"):
        (settings,) = read_all(file)
        settings["data"] = settings.get("data", {}) | _SETTINGS.get(settings["metadata"]["name"], {})
        configure(plane, NAMESPACE, settings)
    port = free_port(HOST, 0)
    _start(plane, WEBHOOK, "--disable-ha", WEBHOOK_NAME="webhook", WEBHOOK_PORT=str(port))
    _start(plane, CONTROLLER)
    _send_to_webhook(plane, serving / "webhooks", port)
    plane.wait_until(lambda: _takes_services(plane), "Knative takes Services")


def _start(plane: ControlPlane, program: str, *arguments: str, **environment: str) -> None:
    environment |= {
        "KUBECONFIG": str(plane.admin_config),
        "SYSTEM_NAMESPACE": NAMESPACE,
        "POD_NAME": program,
        "PROFILING_PORT": str(free_port(HOST, 0)),
    }
    plane.start(program, *arguments, environment=environment)


def _send_to_webhook(plane: ControlPlane, manifests: Path, port: int) -> None:
    """It is beside the cluster, not in it, but insists on being named as a Service: one that leads out of it."""
    service = {"metadata": {"name": "webhook"}, "spec": {"type": "ExternalName", "externalName": "localhost"}}
    plane.create(f"/api/v1/namespaces/{NAMESPACE}/services", service)
    for file in sorted(manifests.glob("*.yaml")):
        for each in read_all(file):
            if each["kind"] == "Secret":  # which it puts its certificate into
                plane.create(f"/api/v1/namespaces/{NAMESPACE}/secrets", each)
                continue
            for webhook in each["webhooks"]:
                webhook["clientConfig"]["service"]["port"] = port
            plane.create(f"{_HOOKS}/{each['kind'].lower()}s", each)


def _takes_services(plane: ControlPlane) -> bool:
    service = {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {"name": "example"},
        "spec": {"template": {"spec": {"containers": [{"image": "ghcr.io/example"}]}}},
    }
    path = "/apis/serving.knative.dev/v1/namespaces/default/services"
    answer = plane.api.post(path, params={"dryRun": "All"}, json=service)
    return answer.status_code == httpx.codes.CREATED and "traffic" in answer.json()["spec"]
