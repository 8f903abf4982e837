"""The layout that keeps the standard library's `http` importable beside a folder of that name."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINKED = ("domain", "commands", "projections", "http", "workers", "migrations")


@pytest.mark.parametrize("name", [*LINKED, "tests"])
def test_root_folders_are_namespace_packages(name: str) -> None:
    assert sorted((ROOT / name).rglob("__init__.py")) == []


@pytest.mark.parametrize("name", LINKED)
def test_each_root_folder_is_linked_into_the_package(name: str) -> None:
    link = ROOT / "src" / "modeltrail" / name
    assert link.is_symlink()
    assert link.readlink() == Path("..", "..", name)
    assert link.is_dir()


def test_http_in_the_root_is_the_standard_library() -> None:
    command = [sys.executable, "-c", "import http, http.client; print(http.client.__file__)"]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert not Path(answer.stdout.strip()).is_relative_to(ROOT)
