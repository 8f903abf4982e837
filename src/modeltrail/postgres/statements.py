"""SQL statements by name, from the `.sql` file beside the module that uses them.

A statement begins with a line `-- name: get_something` and goes on to the next such line.
"""

import re
from importlib.resources import files

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


class Statements:
    """The statements of one file, as attributes."""

    def __init__(self, package: str, file: str) -> None:
        """Read `file` from `package` once. Raises FileNotFoundError when it is not there."""
        text = (files(package) / file).read_text(encoding="utf-8")
        parts = _NAME.split(text)[1:]
        self._source = f"{package}/{file}"
        self._statements = {name: sql.strip() for name, sql in zip(parts[::2], parts[1::2], strict=True)}

    def __getattr__(self, name: str) -> str:
        try:
            return self._statements[name]
        except KeyError:
            raise AttributeError(f"no statement {name!r} in {self._source}") from None
