"""Two processes with 16 writers each give 10,000 commands, while a reader follows the log by position."""

# asyncpg's functions carry no annotations.
# mypy: allow-untyped-calls

import asyncio
import os
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

from modeltrail.eventlog.codec import Codec
from modeltrail.eventlog.log import read_after, recorded_from
from modeltrail.projections.catalogue import INLINE
from support.committing import broken_link, connected, read_rows
from support.database import Database
from support.fold import Fold

PROCESSES, COMMANDS = 2, 5_000
SUPPORT = Path(__file__).parents[1] / "support"


@dataclass
class Written:
    """What came of it all: what each caller was told, what the reader saw, and the log and database afterwards."""

    told: dict[UUID, str]
    seen: list[int]
    rows: list[asyncpg.Record]
    database: Database


async def run_writer(database: Database, process: int) -> dict[UUID, str]:
    """What the callers of one process were told, by command id."""
    command = [sys.executable, str(SUPPORT / "writer_process.py"), database.dsn, f"p{process}", str(COMMANDS)]
    environment = {**os.environ, "PYTHONPATH": str(SUPPORT.parent)}
    running = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=environment
    )
    try:
        output, errors = await running.communicate()
    finally:
        if running.returncode is None:
            running.kill()
            await running.wait()
    assert running.returncode == 0, errors.decode()
    lines = (line.split() for line in output.decode().splitlines())
    return {UUID(command_id): outcome for command_id, outcome in lines}


async def follow(database: Database, done: asyncio.Event) -> list[int]:
    """The positions that a reader sees who never looks before the last one it has seen."""
    seen: list[int] = []
    async with connected(database) as connection:
        while True:
            last_look = done.is_set()
            page = await read_after(connection, seen[-1] if seen else 0)
            seen += [row["notification_id"] for row in page]
            if last_look and not page:
                return seen


@pytest.mark.slow
async def test_concurrent_writers_lose_and_double_nothing_and_a_reader_misses_nothing(database: Database) -> None:
    done = asyncio.Event()
    reading = asyncio.ensure_future(follow(database, done))
    async with asyncio.TaskGroup() as group:
        writing = [group.create_task(run_writer(database, process)) for process in range(PROCESSES)]
    done.set()
    first, second = (task.result() for task in writing)
    told = first | second
    written = Written(told, await reading, await read_rows(database), database)

    assert len(told) == PROCESSES * COMMANDS
    took_turns = sum(
        (one["command_id"] in first) != (next_["command_id"] in first) for one, next_ in pairwise(written.rows)
    )
    assert took_turns > 50, "the processes hardly met"
    assert Counter(told.values())["refused"] > 50, "the writers hardly raced for names"
    check_every_acknowledged_command_is_there_once(written)
    check_the_reader_missed_nothing(written)
    check_streams_have_no_hole(written)
    assert broken_link(written.rows) is None
    await check_the_read_tables_are_a_fold_of_the_log(written)


def check_every_acknowledged_command_is_there_once(written: Written) -> None:
    times = defaultdict(set)
    for row in written.rows:
        times[row["command_id"]].add(row["recorded_at"])
    acknowledged = {command for command, outcome in written.told.items() if outcome == "written"}

    assert times.keys() == acknowledged
    # All events of a command have one time, and no other command has the same: written twice, it would have two.
    assert {len(each) for each in times.values()} == {1}
    assert len({(row["originator_id"], row["originator_version"]) for row in written.rows}) == len(written.rows)


def check_the_reader_missed_nothing(written: Written) -> None:
    assert written.seen == list(range(1, len(written.rows) + 1))
    assert [row["notification_id"] for row in written.rows] == written.seen
    times = {row["command_id"]: row["recorded_at"] for row in written.rows}
    assert all(earlier < later for earlier, later in pairwise(times.values()))


def check_streams_have_no_hole(written: Written) -> None:
    versions = defaultdict(list)
    for row in written.rows:
        versions[row["originator_id"]].append(row["originator_version"])

    assert [numbers for numbers in versions.values() if numbers != list(range(1, len(numbers) + 1))] == []


async def check_the_read_tables_are_a_fold_of_the_log(written: Written) -> None:
    codec = Codec()
    fold = Fold(*INLINE).over(recorded_from(row, codec) for row in written.rows)

    async with connected(written.database) as connection:
        assert await fold.differences(connection) == []
