"""When a service may be repaired: at once, or, soon after the last time, once a pause is over.

Another tool may undo ours for ever, and each repair is a deployment in the log.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from uuid import UUID

from modeltrail.domain.ids import DeploymentId
from modeltrail.domain.inference_service_facts import Repair
from modeltrail.postgres.ids import new_id
from modeltrail.workers.options import OnDrift
from modeltrail.workers.pauses import sleep

PAUSE_SECONDS = 60.0  # between two repairs of one service


class Repairs:
    """Hands out repairs. While one waits for its turn, the service is left alone."""

    def __init__(
        self, on_drift: OnDrift, group: asyncio.TaskGroup, look_again: Callable[[UUID], Awaitable[None]]
    ) -> None:
        """`look_again` is called at a service's turn, to find out what is wrong by then; `group` has the wait."""
        self._on_drift = on_drift
        self._group = group
        self._look_again = look_again
        self._repaired_at: dict[UUID, float] = {}
        self._waiting: set[UUID] = set()

    def is_waiting(self, service: UUID) -> bool:
        """Whether a repair of the service waits for its turn."""
        return service in self._waiting

    def take(self, service: UUID) -> Repair | None:
        """The repair of what is about to be told; None when there is to be none, or none yet: then it waits."""
        if self._on_drift is OnDrift.REPORT or service in self._waiting:
            return None
        pause = self._repaired_at.get(service, -math.inf) + PAUSE_SECONDS - time.monotonic()
        if pause > 0:
            self._waiting.add(service)
            self._group.create_task(self._wait(pause, service), name=f"repair {service}")
            return None
        self._repaired_at[service] = time.monotonic()
        return Repair(DeploymentId(new_id()))

    async def _wait(self, pause: float, service: UUID) -> None:
        try:
            await sleep(pause)
        finally:
            self._waiting.discard(service)
        await self._look_again(service)
