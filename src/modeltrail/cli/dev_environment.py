"""How other terminals find what `modeltrail dev` runs: the file `dev.env` in its data folder."""

import os
import shlex
from collections.abc import Mapping
from pathlib import Path

from modeltrail.cli.errors import MISUSED, CommandError
from modeltrail.secret_keys import KEYS_VARIABLE
from modeltrail.settings import DEV_FOLDER_VARIABLE

__all__ = ["DEFAULT_DATA_FOLDER", "read_dev_environment", "with_dev_environment", "write_dev_environment"]

DEFAULT_DATA_FOLDER = Path(".modeltrail")

_FILE_NAME = "dev.env"


def write_dev_environment(folder: Path, variables: Mapping[str, str]) -> None:
    """Leave the variables for other commands, in a form that a shell reads too."""
    draft = folder / f"{_FILE_NAME}.new"
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    draft.write_text("".join(f"{name}={shlex.quote(value)}\n" for name, value in variables.items()), encoding="utf-8")
    draft.replace(folder / _FILE_NAME)


def read_dev_environment(folder: Path) -> dict[str, str]:
    """The variables that `dev` left in its data folder; none when it never ran there."""
    try:
        lines = (folder / _FILE_NAME).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    except NotADirectoryError:
        raise CommandError(
            f"--data is {str(folder)!r}, which is not a folder; name the folder that `modeltrail dev` uses",
            exit_code=MISUSED,
        ) from None
    except OSError as error:
        raise CommandError(
            f"{folder / _FILE_NAME} cannot be read ({error.strerror}); run this as the user who runs `modeltrail dev`"
        ) from error
    pairs = (line.partition("=") for line in lines)
    return {name: "".join(shlex.split(value)) for name, _, value in pairs}


def with_dev_environment(data: Path | None, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment, completed by `dev`'s unless it says itself which database to use.

    A folder that was named must have been one of `dev`; the default one need not be there.
    """
    given = dict(os.environ if environ is None else environ)
    if data is None and any(name.startswith("DATABASE_") for name in given):
        return given
    found = read_dev_environment(data or DEFAULT_DATA_FOLDER)
    if data is not None and not found:
        raise CommandError(
            f"--data is {str(data)!r}, where `modeltrail dev` has never run; name the folder that it uses",
            exit_code=MISUSED,
        )
    if not found:
        return given
    given.pop(KEYS_VARIABLE, None)  # excludes the keys file, which `dev` uses
    return given | found | {DEV_FOLDER_VARIABLE: str(data or DEFAULT_DATA_FOLDER)}
