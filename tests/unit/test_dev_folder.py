"""The data folder of `modeltrail dev`, and how other terminals find what runs."""

import stat
from pathlib import Path

import pytest

from modeltrail.cli.dev_environment import with_dev_environment, write_dev_environment
from modeltrail.cli.dev_folder import DevFolder
from modeltrail.settings import Settings


@pytest.fixture
def folder(tmp_path: Path) -> DevFolder:
    return DevFolder.take(tmp_path / ".modeltrail", "API on port 8080")


def test_the_key_is_made_once_and_private(folder: DevFolder) -> None:
    file = folder.secret_keys()
    first = file.read_text()

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert folder.secret_keys().read_text() == first
    settings = Settings.from_environment({"MODELTRAIL_SECRET_KEYS_FILE": str(file)})
    assert [key.id for key in settings.secret_keys] == ["dev"]
    assert settings.warnings == ()
    folder.release()


def test_a_folder_that_was_released_was_not_left_behind(folder: DevFolder) -> None:
    assert not folder.was_left_behind
    folder.release()

    again = DevFolder.take(folder.path, "API on port 8080")

    assert not again.was_left_behind
    again.release()


def test_a_folder_whose_owner_was_killed_was_left_behind(folder: DevFolder) -> None:
    folder.release()
    (folder.path / "dev.lock").write_text("process 1, API on port 8080")

    again = DevFolder.take(folder.path, "API on port 8080")

    assert again.was_left_behind
    again.release()


def test_other_commands_find_the_database_of_dev(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".modeltrail").mkdir()
    monkeypatch.chdir(tmp_path)
    left = {"DATABASE_HOST": "/a folder/of 'mine'", "DATABASE_PASSWORD": "", "MODELTRAIL_SECRET_KEYS_FILE": "k"}
    write_dev_environment(tmp_path / ".modeltrail", left)

    assert stat.S_IMODE((tmp_path / ".modeltrail" / "dev.env").stat().st_mode) == 0o600
    default = {"MODELTRAIL_DEV_FOLDER": ".modeltrail"}
    named = {"MODELTRAIL_DEV_FOLDER": str(tmp_path / ".modeltrail")}
    assert with_dev_environment(None, {"LANG": "C", "MODELTRAIL_SECRET_KEYS": "old"}) == {"LANG": "C"} | left | default
    assert with_dev_environment(tmp_path / ".modeltrail", {"DATABASE_HOST": "elsewhere"}) == left | named


def test_a_database_of_the_environment_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".modeltrail").mkdir()
    monkeypatch.chdir(tmp_path)
    write_dev_environment(tmp_path / ".modeltrail", {"DATABASE_HOST": "of dev"})

    assert with_dev_environment(None, {"DATABASE_PORT": "5433"}) == {"DATABASE_PORT": "5433"}
