"""Reads that wait together share a query: a round trip costs more than a row."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Generic, TypeVar

from modeltrail.postgres.connect import ANSWER_SECONDS

C = TypeVar("C")
K = TypeVar("K")
V = TypeVar("V")
Callers = dict[K, list[asyncio.Future[V | None]]]

# Queries over one connection: to take one from a pool costs as much as a query, and others wait for one, too.
IN_A_ROW = 16


class SharedReads(Generic[C, K, V]):
    """Reads of one kind. `largest` keys per query, so that a slow one keeps few waiting; `at_once` queries under way.

    `acquire` gives a connection for some queries in a row. A read never joins a query that was sent before it was asked
    for: it sees every write answered before it.
    """

    def __init__(
        self,
        acquire: Callable[[], AbstractAsyncContextManager[C]],
        read: Callable[[C, list[K]], Awaitable[Mapping[K, V]]],
        *,
        largest: int,
        at_once: int,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self._acquire = acquire
        self._read = read
        self._largest = largest
        self._at_once = at_once
        self._answer_seconds = answer_seconds
        self._waiting: dict[K, list[asyncio.Future[V | None]]] = {}
        self._running: set[asyncio.Task[None]] = set()

    async def get(self, key: K) -> V | None:
        """What is read at `key`, or None when there is nothing.

        Raises what the query raised, and TimeoutError when those ahead of it, or it, take too long.
        """
        loop = asyncio.get_running_loop()
        # A future for each caller: one that goes away must not cancel the answer of those who wait with it.
        answer: asyncio.Future[V | None] = loop.create_future()
        self._waiting.setdefault(key, []).append(answer)
        if len(self._running) < self._at_once:
            self._running.add(asyncio.create_task(self._run()))
        giving_up = loop.call_later(self._answer_seconds, _give_up, answer)
        try:
            return await answer
        finally:
            giving_up.cancel()

    async def _run(self) -> None:
        try:
            while self._waiting:
                await self._read_in_a_row()
        finally:
            task = asyncio.current_task()
            if task is not None:
                self._running.discard(task)

    async def _read_in_a_row(self) -> None:
        """Answer those who wait, with some queries over one connection. One that fails is the last: it may be lost."""
        callers: Callers[K, V] = {}
        try:
            async with self._acquire() as connection:
                for _ in range(IN_A_ROW):
                    callers = self._next_callers()
                    if not callers:
                        return
                    _tell(callers, await self._read(connection, list(callers)))
                    callers = {}
        except Exception as error:  # noqa: BLE001 - whatever it was, each of those who wait is told
            for answers in (callers or self._next_callers()).values():
                for answer in answers:
                    if not answer.done():
                        answer.set_exception(error)

    def _next_callers(self) -> Callers[K, V]:
        callers: Callers[K, V] = {}
        while self._waiting and len(callers) < self._largest:
            key = next(iter(self._waiting))
            answers = self._waiting.pop(key)
            if not all(answer.done() for answer in answers):  # else nobody waits for it any more
                callers[key] = answers
        return callers


def _give_up(answer: asyncio.Future[Any]) -> None:  # Any: whatever was to be read
    if not answer.done():
        answer.set_exception(TimeoutError("the database does not answer"))


def _tell(callers: Callers[K, V], found: Mapping[K, V]) -> None:
    for key, answers in callers.items():
        value = found.get(key)
        for answer in answers:
            if not answer.done():
                answer.set_result(value)
