"""Reads that share a query."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest

from modeltrail.projections.shared_reads import IN_A_ROW, SharedReads


class Database:
    """Answers each query when told to, with the keys in upper case; of `missing` there is nothing."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self._answers: list[asyncio.Future[None]] = []
        self.acquired = 0
        self.is_down = False

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator["Database"]:
        self.acquired += 1
        if self.is_down:
            raise ConnectionRefusedError("nobody there")
        yield self

    async def read(self, keys: list[str]) -> Mapping[str, str]:
        self.asked.append(keys)
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._answers.append(answer)
        await answer
        return {key: key.upper() for key in keys if key != "missing"}

    def answer(self, number: int) -> None:
        self._answers[number].set_result(None)

    def fail(self, number: int) -> None:
        self._answers[number].set_exception(ValueError("no such table"))


@pytest.fixture
def database() -> Database:
    return Database()


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_reads_of_the_same_moment_share_a_query(database: Database) -> None:
    reads = SharedReads(database.acquire, Database.read, largest=8, at_once=1)
    answers = [asyncio.create_task(reads.get(key)) for key in ("a", "b", "a", "missing")]
    await settled()
    database.answer(0)

    assert await asyncio.gather(*answers) == ["A", "B", "A", None]
    assert database.asked == [["a", "b", "missing"]]


async def test_a_read_never_joins_a_query_that_was_sent_before(database: Database) -> None:
    reads = SharedReads(database.acquire, Database.read, largest=8, at_once=1)
    first = asyncio.create_task(reads.get("a"))
    await settled()
    second = asyncio.create_task(reads.get("a"))
    await settled()
    database.answer(0)
    await settled()

    assert (first.done(), second.done()) == (True, False)
    database.answer(1)
    assert await second == "A"
    assert database.asked == [["a"], ["a"]]


async def test_a_slow_query_keeps_few_waiting(database: Database) -> None:
    reads = SharedReads(database.acquire, Database.read, largest=2, at_once=2)
    answers = [asyncio.create_task(reads.get(key)) for key in "abcde"]
    await settled()
    assert database.asked == [["a", "b"], ["c", "d"]]

    database.answer(1)
    await settled()
    assert database.asked[2:] == [["e"]]
    database.answer(2)
    assert await asyncio.gather(*answers[2:]) == ["C", "D", "E"]
    assert not answers[0].done()
    database.answer(0)
    assert await asyncio.gather(*answers[:2]) == ["A", "B"]


async def test_a_failure_reaches_all_who_share_it_and_nobody_else(database: Database) -> None:
    reads = SharedReads(database.acquire, Database.read, largest=2, at_once=1)
    answers = [asyncio.create_task(reads.get(key)) for key in "abc"]
    await settled()
    database.fail(0)
    await settled()
    database.answer(1)

    outcomes = await asyncio.gather(*answers, return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["no such table", "no such table", "C"]
    assert database.acquired == 2  # the connection of the first may be lost


async def test_queries_in_a_row_share_a_connection_for_a_while(database: Database) -> None:
    reads = SharedReads(database.acquire, Database.read, largest=1, at_once=1)
    answers = [asyncio.create_task(reads.get(str(key))) for key in range(IN_A_ROW + 1)]
    for number in range(IN_A_ROW + 1):
        await settled()
        database.answer(number)

    await asyncio.gather(*answers)
    assert database.acquired == 2


async def test_a_database_that_is_down_is_told_to_all_who_wait(database: Database) -> None:
    reads = SharedReads(database.acquire, Database.read, largest=2, at_once=1)
    database.is_down = True

    outcomes = await asyncio.gather(*map(reads.get, "abc"), return_exceptions=True)

    assert [str(outcome) for outcome in outcomes] == ["nobody there"] * 3
    database.is_down = False
    later = asyncio.create_task(reads.get("a"))
    await settled()
    database.answer(0)
    assert await later == "A"


async def test_a_caller_that_goes_away_takes_nobody_with_it(database: Database) -> None:
    reads = SharedReads(database.acquire, Database.read, largest=2, at_once=1)
    gone, stays = (asyncio.create_task(reads.get("a")) for _ in range(2))
    await settled()
    gone.cancel()
    await settled()
    database.answer(0)

    assert await stays == "A"


async def test_a_database_that_hangs_keeps_nobody_waiting_for_ever(database: Database) -> None:
    reads = SharedReads(database.acquire, Database.read, largest=1, at_once=1, answer_seconds=0.01)

    outcomes = await asyncio.gather(*map(reads.get, "abc"), return_exceptions=True)

    assert [str(outcome) for outcome in outcomes] == ["the database does not answer"] * 3
    later = asyncio.create_task(reads.get("d"))
    database.answer(0)
    await settled()
    database.answer(1)
    assert await later == "D"
    assert database.asked == [["a"], ["d"]]  # nobody waited for the others any more
