"""Seals: what the chain alone cannot tell, because whoever may write the table may also compute hashes."""

import json
import stat
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from modeltrail.eventlog.verification import link_of
from support.command_line import modeltrail
from support.committing import connected, read_rows
from support.database import Database
from support.registry import registry


@pytest.fixture
async def seal(database: Database, tmp_path: Path) -> Path:
    """The seal of a log of six events, which has grown by some since."""
    async with registry(database) as world:
        await world.deploy()
        code, public, err = await modeltrail(database, "events", "new-seal-key", str(tmp_path / "key"))
        assert (code, err) == (0, "")
        code, out, err = await modeltrail(database, "events", "seal", "--key", str(tmp_path / "key"))
        assert (code, err) == (0, "")
        await world.deploy()
    file = tmp_path / "seal"
    file.write_text(out)
    (tmp_path / "public").write_text(public.strip())
    return file


def contents(seal: Path) -> dict[str, Any]:  # Any: JSON
    read: dict[str, Any] = json.loads(seal.read_text())
    return read


def rewrite(seal: Path, changed: dict[str, Any]) -> None:  # Any: JSON
    seal.write_text(json.dumps(changed))


async def verify(database: Database, seal: Path) -> tuple[int, dict[str, Any]]:  # Any: JSON
    code, out, err = await modeltrail(database, "events", "verify", "--seal", str(seal), "--json")
    assert err == ""
    result: dict[str, Any] = json.loads(out)
    return code, result


async def forge(connection: asyncpg.Connection, database: Database, position: int) -> None:
    """Change an event and give all after it the hashes that they must have then."""
    await connection.execute("SET session_replication_role = replica")
    await connection.execute("UPDATE stored_events SET request_id = 'forged' WHERE notification_id = $1", position)
    rows = await read_rows(database)
    previous = bytes(32)
    for row in rows:
        previous = link_of(row, previous, row["notification_id"])
        await connection.execute(
            "UPDATE stored_events SET hash = $2 WHERE notification_id = $1", row["notification_id"], previous
        )


async def test_a_log_that_only_grew_keeps_to_its_seal(database: Database, seal: Path) -> None:
    public = (seal.parent / "public").read_text()
    code, out, _ = await modeltrail(database, "events", "verify", "--seal", str(seal), "--public-key", public)

    assert (code, "it keeps to 1 seal" in out) == (0, True)


async def test_a_log_that_was_cut_off_is_found_out(database: Database, seal: Path) -> None:
    sealed = contents(seal)["position"]
    async with connected(database) as connection:
        await connection.execute("SET session_replication_role = replica")
        await connection.execute("DELETE FROM stored_events WHERE notification_id >= $1", sealed)
    assert (await modeltrail(database, "events", "verify"))[0] == 0

    code, result = await verify(database, seal)

    assert code == 1
    assert result["finding"]["position"] == sealed
    assert result["finding"]["fault"] == "removed"


async def test_a_log_that_was_forged_anew_is_found_out(database: Database, seal: Path) -> None:
    sealed = contents(seal)["position"]
    async with connected(database) as connection:
        await forge(connection, database, 2)
    assert (await modeltrail(database, "events", "verify"))[0] == 0

    code, result = await verify(database, seal)

    assert code == 1
    assert result["finding"]["position"] == sealed
    assert result["finding"]["fault"] == "rewritten"


async def test_a_changed_log_is_not_sealed(database: Database, seal: Path) -> None:
    async with connected(database) as connection:
        await connection.execute("SET session_replication_role = replica")
        await connection.execute("UPDATE stored_events SET request_id = 'forged' WHERE notification_id = 3")

    code, out, err = await modeltrail(database, "events", "seal", "--key", str(seal.parent / "key"))

    assert (code, out, "position 3 was altered" in err) == (1, "", True)


@pytest.mark.parametrize("change", [("position", 2), ("hash", "00" * 32), ("sealed_at", "2020-01-01T00:00:00Z")])
async def test_a_changed_seal_is_refused(database: Database, seal: Path, change: tuple[str, object]) -> None:
    rewrite(seal, contents(seal) | dict([change]))

    code, _, err = await modeltrail(database, "events", "verify", "--seal", str(seal))

    assert (code, "does not fit" in err) == (1, True)


@pytest.mark.parametrize("change", [("position", -5), ("position", 2**63), ("hash", "zz"), ("hash", "ff" * 31)])
async def test_what_no_log_can_end_with_is_not_a_seal_whoever_signed_it(
    database: Database, seal: Path, change: tuple[str, object]
) -> None:
    rewrite(seal, contents(seal) | dict([change]))

    code, _, err = await modeltrail(database, "events", "verify", "--seal", str(seal))

    assert code == 1
    assert f"{seal.name}' is not a seal: " in err
    assert f"$.{change[0]}" in err


async def test_a_seal_of_somebody_else_is_refused(database: Database, seal: Path) -> None:
    _, other, _ = await modeltrail(database, "events", "new-seal-key", str(seal.parent / "other"))
    code, _, err = await modeltrail(database, "events", "verify", "--seal", str(seal), "--public-key", other.strip())

    assert (code, "another key" in err) == (1, True)


async def test_a_key_that_is_none_is_not_blamed_on_the_seal(database: Database, seal: Path) -> None:
    for key in ("b3RoZXI=", "%", ""):
        code, out, err = await modeltrail(database, "events", "verify", "--seal", str(seal), "--public-key", key)
        assert (code, out) == (2, "")
        assert f"--public-key is {key!r}, which is not an Ed25519 public key in base64" in err


async def test_a_key_without_a_seal_is_not_ignored(database: Database) -> None:
    code, out, err = await modeltrail(database, "events", "verify", "--public-key", "b3RoZXI=")

    assert (code, out, "--public-key goes with --seal" in err) == (2, "", True)


@pytest.mark.parametrize(
    "arguments",
    [("verify", "--seal", "{}"), ("seal", "--key", "{}"), ("public-key", "--key", "{}"), ("new-seal-key", "{}")],
)
async def test_a_file_that_is_not_there_is_a_wrong_command_line(
    database: Database, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    file = str(tmp_path / "nowhere" / "file")

    code, out, err = await modeltrail(database, "events", *(each.replace("{}", file) for each in arguments))

    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f"{file!r} cannot be" in err


async def test_a_key_is_private_and_never_overwritten(database: Database, seal: Path) -> None:
    key = seal.parent / "key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    before = key.read_bytes()

    code, _, err = await modeltrail(database, "events", "new-seal-key", str(key))

    assert (code, "exists already" in err, key.read_bytes()) == (2, True, before)
    code, out, _ = await modeltrail(database, "events", "public-key", "--key", str(key))
    assert (code, out.strip()) == (0, (seal.parent / "public").read_text())
    key.chmod(0o644)
    code, _, err = await modeltrail(database, "events", "seal", "--key", str(key))
    assert (code, "chmod 600" in err) == (1, True)
