"""Projections that follow the log by themselves take every event once, whatever happens to who runs them."""

# asyncpg's functions carry no annotations.
# mypy: allow-untyped-calls

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest
from structlog.testing import capture_logs

from modeltrail.eventlog.keys import KeyRing
from modeltrail.projections.activity import ACTIVITY
from modeltrail.projections.catalogue import ASYNC
from modeltrail.projections.checkpoint import BATCH, Checkpoint, OtherVersionError, read_reach
from modeltrail.projections.comparison import verify_tables
from modeltrail.projections.projection_status import ProjectionStatus, list_statuses
from modeltrail.simulated_cluster import SimulatedCluster
from modeltrail.workers import wakeups
from modeltrail.workers.projection_runner import ProjectionRunner
from support.cluster import eventually
from support.command_line import KEY, environment_of, modeltrail
from support.committing import connect_to, connected
from support.database import Database
from support.fold import differences
from support.following import bring_forward, wait_until_level
from support.registry import Registry
from support.worker_process import WorkerProcess

DAMAGE = """UPDATE activity SET body = replace(body::text, '"events":', '"events":1')::json"""
RING = KeyRing([KEY])
NAMES = [projection.name for projection in ASYNC]
SESSIONS = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = $1"
OWNERS = """
SELECT count(DISTINCT l.pid) FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)
WHERE l.locktype = 'advisory' AND l.granted AND a.application_name = 'modeltrail projections'
  AND a.datname = current_database()
"""
SLOW = """
CREATE FUNCTION be_slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.1); RETURN NULL; END';
CREATE TRIGGER be_slow AFTER INSERT ON activity FOR EACH STATEMENT EXECUTE FUNCTION be_slow()
"""
REFUSING = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''the disk is full''; END';
CREATE TRIGGER refuse BEFORE UPDATE ON projections FOR EACH ROW
WHEN (NEW.name = 'activity' AND NEW.position > 5) EXECUTE FUNCTION refuse()
"""


def runner(database: Database) -> ProjectionRunner:
    return ProjectionRunner(connect_to(database), ASYNC)


async def write(world: Registry, services: int) -> None:
    """Six events for each service."""
    await asyncio.gather(*(world.deploy() for _ in range(services)))


async def status_of(database: Database, name: str = "activity") -> ProjectionStatus:
    """How one stands."""
    async with connected(database) as connection:
        return next(each for each in await list_statuses(connection) if each.name == name)


@asynccontextmanager
async def worker(database: Database) -> AsyncIterator[asyncio.subprocess.Process]:
    """`modeltrail worker` where no cluster is configured, killed at the end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "modeltrail", "worker", env=environment_of(database) | {"KSERVE_ENABLED": "false"},
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_it_catches_up_after_it_was_stopped(world: Registry, database: Database) -> None:
    async with runner(database).running():
        await write(world, 3)
        await wait_until_level(database)
    await write(world, BATCH // 4)
    async with connected(database) as connection:
        reach = await read_reach(connection, ACTIVITY)
    assert reach.behind > BATCH

    async with runner(database).running():
        await wait_until_level(database)

    assert await differences(database, *ASYNC) == []


async def test_it_is_told_of_news_and_does_not_wait_for_its_timer(
    world: Registry, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wakeups, "POLL_SECONDS", 3600.0)
    async with runner(database).running():
        for _ in range(3):
            await write(world, 1)
            await wait_until_level(database)

    assert await differences(database, *ASYNC) == []


async def test_it_finds_out_by_itself_what_it_was_not_told(world: Registry, database: Database) -> None:
    await write(world, 1)
    async with runner(database).running(), connected(database) as connection:
        await wait_until_level(database)
        async with connection.transaction():
            for name in NAMES:
                await connection.execute(f"DELETE FROM {name}")
            await connection.execute("UPDATE projections SET position = 0 WHERE name = ANY($1)", NAMES)
        await wait_until_level(database)

    assert await differences(database, *ASYNC) == []


async def test_a_worker_that_is_killed_between_batches_takes_no_event_twice(
    world: Registry, database: Database
) -> None:
    await write(world, BATCH)
    async with connected(database) as connection:
        await connection.execute(SLOW)
        before = 0
        for _ in range(4):
            async with worker(database):

                async def moved(before: int = before) -> int | None:
                    position = (await read_reach(connection, ACTIVITY)).position
                    return position if position > before else None

                before = await eventually(moved, within=30)
        assert (await read_reach(connection, ACTIVITY)).behind > 0
        await connection.execute("DROP TRIGGER be_slow ON activity")

    async with worker(database):
        await wait_until_level(database, within=30)

    assert await differences(database, *ASYNC) == []


async def test_a_worker_that_drives_a_cluster_keeps_them_up_meanwhile(
    world: Registry, database: Database, cluster: SimulatedCluster, tmp_path: Path
) -> None:
    async with WorkerProcess(database, cluster, tmp_path).running():
        await write(world, 2)

        async def both_live() -> bool:
            await wait_until_level(database)
            async with connected(database) as connection:
                live: str | None = await connection.fetchval("SELECT body->>'deployments_live' FROM activity")
            return live == "2"

        await eventually(both_live, within=20)

    assert await differences(database, *ASYNC) == []


async def test_rows_without_their_checkpoint_are_undone(world: Registry, database: Database) -> None:
    await write(world, 3)
    async with connected(database) as connection:
        await connection.execute(REFUSING)
        async with runner(database).running():

            async def stands_still() -> str | None:
                failure: str | None = await connection.fetchval(
                    "SELECT failure FROM projections WHERE name = 'activity'"
                )
                return failure

            assert (await eventually(stands_still)).startswith("RaiseError")
            stopped = await status_of(database)
            assert (stopped.position, stopped.failed_position) == (5, 6)
            counted = await connection.fetchval("SELECT body->>'events' FROM activity")
            assert counted == "5"
            await connection.execute("DROP TRIGGER refuse ON projections")
            await wait_until_level(database)

    assert await differences(database, *ASYNC) == []
    assert (await status_of(database)).failure is None


async def test_an_event_that_cannot_be_read_is_not_passed_over(world: Registry, database: Database) -> None:
    await write(world, 2)
    async with connected(database) as connection:
        await connection.execute("SET session_replication_role = replica")
        state = await connection.fetchval("SELECT state FROM stored_events WHERE notification_id = 4")
        await connection.execute("UPDATE stored_events SET state = 'nonsense' WHERE notification_id = 4")
        async with runner(database).running():

            async def stands_still() -> bool:
                return (await status_of(database)).failure is not None

            await eventually(stands_still)

        code, out, _ = await modeltrail(database, "projections", "list", "--json")
        shown = {each["name"]: each for each in json.loads(out)}["activity"]
        assert (code, shown["mode"], shown["position"], shown["failed_position"]) == (0, "async", 3, 4)
        assert shown["failure"].startswith("UnreadableEventError in modeltrail.eventlog.codec, line ")
        assert (shown["lag_events"] > 1, shown["lag_seconds"] > 0) == (True, True)
        _, table, _ = await modeltrail(database, "projections", "list")
        assert f"{shown['lag_events']} events, " in table
        assert "stopped before 4: UnreadableEventError" in table

        await connection.execute("UPDATE stored_events SET state = $1 WHERE notification_id = 4", state)
        async with runner(database).running():
            await wait_until_level(database)

    assert await differences(database, *ASYNC) == []


async def test_a_table_that_others_lock_for_long_is_waited_for_and_no_event_is_at_fault(
    world: Registry, database: Database
) -> None:
    async def connect() -> asyncpg.Connection:
        connection = await connect_to(database)()
        await connection.execute("SET lock_timeout = '20ms'")
        return connection

    async with connected(database) as other, ProjectionRunner(connect, ASYNC).running():
        await wait_until_level(database)
        await other.execute("BEGIN; LOCK TABLE activity")
        with capture_logs() as logs:
            await write(world, 1)

            async def gave_up() -> bool:
                return any("LockNotAvailable" in str(line.get("cause")) for line in logs)

            assert await eventually(gave_up)
        failures = await other.fetch("SELECT failure FROM projections WHERE failure IS NOT NULL")
        await other.execute("ROLLBACK")
        await wait_until_level(database)

    assert failures == []


async def test_two_at_once_share_nothing_and_one_takes_over(world: Registry, database: Database) -> None:
    async with connected(database) as connection:

        async def all_connected(sessions: int = 2 * len(ASYNC)) -> bool:
            return len(await connection.fetch(SESSIONS, "modeltrail projections")) == sessions

        async with runner(database).running():
            async with runner(database).running():
                await eventually(all_connected)
                await write(world, 20)
                assert await connection.fetchval(OWNERS) == len(ASYNC)
                await wait_until_level(database)
            await write(world, 20)
            await wait_until_level(database)

    assert await differences(database, *ASYNC) == []


async def test_a_lost_connection_is_made_again(world: Registry, database: Database) -> None:
    async with connected(database) as connection, runner(database).running():
        for _ in range(3):
            await write(world, 5)
            await wait_until_level(database)
            await connection.execute(
                f"SELECT pg_terminate_backend(pid) FROM ({SESSIONS}) AS s", "modeltrail projections"
            )
        await write(world, 5)
        await wait_until_level(database)

    assert await differences(database, *ASYNC) == []


async def test_rows_that_newer_code_made_are_left_alone(world: Registry, database: Database) -> None:
    await write(world, 1)
    async with connected(database) as connection:
        await connection.execute("UPDATE projections SET version = version + 1 WHERE name = 'activity'")

        with pytest.raises(
            OtherVersionError, match="activity was filled by version 2 of its code, and this is version 1"
        ):
            await Checkpoint(connection, ACTIVITY).catch_up()

        assert await connection.fetchval("SELECT count(*) FROM activity") == 0


async def test_verify_compares_as_of_the_checkpoint_and_finds_a_damaged_row(
    world: Registry, database: Database
) -> None:
    await write(world, 2)
    await bring_forward(database)
    async with connected(database) as connection:
        reached = (await read_reach(connection, ACTIVITY)).position
        await write(world, 2)

        compared = await verify_tables(connection, RING, ASYNC, lambda _done, _total: None)
        assert (compared.differences, compared.position) == (0, reached)

        await connection.execute(DAMAGE)
        compared = await verify_tables(connection, RING, ASYNC, lambda _done, _total: None)
    assert [(each.table, each.column) for each in compared.first] == [("activity", "body")]


async def test_verify_finds_a_checkpoint_that_the_log_has_not_reached(world: Registry, database: Database) -> None:
    await write(world, 1)
    await bring_forward(database)
    async with connected(database) as connection:
        await connection.execute("UPDATE projections SET position = position + 1 WHERE name = 'activity'")

        compared = await verify_tables(connection, RING, ASYNC, lambda _done, _total: None)

    assert [(each.table, each.id, each.column) for each in compared.first] == [("projections", "activity", "position")]


async def test_a_rebuild_mends_it_and_leaves_it_at_the_end_of_the_log(world: Registry, database: Database) -> None:
    await write(world, 3)
    await bring_forward(database)
    async with connected(database) as connection:
        await connection.execute(DAMAGE)
        await write(world, 3)

    code, out, _ = await modeltrail(database, "projections", "rebuild", "activity", "--verify", stdin=b"n\n")

    # Both as of the same position: what the table had not taken yet is no difference.
    assert (code, out.count("activity.body of "), out.count("\n1 differences")) == (0, 1, 1)
    code, out, err = await modeltrail(database, "projections", "rebuild", *NAMES)
    assert (code, err) == (0, "")
    after = await status_of(database)
    assert (after.lag_events, after.position) == (0, after.rebuilt_position)
    assert await differences(database, *ASYNC) == []
    await write(world, 1)
    await bring_forward(database)
    assert await differences(database, *ASYNC) == []


async def test_a_rebuild_under_writes_and_beside_the_worker_takes_every_event_once(
    world: Registry, database: Database
) -> None:
    done = asyncio.Event()

    async def keep_writing() -> None:
        while not done.is_set():
            await world.deploy()

    async with runner(database).running():
        writing = asyncio.create_task(keep_writing())
        for _ in range(3):
            assert (await modeltrail(database, "projections", "rebuild", "--all"))[0] == 0
        done.set()
        await writing
        await wait_until_level(database)

    assert await differences(database, *ASYNC) == []


async def test_an_empty_log_has_no_activity(connection: asyncpg.Connection) -> None:
    reach = await read_reach(connection, ACTIVITY)

    assert (reach.position, reach.behind) == (0, 0)
