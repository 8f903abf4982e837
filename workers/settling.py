"""Waiting for KServe's word on an apply, where its status may be of before."""

import time

from modeltrail.workers.cluster import ObservedService

SETTLING_SECONDS = 10.0  # by far longer than KServe takes to notice an apply


class Settling:
    """Tells whether a status that may be of before the apply is of after it: KServe has not replaced it for so long."""

    def __init__(self) -> None:
        self._version = ""
        self._since = 0.0

    def has_settled(self, observed: ObservedService) -> bool:
        """To be asked again and again while it says no."""
        if observed.resource_version != self._version:
            self._version, self._since = observed.resource_version, time.monotonic()
        return time.monotonic() - self._since >= SETTLING_SECONDS
