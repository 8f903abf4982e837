"""Whether it pays to have two batches of a crowd's commands under way instead of one that holds them all.

Two batches overlap deciding and writing, and wait for the disk twice. So it pays where the disk is not what takes
the time. Measured with 32 callers: with a flush of 0.2 ms, half as many commands again a second; with one of 3 ms, a
seventh fewer.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

CROWD = 16  # fewer waiting commands are one batch
LONGEST_WRITE = 3.0  # times the time for deciding: what is above that is time for the disk, rather than for the rows
WEIGHT = 0.1  # of the newest measurement


class Mean:
    """A moving mean of seconds."""

    def __init__(self) -> None:
        self.seconds = 0.0

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Take in how long the block takes, unless it fails."""
        before = time.perf_counter()
        yield
        self.take_in(time.perf_counter() - before)

    def take_in(self, seconds: float) -> None:
        """Move towards the newest measurement, or start there."""
        self.seconds += (seconds - self.seconds) * (WEIGHT if self.seconds else 1)


class Pace:
    """How long deciding and writing take these days."""

    def __init__(self) -> None:
        self.deciding = Mean()
        self.writing = Mean()

    def share(self, waiting: int) -> int:
        """How many of the waiting commands to take when nothing is in flight."""
        two_pay = self.writing.seconds <= self.deciding.seconds * LONGEST_WRITE
        return (waiting + 1) // 2 if waiting >= CROWD and two_pay else waiting
