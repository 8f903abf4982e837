"""Which cluster to talk to."""

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from modeltrail.workers.cluster import ClusterNotConfigured


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """One way to a cluster: a plain `url`, else the pod's own account, else a kubeconfig.

    Without any of the three the usual rules hold: `KUBECONFIG`, else `~/.kube/config`.
    """

    url: str | None = None
    token: str | None = None
    in_cluster: bool = False
    kubeconfig: Path | None = None
    context: str | None = None


def kubeconfig_files(access: Access, environ: Mapping[str, str] = os.environ) -> str:
    """The kubeconfig to read; several are joined as in `KUBECONFIG`.

    Raises `ClusterNotConfigured` when there is none.
    """
    if access.kubeconfig:
        if not access.kubeconfig.is_file():
            is_folder = access.kubeconfig.is_dir()
            raise ClusterNotConfigured(
                f"the kubeconfig {access.kubeconfig} {'is a folder' if is_folder else 'does not exist'};"
                " set KUBERNETES_KUBECONFIG to the file"
            )
        return str(access.kubeconfig)
    usual = environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")
    if not any(Path(part).expanduser().is_file() for part in usual.split(os.pathsep) if part):
        raise ClusterNotConfigured(
            f"no Kubernetes cluster is configured: {usual} does not exist. Set KUBERNETES_KUBECONFIG, or "
            "KUBERNETES_IN_CLUSTER=true inside a cluster, or KSERVE_ENABLED=false"
        )
    return usual
