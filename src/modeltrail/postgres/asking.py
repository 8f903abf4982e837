"""Asking another process over the database: NOTIFY there, and NOTIFY back. Nobody may be listening."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import uuid4

from asyncpg import Connection, Pool

AT_ONCE = 4  # questions that wait, each with a connection of the pool


class Asker:
    """Asks, over connections of a pool that has others to serve."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def ask(self, channel: str, question: str, seconds: float) -> str | None:
        """The first answer; None when there is none in time."""
        try:
            async with asyncio.timeout(seconds), self._slots, self._pool.acquire() as connection:
                return await _ask(connection, channel, question)
        except TimeoutError:
            return None


async def _ask(connection: Connection, channel: str, question: str) -> str:
    token = uuid4().hex
    answered: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def take(_connection: object, _process: object, _channel: object, payload: object) -> None:
        asked, _, answer = str(payload).partition(" ")
        if asked == token and not answered.done():
            answered.set_result(answer)

    await connection.add_listener(_answers(channel), take)
    try:
        await connection.execute("SELECT pg_notify($1, $2)", channel, f"{token} {question}")
        return await answered
    finally:
        await connection.remove_listener(_answers(channel), take)


class Answering:
    """Answers what is asked on a channel, several questions at a time."""

    def __init__(self, connection: Connection, channel: str, answer: Callable[[str], Awaitable[str]]) -> None:
        """`connection` is for this alone. An answer has at most some thousand characters."""
        self._connection = connection
        self._channel = channel
        self._answer = answer
        self._asked: asyncio.Queue[str | None] = asyncio.Queue()
        self._telling = asyncio.Lock()

    async def run(self) -> None:
        """Until cancelled. Raises ConnectionError when the connection is lost."""
        self._connection.add_termination_listener(lambda _connection: self._asked.put_nowait(None))
        await self._connection.add_listener(self._channel, lambda *heard: self._asked.put_nowait(str(heard[-1])))
        async with asyncio.TaskGroup() as group:
            while (payload := await self._asked.get()) is not None:
                group.create_task(self._tell(payload), name="answer")
            raise ConnectionError("the connection that listens for questions was lost")

    async def _tell(self, payload: str) -> None:
        token, _, question = payload.partition(" ")
        answer = await self._answer(question)
        async with self._telling:
            await self._connection.execute("SELECT pg_notify($1, $2)", _answers(self._channel), f"{token} {answer}")


def _answers(channel: str) -> str:
    return f"{channel}_answers"
