"""Options that several commands share."""

from pathlib import Path

import click

from modeltrail.paths import NamedPath

__all__ = ["data_option", "json_option"]

data_option = click.option(
    "--data", type=NamedPath(path_type=Path), help="Data folder of `modeltrail dev` [default: .modeltrail]."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object, for scripts.")
