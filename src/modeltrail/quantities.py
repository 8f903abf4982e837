"""Numbers on the command line: within bounds, and refused in our own words."""

import math

import click

__all__ = ["LARGEST", "Seconds", "WholeNumber"]

LARGEST = 2**63 - 1
"""PostgreSQL's bigint ends here, and so do the log's positions."""


class WholeNumber(click.ParamType):  # type: ignore[type-arg] # older ones are not generic
    """A whole number from `least` to `most`."""

    name = "integer"

    def __init__(self, least: int, most: int = LARGEST) -> None:
        self._least = least
        self._most = most

    def convert(self, value: int | str, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            number = int(value)
        except ValueError:
            number = None
        if number is None or not self._least <= number <= self._most:
            self.fail(f"{value} is not a whole number from {self._least} to {self._most}", param, ctx)
        return number


class Seconds(click.ParamType):  # type: ignore[type-arg] # the same
    """A time span in seconds, parts of them too."""

    name = "seconds"

    def convert(self, value: float | str, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            seconds = float(value)
        except ValueError:
            seconds = math.nan
        if not 0 <= seconds < math.inf:
            self.fail(f"{value} is not a number of seconds, such as 1.5", param, ctx)
        return seconds
