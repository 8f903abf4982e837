"""Whether to believe a status that may date from before the apply: KServe and we write in the same second."""

import time

from modeltrail.workers.cluster import ObservedService

SETTLING_SECONDS = 10.0  # by far longer than KServe takes to notice an apply


class Settling:
    """Tells when such a status has stood unchanged for so long that KServe would have replaced it by now."""

    def __init__(self) -> None:
        self._version = ""
        self._since = 0.0

    def has_settled(self, observed: ObservedService) -> bool:
        """To be asked again, with what is seen then, as long as it says no."""
        if observed.resource_version != self._version:
            self._version, self._since = observed.resource_version, time.monotonic()
        return time.monotonic() - self._since >= SETTLING_SECONDS
