"""One line of a benchmark's output."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """What was measured, what it is compared with, and the ratio of the two; `wanted` is the ratio aimed at."""

    name: str
    measured: str
    compared_with: str = ""
    ratio: float | None = None
    wanted: float | None = None

    def line(self) -> str:
        """The figure for people."""
        ratio = "" if self.ratio is None else f"{self.ratio:8.2f}x"
        if self.wanted is not None and self.ratio is not None:
            ratio += f"  (aim {self.wanted:g}x: {'reached' if self.ratio >= self.wanted else 'MISSED'})"
        against = f"  against {self.compared_with}" if self.compared_with else ""
        return f"{self.name:34} {self.measured:>24}{against:58} {ratio}".rstrip()
