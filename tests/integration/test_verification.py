"""Whatever somebody with SQL access does to the log, its verification finds, and where."""

import json
from collections.abc import AsyncIterator

import asyncpg
import pytest

from modeltrail.eventlog.verification import Fault, verify_log
from support.command_line import modeltrail
from support.committing import connected
from support.database import Database
from support.registry import registry

FORGER = "SET session_replication_role = replica"  # a superuser's way past the trigger
SWAP = """UPDATE stored_events SET notification_id = -notification_id WHERE notification_id IN ({a}, {b});
UPDATE stored_events SET notification_id = CASE notification_id WHEN -{a} THEN {b} ELSE {a} END
WHERE notification_id < 0"""
COPY_OF = """INSERT INTO stored_events SELECT gen_random_uuid(), 1, topic, state, {at}, project_id, recorded_at,
actor, request_id, gen_random_uuid(), causation_id, {hash} FROM stored_events WHERE notification_id = 4"""
SHIFT = """UPDATE stored_events SET notification_id = -notification_id WHERE notification_id >= {at};
UPDATE stored_events SET notification_id = {by} - notification_id WHERE notification_id < 0"""


def quiet(_done: int, _total: int) -> None: ...


@pytest.fixture
async def forger(database: Database) -> AsyncIterator[asyncpg.Connection]:
    """A connection to a log of eight events, past the trigger that refuses changes."""
    async with registry(database) as world:
        for _ in range(2):
            await world.deploy()
    async with connected(database) as connection:
        await connection.execute(FORGER)
        yield connection


async def last(connection: asyncpg.Connection) -> int:
    position: int = await connection.fetchval("SELECT max(notification_id) FROM stored_events")
    return position


async def test_a_log_that_nobody_touched_is_whole(forger: asyncpg.Connection) -> None:
    verified = await verify_log(forger, quiet)

    assert (verified.position, verified.finding) == (await last(forger), None)
    assert verified.hash == await forger.fetchval("SELECT hash FROM stored_events ORDER BY notification_id DESC")


async def test_an_empty_log_is_whole(connection: asyncpg.Connection) -> None:
    assert (await verify_log(connection, quiet)).finding is None


@pytest.mark.parametrize("position", [1, 5, 8])
@pytest.mark.parametrize(
    "change",
    [
        "originator_id = gen_random_uuid()",
        "originator_version = originator_version + 100",
        "topic = 'registered_model.archived'",
        "topic = topic || 'é'",
        "state = state || ' '",
        "project_id = gen_random_uuid()",
        "recorded_at = recorded_at + interval '1 microsecond'",
        "recorded_at = 'infinity'",
        "recorded_at = '-infinity'",
        "recorded_at = '4000-01-01 BC'",
        "recorded_at = '20000-01-01'",
        """actor = '{"system":"somebody else"}'""",
        "request_id = ''",
        "command_id = gen_random_uuid()",
        "causation_id = 1",
        "causation_id = -1",
        "causation_id = -7",
        "hash = ''",
        "hash = set_byte(hash, 31, get_byte(hash, 31) # 1)",
        "hash = hash || hash",
    ],
)
async def test_an_altered_column_is_found(forger: asyncpg.Connection, change: str, position: int) -> None:
    await forger.execute(f"UPDATE stored_events SET {change} WHERE notification_id = {position}")

    finding = (await verify_log(forger, quiet)).finding

    assert finding is not None
    assert (finding.position, finding.fault) == (position, Fault.ALTERED)


@pytest.mark.parametrize("position", [1, 2, 7])
async def test_a_removed_event_is_found(forger: asyncpg.Connection, position: int) -> None:
    await forger.execute("DELETE FROM stored_events WHERE notification_id = $1", position)

    finding = (await verify_log(forger, quiet)).finding

    assert finding is not None
    assert (finding.position, finding.fault) == (position, Fault.REMOVED)


async def test_a_removed_event_is_found_when_those_behind_it_move_up(forger: asyncpg.Connection) -> None:
    await forger.execute("DELETE FROM stored_events WHERE notification_id = 3")
    await forger.execute(SHIFT.format(at=4, by=-1))

    finding = (await verify_log(forger, quiet)).finding

    assert finding is not None
    assert finding.position == 3


@pytest.mark.parametrize(("one", "other"), [(1, 2), (3, 6), (7, 8)])
async def test_swapped_events_are_found(forger: asyncpg.Connection, one: int, other: int) -> None:
    await forger.execute(SWAP.format(a=one, b=other))

    finding = (await verify_log(forger, quiet)).finding

    assert finding is not None
    assert (finding.position, finding.fault) == (one, Fault.REORDERED)


async def test_an_event_between_two_others_is_found(forger: asyncpg.Connection) -> None:
    await forger.execute(SHIFT.format(at=6, by=1))
    await forger.execute(COPY_OF.format(at=6, hash="hash"))

    finding = (await verify_log(forger, quiet)).finding

    assert finding is not None
    assert (finding.position, finding.fault) == (6, Fault.INSERTED)


@pytest.mark.parametrize("position", [0, -5, -(2**63)])
async def test_an_event_before_the_first_is_found(forger: asyncpg.Connection, position: int) -> None:
    await forger.execute(COPY_OF.format(at=position, hash="hash"))

    finding = (await verify_log(forger, quiet)).finding

    assert finding is not None
    assert (finding.position, finding.fault) == (position, Fault.INSERTED)


@pytest.mark.parametrize("position", [1, 4, 8])
async def test_a_second_event_at_a_position_is_found(
    forger: asyncpg.Connection, position: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modeltrail.eventlog.verification.ROWS_A_COPY", 4)
    await forger.execute("DROP INDEX stored_events_notification_id_idx")
    await forger.execute(COPY_OF.format(at=position, hash="''"))

    finding = (await verify_log(forger, quiet)).finding

    assert finding is not None
    assert finding.position == position


async def test_an_event_behind_the_last_is_found(forger: asyncpg.Connection) -> None:
    end = await last(forger) + 1
    await forger.execute(COPY_OF.format(at=end, hash="''"))

    finding = (await verify_log(forger, quiet)).finding

    assert finding is not None
    assert finding.position == end


async def test_every_event_is_checked_wherever_the_rows_are_cut(
    forger: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modeltrail.eventlog.verification.ROWS_A_COPY", 2)
    end = await last(forger)
    assert (await verify_log(forger, quiet)).position == end
    found = []
    for position in range(1, end + 1):
        undone = forger.transaction()
        await undone.start()
        await forger.execute("UPDATE stored_events SET request_id = 'x' WHERE notification_id = $1", position)
        finding = (await verify_log(forger, quiet)).finding
        await undone.rollback()
        found.append(finding and finding.position)

    assert found == list(range(1, end + 1))


async def test_the_command_says_where_and_exits_with_one(forger: asyncpg.Connection, database: Database) -> None:
    code, out, err = await modeltrail(database, "events", "verify")
    assert (code, err) == (0, "")
    assert out.startswith(f"the log is whole: {await last(forger)} events")
    await forger.execute("DELETE FROM stored_events WHERE notification_id = 4")

    code, out, err = await modeltrail(database, "events", "verify")
    assert (code, err) == (1, "")
    assert "at position 4 was removed" in out
    code, out, _ = await modeltrail(database, "events", "verify", "--json")
    result = json.loads(out)
    assert (code, result["verified"], result["last_good_position"]) == (1, False, 3)
    assert (result["finding"]["position"], result["finding"]["fault"]) == (4, "removed")
