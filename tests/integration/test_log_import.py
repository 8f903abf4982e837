"""An export imported again: the same log, the same read tables, however often it was broken off."""

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from modeltrail.projections.catalogue import INLINE
from modeltrail.projections.log_import import LogImport
from support.api import Api
from support.cluster import eventually
from support.command_line import environment_of, modeltrail
from support.committing import await_writers, connected, read_rows
from support.database import Database, DatabaseServer
from support.fold import differences

ANN = "ann@example.org"


@pytest.fixture
def other(database_server: DatabaseServer) -> Iterator[Database]:
    """Another database, whose log is empty."""
    database = database_server.create()
    yield database
    database_server.drop(database)


@pytest.fixture
async def exported(api: Api, database: Database, tmp_path: Path) -> Path:
    """The export of a log in which much happens, names that change places included."""
    project = api.project()
    iris, lily = await project.model("iris", owner_email=ANN), await project.model("lily")
    await project.ready_version(iris, is_default=True)
    environment = await project.environment()
    service = await project.deployed(iris, environment)
    await project.confirm(service)
    for model, name in ((iris, "x"), (lily, "iris"), (iris, "lily")):
        assert (await project.patch(f"/models/{model['id']}", {"name": name})).status_code == 200
    await project.patch(f"/serving_environments/{environment['id']}", {"name": "renamed"})
    gone = await project.model("gone")
    await project.patch(f"/models/{gone['id']}", {"state": "ARCHIVED"})
    await project.delete(f"/models/{gone['id']}")
    return await export(database, tmp_path / "log.jsonl")


async def export(database: Database, file: Path) -> Path:
    code, _, err = await modeltrail(database, "events", "export", str(file))
    assert code == 0, err
    return file


def lines_of(file: Path) -> list[bytes]:
    return file.read_bytes().splitlines(keepends=True)


def write(file: Path, *lines: bytes) -> None:
    file.write_bytes(b"".join(lines))


async def tables(database: Database) -> dict[str, list[tuple[Any, ...]]]:  # Any: the values of any column
    async with connected(database) as connection:
        await connection.execute("DELETE FROM row_counts WHERE count = 0")  # of what was there once
        names = [*(projection.name for projection in INLINE), "row_counts"]
        return {
            name: [tuple(row) for row in await connection.fetch(f"SELECT t::text FROM {name} AS t ORDER BY 1")]
            for name in names
        }


async def move_people(database: Database, other: Database) -> None:
    async with connected(database) as source, connected(other) as target:
        for table in ("person_keys", "digest_key"):
            rows = await source.fetch(f"SELECT * FROM {table}")
            await target.copy_records_to_table(table, records=[tuple(row) for row in rows])


async def test_an_imported_log_is_the_same_and_so_are_its_read_tables(
    database: Database, other: Database, exported: Path
) -> None:
    await move_people(database, other)

    code, out, err = await modeltrail(other, "events", "import", str(exported))

    rows = await read_rows(database)
    assert (code, out, err) == (0, "", f"imported {len(rows)} events, after 0 that were there\n")
    assert await read_rows(other) == rows
    assert await tables(other) == await tables(database)
    assert (await modeltrail(other, "events", "verify"))[0] == 0


@pytest.mark.parametrize("batch", [1, 2, 5, 8, 9, 10, 11])
async def test_names_may_change_places_wherever_a_batch_ends(
    database: Database, other: Database, exported: Path, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modeltrail.projections.log_import.BATCH", batch)
    told: list[int] = []
    async with connected(other) as connection:
        imported = await LogImport(connection, INLINE, None).run(lines_of(exported), told.append)

    assert await differences(other, *INLINE) == []
    assert await read_rows(other) == await read_rows(database)
    assert (imported.added, told[-1]) == (len(lines_of(exported)), sum(map(len, lines_of(exported))))


async def test_without_their_keys_people_stay_unreadable(other: Database, exported: Path) -> None:
    assert (await modeltrail(other, "events", "import", str(exported)))[0] == 0

    assert ANN not in str(await tables(other))
    assert await differences(other, *INLINE) == []


async def test_without_a_secret_key_nobody_whose_key_is_there_is_left_out(
    database: Database, other: Database, exported: Path
) -> None:
    await move_people(database, other)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "modeltrail", "events", "import", str(exported),
        env=environment_of(other) | {"MODELTRAIL_SECRET_KEYS": ""}, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip

    _, err = await asyncio.wait_for(process.communicate(), 60)

    assert (process.returncode, b"no secret key is configured" in err) == (2, True), err
    assert await read_rows(other) == []
    assert (await modeltrail(other, "events", "import", str(exported)))[0] == 0
    assert await tables(other) == await tables(database)


async def test_an_import_that_was_killed_goes_on_where_it_was(
    api: Api, database: Database, other: Database, tmp_path: Path
) -> None:
    project = api.project()
    await asyncio.gather(*(project.post("/models", {"name": f"m{number}"}) for number in range(2_500)))
    file = await export(database, tmp_path / "log.jsonl")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "modeltrail", "events", "import", str(file), env=environment_of(other),
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip

    async with connected(other) as connection:

        async def begun() -> bool:
            return bool(await connection.fetchval("SELECT count(*) FROM stored_events"))

        await eventually(begun, 30.0)
    os.kill(process.pid, signal.SIGKILL)
    await process.wait()
    await await_writers(other)
    there = len(await read_rows(other))

    code, _, err = await modeltrail(other, "events", "import", str(file))

    assert (code, err) == (0, f"imported {2_500 - there} events, after {there} that were there\n")
    assert 0 < there < 2_500
    assert await tables(other) == await tables(database)
    assert (await modeltrail(other, "events", "import", str(file)))[2].startswith("imported 0 events")


async def test_what_is_not_the_whole_log_is_refused_with_its_place(
    api: Api, other: Database, exported: Path, tmp_path: Path
) -> None:
    lines = lines_of(exported)
    file = tmp_path / "changed.jsonl"
    for changed, place in (
        (lines[1:], "line 1 does not follow"),
        ([*lines[:3], *lines[4:]], "line 4 does not follow"),
        ([*lines[:3], lines[3].replace(b'"requestid":"', b'"requestid":"x'), *lines[4:]], "line 4 does not follow"),
        ([*lines[:2], b"not json\n"], "line 3 is not an event"),
    ):
        write(file, *changed)
        code, out, err = await modeltrail(other, "events", "import", str(file))
        assert (code, out, place in err, err.count("\n")) == (1, "", True, 1)
    assert len(await read_rows(other)) == 0


async def test_a_log_of_another_history_is_left_alone(api: Api, database: Database, exported: Path) -> None:
    before = await read_rows(database)
    shorter = exported.with_name("shorter")
    write(shorter, *lines_of(exported)[:3])

    code, _, err = await modeltrail(database, "events", "import", str(shorter))
    assert (code, f"holds {len(before)} events, the export only 3" in err) == (1, True)
    async with connected(database) as connection:
        await connection.execute("SET session_replication_role = replica")
        await connection.execute("UPDATE stored_events SET hash = '' WHERE notification_id = $1", len(before))
    code, _, err = await modeltrail(database, "events", "import", str(exported))
    assert (code, "holds another log" in err) == (1, True)
    assert len(await read_rows(database)) == len(before)
    code, _, err = await modeltrail(database, "events", "import", f"/nowhere/{uuid4()}")
    assert (code, "does not exist" in err) == (2, True)
