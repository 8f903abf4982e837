"""Whether to have two batches of a crowd's commands under way, or one that holds them all.

Two overlap deciding and writing, and wait for the disk twice. Which is faster depends on the disk and on how busy the
machine is, and changes within minutes: measured with 32 callers, two wrote from half as many commands again a second
to a fifth fewer. So the other way is tried now and then. A trial is compared with the turn before it and with nothing
older, because with fewer callers both ways are slower.
"""

CROWD = 16  # fewer waiting commands are one batch
TRIAL = 32  # every so many turns the other way is tried
WEIGHT = 0.25  # of the newest trial, in the mean of those before: one turn tells little
CLEARLY = 1.1  # times as fast as the usual way the other must be to take its place


class Pace:
    """Keeps to the way that was faster lately."""

    def __init__(self) -> None:
        self.halves = self._usual = True  # two batches under way, of half a crowd each
        self._advantage = 1.0  # how many times as fast the other way was lately
        self._rate = 0.0
        self._turns = 0

    def share(self, waiting: int) -> int:
        """How many of the waiting commands to take when nothing is in flight."""
        return (waiting + 1) // 2 if self.halves and waiting >= CROWD else waiting

    def take_in(self, commands: int, seconds: float) -> None:
        """Learn from a turn in which there was always something to do, and choose the way of the next."""
        rate = commands / seconds
        if self.halves is self._usual:
            self._rate = rate
        else:
            self._judge(rate / self._rate)
        self._turns += 1
        is_trial = self._turns % TRIAL == 0
        self.halves = self._usual is not is_trial

    def _judge(self, advantage: float) -> None:
        self._advantage += (advantage - self._advantage) * WEIGHT
        if self._advantage > CLEARLY:
            self._usual = not self._usual
            self._advantage = 1 / self._advantage
