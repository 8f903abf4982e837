"""Exports: whole or in part, resumed, and verified without a database."""

import json
import re
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from pyarrow import parquet

from modeltrail.composition.records import open_auditor
from modeltrail.eventlog.cloud_event import from_line
from modeltrail.eventlog.parquet_export import export_parquet
from modeltrail.eventlog.selection import Selection
from modeltrail.postgres.connect import WRITER_SETTINGS, writer
from modeltrail.settings import Settings
from support.cluster import eventually
from support.command_line import environment_of, modeltrail
from support.committing import address_of, connected, read_rows
from support.database import Database
from support.registry import Registry, registry


@pytest.fixture
async def world(database: Database) -> Registry:
    async with registry(database) as world:
        for _ in range(2):
            await world.deploy()
        return world


async def export(database: Database, file: Path, *arguments: str) -> list[bytes]:
    code, _, err = await modeltrail(database, "events", "export", str(file), *arguments)
    assert code == 0, err
    return lines(file)


def lines(file: Path) -> list[bytes]:
    return file.read_bytes().splitlines(keepends=True)


def write(file: Path, text: bytes) -> None:
    file.write_bytes(text)


async def test_an_export_holds_every_byte_of_every_row(world: Registry, database: Database, tmp_path: Path) -> None:
    exported = await export(database, tmp_path / "log.jsonl")

    assert [from_line(line) for line in exported] == [dict(row) for row in await read_rows(database)]


async def test_each_line_is_a_cloud_event(world: Registry, database: Database, tmp_path: Path) -> None:
    for line in await export(database, tmp_path / "log.jsonl"):
        event = json.loads(line)
        assert event["specversion"] == "1.0"
        assert event["data"]["type"] == event["type"]
        for name, value in event.items():
            assert name == "data" or isinstance(value, str)
            assert name == "data" or name.isalnum()


