"""Whether to have two batches of a crowd's commands under way, or one that holds them all.

Two overlap deciding and writing, and wait for the disk twice. Which is faster depends on the disk and on how busy the
machine is, and changes within minutes: measured with 32 callers, two wrote from half as many commands again a second
to a fifth fewer. So both are tried.
"""

from math import inf

CROWD = 16  # fewer waiting commands are one batch
TRIAL = 16  # every so many turns the slower way is tried again
WEIGHT = 0.2  # of the newest turn, in the mean of those before


class Pace:
    """Keeps to the way that was faster lately."""

    def __init__(self) -> None:
        self.halves = True  # two batches under way, of half a crowd each
        self._rates: dict[bool, float] = {}
        self._turns = 0

    def share(self, waiting: int) -> int:
        """How many of the waiting commands to take when nothing is in flight."""
        return (waiting + 1) // 2 if self.halves and waiting >= CROWD else waiting

    def take_in(self, commands: int, seconds: float) -> None:
        """Learn from a turn in which there was always something to do, and choose the way of the next."""
        rate = commands / seconds
        before = self._rates.get(self.halves, rate)
        self._rates[self.halves] = before + (rate - before) * WEIGHT
        self._turns += 1
        faster = max((True, False), key=lambda way: self._rates.get(way, inf))
        self.halves = faster if self._turns % TRIAL else not faster
