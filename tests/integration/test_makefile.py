"""`make` on a machine where it was interrupted."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_an_environment_that_ctrl_c_has_left_without_pip_is_made_anew(tmp_path: Path) -> None:
    for name in ("Makefile", "pyproject.toml", "uv.lock"):
        shutil.copy(ROOT / name, tmp_path)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / ".venv"], check=True)

    # Without an index nothing more can be installed, so that is where it ends.
    made = subprocess.run(
        ["make", f"PYTHON={sys.executable}", ".venv/.ready"],
        cwd=tmp_path,
        env=os.environ | {"PIP_NO_INDEX": "1"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert "No module named pip" not in made.stderr
    assert "uv" in made.stderr
    subprocess.run([tmp_path / ".venv/bin/python", "-m", "pip", "--version"], check=True, capture_output=True)
