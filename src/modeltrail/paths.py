"""Paths on the command line."""

import os
from typing import Any

import click

__all__ = ["NamedPath"]


class NamedPath(click.Path):
    """A path that is not empty: pathlib takes an empty one, such as that of an unset variable, for the folder `.`."""

    def convert(self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401 as click's own
        if value == "":
            raise click.UsageError(f"{_name_of(param)} is empty; give a path", ctx)
        return super().convert(value, param, ctx)


def _name_of(param: click.Parameter | None) -> str:
    match param:
        case click.Option():
            return param.opts[0]
        case click.Argument():
            return param.human_readable_name.upper()
        case _:
            return "the path"
