"""Build a Kubernetes control plane with KServe and Knative from the Go modules that their projects publish.

`python -m support.kserve_programs FOLDER` leaves the programs in FOLDER/bin, and beside it the manifests that they come
with.
It needs Go 1.25 or newer, and no image, cluster or root. KSERVE_VERSION takes another release of KServe.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

KSERVE_VERSION = os.environ.get("KSERVE_VERSION", "v0.20.0")
_KUBERNETES_VERSION = "v1.34.4"


@dataclass(frozen=True)
class Module:
    """A Go module: which release of it, and the programs wanted of it by their packages."""

    path: str
    version: str
    programs: dict[str, str] = field(default_factory=dict)
    staged: str = ""  # the version of what the module keeps in its own repository and publishes apart
    kept: str = ""  # a folder of the module that is wanted, too
    variables: dict[str, str] = field(default_factory=dict)  # what the project's own build tells the programs


MODULES = (
    Module("go.etcd.io/etcd/server/v3", "v3.6.16", {"etcd": ""}),
    Module(
        "k8s.io/kubernetes",
        _KUBERNETES_VERSION,
        {each: f"/cmd/{each}" for each in ("kube-apiserver", "kube-controller-manager", "kube-scheduler")},
        staged="v0.34.4",
        variables={"k8s.io/component-base/version.gitVersion": _KUBERNETES_VERSION},  # Knative asks for it
    ),
    Module("sigs.k8s.io/kwok", "v0.7.0", {"kwok": "/cmd/kwok"}, kept="kustomize"),
    Module("github.com/kserve/kserve", KSERVE_VERSION, {f"kserve-{KSERVE_VERSION}": "/cmd/manager"}, kept="config"),
    Module(
        "knative.dev/serving",
        "v0.48.1",
        {f"knative-{each}": f"/cmd/{each}" for each in ("controller", "webhook")},
        kept="config",
    ),
    # The kinds that Knative Serving shares with what else there is of Knative, in the versions that it asks for.
    Module("knative.dev/networking", "v0.0.0-20260120131110-a7cdca238a0d", kept="config"),
    Module("knative.dev/caching", "v0.0.0-20260120130310-f1fc03b7f5ee", kept="config"),
)


def build(folder: Path) -> None:
    """Whatever of `MODULES` is not there yet."""
    for module in MODULES:
        missing = [name for name in module.programs if not (folder / "bin" / name).exists()]
        manifests = _manifests(folder, module)
        if missing or (module.kept and not manifests.exists()):
            source = _downloaded(module)
            if module.kept:
                _copy(source / module.kept, manifests)
            if missing:
                _build(folder, module, source, missing)


def _build(folder: Path, module: Module, source: Path, names: Iterable[str]) -> None:
    workshop = _workshop(folder, module, source)
    told = " ".join(f"-X {name}={value}" for name, value in module.variables.items())
    for name in names:
        print(f"building {name} of {module.path} {module.version}", flush=True)  # noqa: T201 - takes minutes
        package = module.path + module.programs[name]
        _go("build", "-mod=mod", f"-ldflags={told}", "-o", str(folder / "bin" / name), package, cwd=workshop)


def manifests_of(folder: Path, path: str) -> Path:
    """Where the folder that the module of this path comes with is put."""
    return next(_manifests(folder, each) for each in MODULES if each.path == path)


def _manifests(folder: Path, module: Module) -> Path:
    return folder / f"{module.path.rsplit('/', 1)[1]}-{module.version}"


def _copy(source: Path, target: Path) -> None:
    """The files alone: what Go has downloaded is read-only, folders included."""
    for path in source.rglob("*"):
        if path.is_file():
            copied = target / path.relative_to(source)
            copied.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copied)


def _downloaded(module: Module) -> Path:
    found = json.loads(_go("mod", "download", "-json", f"{module.path}@{module.version}", cwd=Path("/")))
    return Path(found["Dir"])


def _workshop(folder: Path, module: Module, source: Path) -> Path:
    """A Go module that depends on `module` and takes the same releases of everything else as it does."""
    workshop = folder / "go" / module.path.replace("/", "-")
    workshop.mkdir(parents=True, exist_ok=True)
    for name in ("go.mod", "go.sum"):
        shutil.copyfile(source / name, workshop / name)
    replaced = json.loads(_go("mod", "edit", "-json", cwd=workshop))["Replace"] or ()
    require = f"-require={module.path}@{module.version}"
    _go("mod", "edit", "-module=workshop", require, *_replacements(replaced, module), cwd=workshop)
    return workshop


def _replacements(replaced: Iterable[Any], module: Module) -> Iterator[str]:  # Any: JSON
    """Arguments that take from the proxy what the module's own repository has in a folder."""
    for each in replaced:
        path = each["Old"]["Path"]
        if each["New"].get("Version") is None:
            yield f"-replace={path}={path}@{module.staged}" if module.staged else f"-dropreplace={path}"


def _go(*arguments: str, cwd: Path) -> str:
    try:
        done = subprocess.run(["go", *arguments], cwd=cwd, check=True, stdout=subprocess.PIPE, text=True)
    except FileNotFoundError:
        sys.exit("building a Kubernetes control plane needs Go 1.25 or newer (https://go.dev/dl/)")
    except subprocess.CalledProcessError as error:
        sys.exit(f"go {' '.join(arguments)} failed in {cwd}: exit code {error.returncode}")
    return done.stdout


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("which folder? python -m support.kserve_programs FOLDER")
    build(Path(sys.argv[1]).absolute())
