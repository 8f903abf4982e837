"""Whether to believe a status that may date from before the apply: KServe and we write in the same second."""

import time

from modeltrail.workers.cluster import ObservedService

# By far longer than KServe takes to notice an apply, or its second controller to take over from one that has died (the
# lease of controller-runtime, 15 s). Only what is up, or fails, within a second or two has to wait for it.
SETTLING_SECONDS = 30.0


class Settling:
    """Tells when such a status has stood unchanged for so long that KServe would have replaced it by now."""

    def __init__(self) -> None:
        self._version = ""
        self._since = 0.0

    @property
    def left(self) -> float:
        """Seconds until it is worth asking again; 0 when nothing has to settle."""
        return max(self._since + SETTLING_SECONDS - time.monotonic(), 0.0) if self._version else 0.0

    def has_settled(self, observed: ObservedService) -> bool:
        """To be asked again, with what is seen then, as long as it says no."""
        if observed.resource_version != self._version:
            self._version, self._since = observed.resource_version, time.monotonic()
        return self.left == 0.0
