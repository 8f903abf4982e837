"""Commands that wait until the committer takes them."""

import asyncio
from collections import deque

from modeltrail.commands.committing.batch import Pending


class Queue:
    """First come, first served."""

    def __init__(self) -> None:
        self._waiting: deque[Pending] = deque()
        self._stirred = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, pending: Pending) -> None:
        """Add a command after the others."""
        self._waiting.append(pending)
        self._stirred.set()

    def take(self, most: int) -> list[Pending]:
        """The first commands, `most` at most. Those whose callers have gone away are left out."""
        taken = [self._waiting.popleft() for _ in range(min(len(self._waiting), most))]
        return [pending for pending in taken if not pending.done.done()]

    def stir(self) -> None:
        """Wake who waits for the queue to change: there is something else to do."""
        self._stirred.set()

    async def stirred(self) -> None:
        """Wait for a command or another reason to look, unless there was one since the last time."""
        await self._stirred.wait()
        self._stirred.clear()
