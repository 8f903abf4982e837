"""How long to wait before the next try.

stamina retries a callable up to a limit; these tries have none, and end when a newer request replaces the task.
"""

import asyncio
import random
from collections.abc import Iterator

FIRST_SECONDS = 0.1
LONGEST_SECONDS = 30.0
FACTOR = 2.0


def pauses(first: float = FIRST_SECONDS, longest: float = LONGEST_SECONDS) -> Iterator[float]:
    """Seconds to wait after each failure: doubling up to `longest`, each with up to a half taken off at random,
    so that those who failed together do not come back together."""
    pause = first
    while True:
        yield pause * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, not a secret
        pause = min(pause * FACTOR, longest)


async def sleep(seconds: float, until: asyncio.Event | None = None) -> None:
    """Wait, at most until `until` is set."""
    if until is None:
        await asyncio.sleep(seconds)
        return
    try:
        async with asyncio.timeout(seconds):
            await until.wait()
    except TimeoutError:
        pass
