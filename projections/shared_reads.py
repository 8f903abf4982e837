"""Reads that wait together share a query: a round trip costs more than a row."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from itertools import islice
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class SharedReads(Generic[K, V]):
    """Reads of one kind. `largest` keys per query, so that a slow one keeps few waiting; `at_once` queries under way.

    A read never joins a query that was sent before it was asked for: it sees every write answered before it.
    """

    def __init__(self, read: Callable[[list[K]], Awaitable[Mapping[K, V]]], *, largest: int, at_once: int) -> None:
        self._read = read
        self._largest = largest
        self._at_once = at_once
        self._waiting: dict[K, list[asyncio.Future[V | None]]] = {}
        self._running: set[asyncio.Task[None]] = set()

    async def get(self, key: K) -> V | None:
        """What is read at `key`, or None when there is nothing. Raises what the query raised."""
        # A future for each caller: one that goes away must not cancel the answer of those who wait with it.
        answer: asyncio.Future[V | None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, []).append(answer)
        if len(self._running) < self._at_once:
            self._running.add(asyncio.create_task(self._run()))
        return await answer

    async def _run(self) -> None:
        try:
            while self._waiting:
                keys = list(islice(self._waiting, self._largest))
                await self._answer({key: self._waiting.pop(key) for key in keys})
        finally:
            task = asyncio.current_task()
            if task is not None:
                self._running.discard(task)

    async def _answer(self, callers: Mapping[K, "list[asyncio.Future[V | None]]"]) -> None:
        try:
            found = await self._read(list(callers))
        except Exception as error:  # noqa: BLE001 - whatever it was, each of those who wait is told
            for answers in callers.values():
                for answer in answers:
                    if not answer.done():
                        answer.set_exception(error)
            return
        for key, answers in callers.items():
            value = found.get(key)
            for answer in answers:
                if not answer.done():
                    answer.set_result(value)
