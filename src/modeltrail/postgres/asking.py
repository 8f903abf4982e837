"""Asking another process over the database: NOTIFY there, and NOTIFY back. Nobody may be listening."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
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

    try:
        await connection.add_listener(_answers(channel), take)
        await connection.execute("SELECT pg_notify($1, $2)", channel, f"{token} {question}")
        answer = await answered
        await connection.remove_listener(_answers(channel), take)
    except BaseException:
        connection.terminate()  # rather than UNLISTEN: where it is the database that hangs, that takes long, too
        raise
    return answer


Answer = Callable[[str], Awaitable[str]]
"""Answers a question, in at most some thousand characters."""


class Answering:
    """Answers what is asked on some channels, several questions at a time."""

    def __init__(self, connection: Connection, answers: Mapping[str, Answer]) -> None:
        """`connection` is for this alone; `answers` by channel."""
        self._connection = connection
        self._answers = answers
        self._asked: asyncio.Queue[tuple[str, str] | None] = asyncio.Queue()
        self._telling = asyncio.Lock()

    async def run(self) -> None:
        """Until cancelled. Raises ConnectionError when the connection is lost."""
        self._connection.add_termination_listener(lambda _connection: self._asked.put_nowait(None))
        for channel in self._answers:
            await self._connection.add_listener(channel, self._hear)
        async with asyncio.TaskGroup() as group:
            while (heard := await self._asked.get()) is not None:
                group.create_task(self._tell(*heard), name="answer")
            raise ConnectionError("the connection that listens for questions was lost")

    def _hear(self, _connection: object, _process: object, channel: object, payload: object) -> None:
        self._asked.put_nowait((str(channel), str(payload)))

    async def _tell(self, channel: str, payload: str) -> None:
        token, _, question = payload.partition(" ")
        answer = await self._answers[channel](question)
        async with self._telling:
            await self._connection.execute("SELECT pg_notify($1, $2)", _answers(channel), f"{token} {answer}")


def _answers(channel: str) -> str:
    return f"{channel}_answers"