async def test_an_export_is_verified_without_a_database(world: Registry, database: Database, tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    exported = await export(database, file)
    await modeltrail(database, "events", "new-seal-key", str(tmp_path / "key"))
    _, seal, _ = await modeltrail(database, "events", "seal", "--key", str(tmp_path / "key"))
    write(tmp_path / "seal", seal.encode())
    assert seal

    def verify(*changed: bytes) -> None:
        write(file, b"".join(changed))

    offline = ("events", "verify", "--export", str(file), "--json", "--seal", str(tmp_path / "seal"))
    for changed, fault in (
        (exported, None),
        ([*exported[:3], exported[3].replace(b'"requestid":"', b'"requestid":"x'), *exported[4:]], (4, "altered")),
        ([*exported[:3], *exported[4:]], (4, "removed")),
        ([*exported[:2], exported[3], exported[2], *exported[4:]], (3, "reordered")),
        (exported[:-1], (len(exported), "removed")),
    ):
        verify(*changed)
        code, out, err = await modeltrail(Database.from_dsn("postgresql://nobody@nowhere.invalid/x"), *offline)
        finding = json.loads(out)["finding"]
        assert (code, err) == (0 if fault is None else 1, "")
        assert (finding and (finding["position"], finding["fault"])) == fault


def spelt(line: bytes, **members: str | None) -> bytes:
    """The line with other members, or without those that are None."""
    event = {**json.loads(line), **members}
    return json.dumps({name: each for name, each in event.items() if each is not None}, separators=(",", ":")).encode()


FORGERIES: dict[str, Callable[[bytes], bytes]] = {
    "another id": lambda line: line.replace(b'"id":"4"', b'"id":"5"'),
    "another source": lambda line: line.replace(b'"source":"urn:modeltrail', b'"source":"urn:elsewhere'),
    "another specversion": lambda line: line.replace(b'"specversion":"1.0"', b'"specversion":"1.1"'),
    "another datacontenttype": lambda line: line.replace(b"application/json", b"text/plain"),
    "one member more": lambda line: line.replace(b'"id":', b'"approvedby":"nobody","id":'),
    "a null": lambda line: line.replace(b'"data":', b'"causationid":null,"data":'),
    "the same member twice": lambda line: line.replace(b'"type":', b'"type":"model_version.archived","type":', 1),
    "a second payload": lambda line: line.replace(b'"data":', b'"data_base64":"e30=","data":'),
    "the payload as base64": lambda line: spelt(
        line, data=None, data_base64=b64encode(line.partition(b'"data":')[2][:-2]).decode()
    ) + b"\n",
    "blanks in a number": lambda line: line.replace(b'"sequence":"4"', b'"sequence":" 4 "'),
    "an underscore in a number": lambda line: line.replace(b'"sequence":"4"', b'"sequence":"0_4"'),
    "digits of another script": lambda line: line.replace(b'"sequence":"4"', '"sequence":"\u0664"'.encode()),
    "more digits of the time": lambda line: line.replace(b'Z","datacontent', b'0004Z","datacontent'),
    "the same time elsewhere": lambda line: line.replace(b'Z","datacontent', b'+00:00","datacontent'),
    "an escaped letter": lambda line: line.replace(b'"type":"s', b'"type":"\\u0073', 1),
    "a hash in capitals": lambda line: re.sub(rb'(?<="hash":")[0-9a-f]+', lambda found: found[0].upper(), line),
    "a blank between members": lambda line: line.replace(b',"time"', b', "time"'),
    "a carriage return": lambda line: line.replace(b"\n", b"\r\n"),
}  # fmt: skip


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
async def test_a_line_that_no_export_writes_is_found_by_verify_and_import(
    world: Registry, database: Database, tmp_path: Path, forge: Callable[[bytes], bytes]
) -> None:
    file = tmp_path / "log.jsonl"
    exported = await export(database, file)
    forged = forge(exported[3])
    assert forged != exported[3]
    write(file, b"".join([*exported[:3], forged, *exported[4:]]))

    code, out, err = await modeltrail(database, "events", "verify", "--export", str(file), "--json")
    assert (code, err) == (1, "")
    assert json.loads(out)["finding"] == {
        "position": 4,
        "fault": "altered",
        "explanation": "line 4 is not as an export writes it",
    }
    code, _, err = await modeltrail(database, "events", "import", str(file))
    assert (code, "line 4 is not as an export writes it" in err) == (1, True)


@pytest.mark.parametrize(("first", "other"), [(1, 2), (2, 4)])
async def test_lines_that_changed_places_are_found(
    world: Registry, database: Database, tmp_path: Path, first: int, other: int
) -> None:
    file = tmp_path / "log.jsonl"
    lines = await export(database, file)
    lines[first - 1], lines[other - 1] = lines[other - 1], lines[first - 1]
    write(file, b"".join(lines))

    code, out, _ = await modeltrail(database, "events", "verify", "--export", str(file), "--json")

    assert (code, json.loads(out)["finding"]) == (
        1,
        {"position": first, "fault": "reordered", "explanation": f"it comes behind the event at {other}"},
    )


async def test_a_cause_that_is_hashed_like_none_is_found(world: Registry, database: Database, tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    exported = await export(database, file)
    write(file, b"".join([exported[0].replace(b'"data":', b'"causationid":"-1","data":'), *exported[1:]]))

    code, out, _ = await modeltrail(database, "events", "verify", "--export", str(file), "--json")

    finding = json.loads(out)["finding"]
    assert (code, finding["position"], finding["fault"]) == (1, 1, "altered")


@pytest.mark.parametrize(
    ("genuine", "forged"),
    [
        (rb'"streamversion":"1"', b'"streamversion":"%d"' % 10**30),
        (rb'Z","datacontenttype"', b'","datacontenttype"'),
        (rb'"time":"[^"]*"', b'"time":"0001-01-01T00:00:00+10:00"'),
        (rb'"data":.*}', b'"data":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    ],
    ids=["version", "zone", "year", "depth"],
)
async def test_what_no_log_could_hold_is_no_event(
    world: Registry, database: Database, tmp_path: Path, genuine: bytes, forged: bytes
) -> None:
    file = tmp_path / "log.jsonl"
    exported = await export(database, file)
    write(file, b"".join([re.sub(genuine, forged, exported[0], count=1), *exported[1:]]))

    code, _, err = await modeltrail(database, "events", "verify", "--export", str(file))

    assert (code, "line 1 is not an event: " in err, err.count("\n")) == (1, True, 1)


async def test_a_filtered_export_is_not_taken_for_a_changed_log_alone(
    world: Registry, database: Database, tmp_path: Path
) -> None:
    await export(database, tmp_path / "part", "--after", "2")

    code, out, _ = await modeltrail(database, "events", "verify", "--export", str(tmp_path / "part"))

    assert (code, "the event at position 1 was removed" in out) == (1, True)
    assert "or the export is filtered, and only a whole one can be verified" in out


async def test_an_interrupted_export_goes_on_where_it_was(world: Registry, database: Database, tmp_path: Path) -> None:
    whole = await export(database, tmp_path / "whole")
    for kept in (0, 1, len(whole[0]) - 1, len(whole[0]), len(whole[0]) + 1, sum(map(len, whole))):
        write(tmp_path / "part", b"".join(whole)[:kept])
        assert await export(database, tmp_path / "part", "--resume") == whole


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
async def test_an_export_goes_on_only_with_the_filters_that_it_was_begun_with(
    world: Registry, database: Database, tmp_path: Path, form: str
) -> None:
    part = str(tmp_path / "part")
    begin = ("events", "export", part, "--format", form)
    assert (await modeltrail(database, *begin, "--type", "registered_model.registered"))[0] == 0
    files = [tmp_path / "part"] if form == "jsonl" else [*(tmp_path / "part").iterdir()]
    before = [file.read_bytes() for file in files]

    code, out, err = await modeltrail(database, *begin, "--resume")

    models = [row["notification_id"] for row in await read_rows(database) if row["topic"].endswith("model.registered")]
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert (
        f"{part!r} holds 2 events, and these filters select {models[-1]} up to its last position, {models[-1]};" in err
    )
    assert [file.read_bytes() for file in files] == before
    code, _, err = await modeltrail(database, *begin, "--resume", "--type", "registered_model.registered")
    assert (code, err) == (0, f"wrote 0 events to {part}\n")


async def test_an_export_goes_to_standard_output(world: Registry, database: Database, tmp_path: Path) -> None:
    whole = await export(database, tmp_path / "whole")

    code, out, err = await modeltrail(database, "events", "export", "-")

    assert (code, out) == (0, b"".join(whole).decode()), err
    assert err == f"wrote {len(whole)} events to standard output\n"
    code, out, err = await modeltrail(database, "events", "export", "-", "--type", "inference_service.deleted")
    assert (code, out, err) == (0, "", "wrote 0 events to standard output\n")
    for arguments in (("--resume",), ("--format", "parquet")):
        code, out, err = await modeltrail(database, "events", "export", "-", *arguments)
        assert (code, out, "standard output takes only whole JSON Lines" in err) == (2, "", True)
    code, _, err = await modeltrail(database, "events", "export", str(tmp_path / "nowhere" / "file"))
    assert (code, "cannot be written (No such file or directory)" in err) == (2, True)


async def test_an_export_overwrites_nothing(world: Registry, database: Database, tmp_path: Path) -> None:
    write(tmp_path / "diary", b"dear diary\n")

    code, _, err = await modeltrail(database, "events", "export", str(tmp_path / "diary"))
    assert (code, "exists" in err) == (2, True)
    code, _, err = await modeltrail(database, "events", "export", str(tmp_path / "diary"), "--resume")
    assert (code, "is not an export to go on with" in err) == (1, True)
    assert lines(tmp_path / "diary") == [b"dear diary\n"]


async def test_filters_choose_what_is_exported(world: Registry, database: Database, tmp_path: Path) -> None:
    rows = await read_rows(database)
    models = [row["originator_id"] for row in rows if row["topic"] == "registered_model.registered"]
    exported = [json.loads(line) for line in await export(database, tmp_path / "1", "--model", str(models[0]))]

    assert [event["type"] for event in exported] == [
        "registered_model.registered",
        "model_version.registered",
        "model_version.marked_ready",
        "inference_service.created",
        "inference_service.deployment_requested",
    ]
    assert UUID(exported[0]["subject"]) == models[0]
    one = rows[2]["recorded_at"].isoformat()
    since = [json.loads(line)["sequence"] for line in await export(database, tmp_path / "2", "--since", one)]
    until = [json.loads(line)["sequence"] for line in await export(database, tmp_path / "3", "--until", one)]
    assert (until, since) == (["1", "2"], [str(number) for number in range(3, len(rows) + 1)])
    assert len(await export(database, tmp_path / "4", "--type", "registered_model.registered")) == 2
    assert len(await export(database, tmp_path / "5", "--request-id", "the-click")) == 4
    assert len(await export(database, tmp_path / "6", "--project", str(world.project))) == len(rows)
    assert await export(database, tmp_path / "7", "--project", str(UUID(int=1))) == []
    code, _, err = await modeltrail(database, "events", "export", str(tmp_path / "8"), "--actor", "ann@example.org")
    assert (code, "never seen" in err) == (1, True)


def read_table(folder: Path) -> list[dict[str, Any]]:  # Any: the values of any column
    rows: list[dict[str, Any]] = parquet.read_table(folder).sort_by("position").to_pylist()
    return rows


async def test_parquet_holds_the_same(world: Registry, database: Database, tmp_path: Path) -> None:
    folder = tmp_path / "log"
    code, out, err = await modeltrail(database, "events", "export", str(folder), "--format", "parquet")

    rows = await read_rows(database)
    assert (code, out, err) == (0, "", f"wrote {len(rows)} events to {folder}\n")
    assert [
        (each["position"], UUID(each["stream"]), each["stream_version"], each["type"], UUID(each["project_id"]),
         each["recorded_at"], each["actor"], each["request_id"], UUID(each["command_id"]), each["causation_id"],
         each["data"].encode(), each["data_bytes"], each["hash"])
        for each in read_table(folder)
    ] == [
        (row["notification_id"], row["originator_id"], row["originator_version"], row["topic"], row["project_id"],
         row["recorded_at"], row["actor"], row["request_id"], row["command_id"], row["causation_id"], row["state"],
         None, row["hash"])
        for row in rows
    ]  # fmt: skip


async def test_an_interrupted_parquet_export_goes_on_behind_its_last_whole_file(
    world: Registry, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modeltrail.eventlog.parquet_export.EVENTS_A_FILE", 3)
    monkeypatch.setattr("modeltrail.eventlog.parquet_export.PAGE", 2)
    rows = await read_rows(database)
    folder = tmp_path / "log"
    async with connected(database) as connection:
        await export_parquet(connection, folder, Selection(until=5), lambda _done, _end: None)
        write(folder / "unfinished", b"half of a file")
        assert await export_parquet(connection, folder, Selection(), lambda _done, _end: None) == len(rows) - 5

    assert [each["position"] for each in read_table(folder)] == [row["notification_id"] for row in rows]


async def test_a_payload_that_is_no_text_is_kept_as_bytes(world: Registry, database: Database, tmp_path: Path) -> None:
    async with connected(database) as connection:
        await connection.execute("SET session_replication_role = replica")
        await connection.execute(r"UPDATE stored_events SET state = '\xff00'::bytea WHERE notification_id = 2")
        await export_parquet(connection, tmp_path / "log", Selection(), lambda _done, _end: None)

    assert [(each["data"], each["data_bytes"]) for each in read_table(tmp_path / "log")][1] == (None, b"\xff\x00")


async def test_parquet_is_not_put_among_other_files(world: Registry, database: Database, tmp_path: Path) -> None:
    write(tmp_path / "diary", b"dear diary")
    to = ("events", "export", str(tmp_path), "--format", "parquet")

    assert (await modeltrail(database, *to))[0] == 2
    code, _, err = await modeltrail(database, *to, "--resume")
    assert (code, "it holds 'diary'" in err) == (1, True)


@pytest.mark.parametrize(
    ("file", "arguments", "says"),
    [
        ("", (), "FILE is empty"),
        ("", ("--format", "parquet"), "FILE is empty"),
        ("{folder}", ("--resume",), "is a folder; to go on with an export that is Parquet, take --format parquet"),
        ("{folder}/diary", ("--resume", "--format", "parquet"), "is not a folder, as Parquet is exported to"),
    ],
)
async def test_a_place_that_the_form_cannot_be_written_to_is_named(
    database: Database, tmp_path: Path, file: str, arguments: tuple[str, ...], says: str
) -> None:
    write(tmp_path / "diary", b"dear diary")

    code, out, err = await modeltrail(database, "events", "export", file.replace("{folder}", str(tmp_path)), *arguments)

    assert (code, out, err.count("\n")) == (2, "", 1)
    assert says in err


async def test_who_reads_what_is_printed_may_pause_for_long(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(WRITER_SETTINGS, "idle_session_timeout", "100ms")
    async with open_auditor(Settings.from_environment(environment_of(database))) as auditor:
        other = await writer(address_of(database))()

        async def has_ended() -> bool:
            closed: bool = other.is_closed()
            return closed

        assert await eventually(has_ended)
        assert await auditor.connection.fetchval("SELECT 1") == 1
