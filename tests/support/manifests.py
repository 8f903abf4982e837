"""The manifests that come with what is put on a `ControlPlane`."""

from collections.abc import Iterable
from pathlib import Path

import yaml

from support.control_plane import ControlPlane, Json

_DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def read_all(file: Path) -> list[Json]:
    return [each for each in yaml.safe_load_all(file.read_text()) if each]


def define(plane: ControlPlane, files: Iterable[Path]) -> None:
    """Return once all kinds are served; the first of each file is the definition of one."""
    for file in files:
        definition = read_all(file)[0]
        plane.apply(f"{_DEFINITIONS}/{definition['metadata']['name']}", definition)
    plane.wait_until(lambda: _are_served(plane), "the kinds are served")


def _are_served(plane: ControlPlane) -> bool:
    conditions = [each.get("status", {}).get("conditions") or [] for each in plane.get(_DEFINITIONS)["items"]]
    established = {"type": "Established", "status": "True"}
    return all(any(established.items() <= said.items() for said in each) for each in conditions)


def configure(plane: ControlPlane, namespace: str, settings: Json) -> None:
    """Create a ConfigMap as it comes, in that namespace and without its examples."""
    settings["metadata"]["namespace"] = namespace
    settings.get("data", {}).pop("_example", None)
    plane.create(f"/api/v1/namespaces/{namespace}/configmaps", settings)
