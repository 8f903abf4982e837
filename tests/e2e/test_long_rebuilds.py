"""Rebuilds killed at random moments, cut off, doubled, out of room, and among writes and reads by API processes.

`make soak` raises the numbers: REBUILD_EVENTS and REBUILD_KILLS.
"""

import asyncio
import os
import random
import re
import signal
import socket
import time

import asyncpg

from modeltrail.projections.catalogue import INLINE
from support.committing import connected, read_log
from support.database import Database
from support.fold import Fold
from support.long_log import lengthen
from support.rebuild_process import rebuilding

EVENTS = int(os.environ.get("REBUILD_EVENTS", "30000"))
KILLS = int(os.environ.get("REBUILD_KILLS", "3"))
DONE = re.compile(r"as of position (\d+): (\d+) events")
CUT = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'modeltrail rebuild'"


async def differences(database: Database) -> list[str]:
    """In what the tables are not what an independent fold of the log says."""
    async with connected(database) as connection:
        return await Fold(*INLINE).over(await read_log(database)).differences(connection)


async def left_over(connection: asyncpg.Connection) -> int:
    """What a rebuild has made beside the read tables."""
    shadows = "SELECT count(*) FROM pg_tables WHERE schemaname = 'modeltrail_rebuild'"
    counts = "SELECT count(*) FROM row_counts WHERE source LIKE 'modeltrail_rebuild%'"
    return int(await connection.fetchval(f"SELECT ({shadows}) + ({counts})"))


async def test_rebuilds_killed_at_random_moments_end_with_what_the_log_says(
    database: Database, connection: asyncpg.Connection
) -> None:
    moments = random.Random(21)
    total = await lengthen(database, EVENTS)
    async with rebuilding(database, "--all") as whole:
        await whole.reached("true")
        began = time.monotonic()
        assert (await whole.result())[0] == 0
        lasted = time.monotonic() - began
    rows = await connection.fetchval("SELECT count(*) FROM models")

    positions = [0]
    for _ in range(KILLS):
        async with rebuilding(database, "--resume") as run:
            await run.reached("true")
            await asyncio.sleep(moments.uniform(0, lasted))  # the moment is what is random here
            if not run.is_over:
                run.process.kill()
        assert await connection.fetchval("SELECT count(*) FROM models") == rows
        stored = await connection.fetchval("SELECT position FROM projection_rebuild")
        positions = [0] if stored is None else [*positions, stored]
        assert positions == sorted(positions), "one that was stopped went back"
    async with rebuilding(database, "--resume") as last:
        code, out, err = await last.result()

    assert (code, err) == (0, "")
    assert f"as of position {total}" in out
    assert await differences(database) == []
    assert await left_over(connection) == 0


async def test_one_that_lost_its_connection_says_so_and_goes_on_where_it_was(
    database: Database, connection: asyncpg.Connection
) -> None:
    total = await lengthen(database, EVENTS)
    async with rebuilding(database, "--all") as run:
        await run.reached("position > 0")
        run.process.send_signal(signal.SIGSTOP)
        assert await connection.fetchval(CUT) == 2
        run.process.send_signal(signal.SIGCONT)
        code, _, err = await run.result()

    assert (code, err.count("\n")) == (1, 1)
    assert "was lost; the read tables are whole" in err
    async with rebuilding(database, "--resume") as again:
        code, out, err = await again.result()
    assert (code, err) == (0, "")
    found = DONE.search(out)
    assert found is not None
    assert int(found[1]) == total
    assert int(found[2]) < total
    assert await differences(database) == []


async def test_a_second_one_says_who_runs_the_first_which_goes_on(database: Database) -> None:
    await lengthen(database, 1_000)
    async with rebuilding(database, "--all") as first:
        await first.reached("true")
        first.process.send_signal(signal.SIGSTOP)
        for arguments in (["--all"], ["--resume"]):
            async with rebuilding(database, *arguments) as second:
                code, _, err = await second.result()
            assert (code, err.count("\n")) == (1, 1)
            assert f"process {first.process.pid} on {socket.gethostname()} rebuilds models, " in err
        first.process.send_signal(signal.SIGCONT)
        code, _, err = await first.result()

    assert (code, err) == (0, "")
    assert await differences(database) == []
