"""What people install: the wheel and the source archive hold everything behind the links."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINKED = ("domain", "commands", "projections", "http", "workers", "migrations")

_SHOW_MIGRATIONS = """
import modeltrail
from modeltrail.postgres.migrate import packaged_migrations
print(modeltrail.__file__, *[migration.name for migration in packaged_migrations()])
"""


def _source_files() -> set[str]:
    """Every module and SQL file of the package, as paths below `modeltrail/`."""
    package = ROOT / "src" / "modeltrail"
    folders = [package, *(package / name for name in LINKED)]  # rglob does not follow links
    return {
        str(path.relative_to(package))
        for folder in folders
        for pattern in ("*.py", "*.sql", "py.typed")
        for path in folder.rglob(pattern)
    }


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a source archive, and a wheel that was built from that archive alone."""
    folder = tmp_path_factory.mktemp("dist")
    search_path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    uv = shutil.which("uv", path=search_path)
    assert uv is not None, "uv is missing: `make` installs it"
    # Installing the project left hatchling in uv's cache; only where that was cleared is the network needed.
    for network in (["--offline"], []):
        command = [uv, "build", *network, "--out-dir", str(folder), str(ROOT)]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        if answer.returncode == 0:
            return folder
    raise AssertionError(answer.stderr)


def test_the_wheel_holds_every_module_and_migration(archives: Path) -> None:
    (wheel,) = archives.glob("*.whl")
    with zipfile.ZipFile(wheel) as content:
        packed = {name.removeprefix("modeltrail/") for name in content.namelist() if name.startswith("modeltrail/")}
    assert "py.typed" in packed
    assert _source_files() <= packed
    assert not [name for name in packed if name.endswith(".pyc")]


def test_the_source_archive_holds_every_module_and_migration(archives: Path) -> None:
    (archive,) = archives.glob("*.tar.gz")
    with tarfile.open(archive) as content:
        packed = {name.partition("/src/modeltrail/")[2] for name in content.getnames()}
    assert _source_files() <= packed


def test_an_installed_wheel_finds_its_migrations(archives: Path, tmp_path: Path) -> None:
    (wheel,) = archives.glob("*.whl")
    with zipfile.ZipFile(wheel) as content:
        content.extractall(tmp_path)  # noqa: S202 - our own wheel
    answer = subprocess.run(
        [sys.executable, "-c", _SHOW_MIGRATIONS],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    module, *names = answer.stdout.split()
    assert Path(module).is_relative_to(tmp_path)
    assert names == sorted(path.name for path in (ROOT / "migrations").glob("*.sql"))
