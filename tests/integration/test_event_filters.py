"""Finding events: by what they touched, who asked, when, and as a tree of causes and effects."""

import asyncio
import json
import signal
import sys
from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import quote
from uuid import UUID, uuid4

import psycopg
import pytest

from modeltrail.cli.errors import CommandError
from modeltrail.eventlog.reader import LogReader
from modeltrail.eventlog.selection import Selection, position_before, query
from support.api import Api, made
from support.command_line import environment_of, modeltrail
from support.committing import connected, read_rows
from support.database import Database, DatabaseServer

NOBODY = UUID(int=9)
ANN = "ann@example.org"
MANY = """INSERT INTO stored_events SELECT gen_random_uuid(), 1,
CASE WHEN n % 1000 = 0 THEN 'model_version.registered' ELSE 'registered_model.registered' END,
convert_to(format('{"registered_model_id":"%s"}', gen_random_uuid()), 'UTF8'), n,
gen_random_uuid(), timestamptz '2026-01-01' + n * interval '1 second',
json_build_object('person', gen_random_uuid()), gen_random_uuid()::text, gen_random_uuid(), NULLIF(n - 1, 0), ''
FROM generate_series(1, 100000) AS n; ANALYZE stored_events"""


@pytest.fixture(scope="module")
def long_log(database_server: DatabaseServer) -> Iterator[Database]:
    """100,000 events, which these tests only read."""
    database = database_server.create()
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        connection.execute(MANY)
    yield database
    database_server.drop(database)


async def cut_others(database: Database) -> None:
    """End all sessions, as a restart of the server does."""
    async with connected(database) as connection:
        await connection.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


async def listed(database: Database, *arguments: str) -> list[str]:
    code, out, err = await modeltrail(database, "events", "list", "--json", *arguments)
    assert code == 0, err
    return [json.loads(line)["type"] for line in out.splitlines()]


async def test_everything_that_touched_a_model_is_listed(api: Api, database: Database) -> None:
    project = api.project()
    other = await project.model("other", labels={"registered_model_id": str(UUID(int=7))})
    model = await project.model("iris", owner_email=ANN)
    await project.ready_version(model, is_default=True)
    await project.version(other)
    service = await project.deployed(model, await project.environment())
    await project.confirm(service)

    assert await listed(database, "--model", model["id"]) == [
        "registered_model.registered",
        "model_version.registered",
        "registered_model.default_version_changed",
        "model_version.marked_ready",
        "inference_service.created",
        "inference_service.deployment_requested",
        "inference_service.deployment_succeeded",
    ]
    assert await listed(database, "--model", str(UUID(int=7))) == []


async def test_a_persons_acts_are_listed_by_address_and_it_is_written_nowhere(api: Api, database: Database) -> None:
    project = api.project()
    made(await project.post("/models", {"name": "iris"}, X_User_Email=ANN))
    await project.model("lily")

    assert await listed(database, "--actor", ANN.upper()) == ["registered_model.registered"]
    code, _, err = await modeltrail(database, "events", "list", "--actor", "bob@example.org")
    assert (code, "never seen" in err, "bob" in err) == (1, True, False)
    async with connected(database) as connection:
        assert await connection.fetchval("SELECT count(*) FROM person_keys") == 1


async def test_all_acts_are_listed_of_a_person_whom_older_code_took_for_two(
    api: Api, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, spelt = api.project(), f" {ANN}"
    with monkeypatch.context() as older:
        older.setattr("modeltrail.eventlog.people.folded", str.casefold)
        await project.model("iris", owner_email=spelt)  # makes the key of " ann@example.org"
        older.setattr("modeltrail.eventlog.people.folded", lambda _: spelt.casefold())
        made(await project.post("/models", {"name": "rose"}, X_User_Email=ANN))  # acts under it
    made(await project.post("/models", {"name": "lily"}, X_User_Email=ANN))

    assert len(await listed(database, "--actor", spelt)) == 2
    found = await project.get(f"/events?actor={quote(spelt)}")
    assert len(made(found, 200)["items"]) == 2


@pytest.mark.parametrize("command", [["events"], ["events", "list"]])
async def test_who_follows_a_stream_waits_for_what_is_behind_the_end_of_the_log(
    api: Api, database: Database, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    project = api.project()
    followed = await project.model("iris")
    await project.model("later")
    waits: list[int] = []

    async def wait(_reader: LogReader, position: int) -> None:
        waits.append(position)
        raise CommandError("enough")

    monkeypatch.setattr(LogReader, "wait", wait)

    await modeltrail(database, *command, "--follow", "--stream", followed["id"])

    assert waits == [2]


@pytest.mark.parametrize("command", [["events"], ["events", "list"]])
async def test_who_follows_goes_on_when_the_database_is_back(api: Api, database: Database, command: list[str]) -> None:
    project = api.project()
    await project.model("iris")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "modeltrail", *command, "--follow", "--json", env=environment_of(database),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            shown = [json.loads(await process.stdout.readline())["data"]["name"]]
            for name in ("rose", "lily"):
                await project.model(name)
                shown.append(json.loads(await process.stdout.readline())["data"]["name"])
                await cut_others(database)
    finally:
        process.send_signal(signal.SIGINT)
        _, err = await process.communicate()

    assert shown == ["iris", "rose", "lily"]
    assert process.returncode == 0
    assert {line.partition(" (")[0].partition(" at ")[0] for line in err.decode().splitlines()} == {
        "modeltrail: the connection to PostgreSQL"
    }


async def test_causes_and_effects_are_shown_as_a_tree(api: Api, database: Database) -> None:
    project = api.project()
    model = await project.model("iris")
    await project.ready_version(model)
    service = await project.deployed(model, await project.environment())
    await project.confirm(service)
    rows = await read_rows(database)
    (position,) = (row["notification_id"] for row in rows if row["topic"] == "inference_service.deployment_requested")

    code, out, err = await modeltrail(database, "events", "show", str(position))

    assert (code, err) == (0, "")
    tree = out[out.index("request ") :].splitlines()
    assert any("inference_service.created" in line for line in tree)
    assert any(line.endswith("<-- this one") and "deployment_requested" in line for line in tree)
    code, _, err = await modeltrail(database, "events", "show", "999")
    assert (code, err) == (1, "modeltrail: the log has no event at position 999\n")


async def test_a_tree_says_when_there_are_more_events_than_it_shows(
    api: Api, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = api.project()
    for name in ("iris", "lily", "rose"):
        made(await project.post("/models", {"name": name}, X_Request_ID="the-night"))
    more = "there are more; `modeltrail events list --request-id` has all that a request made\n"
    _, out, err = await modeltrail(database, "events", "show", "1")
    assert (more in out, err) == (False, "")
    monkeypatch.setattr("modeltrail.eventlog.reader.RELATED", 1)

    _, out, err = await modeltrail(database, "events", "show", "1")
    assert (out.endswith(more), err) == (True, "")
    _, out, err = await modeltrail(database, "events", "show", "1", "--json")
    assert (len(out.splitlines()), err) == (2, more)


async def test_a_wrong_filter_is_told_in_one_sentence(database: Database) -> None:
    early = "0001-01-01T00:00:00+14:00"
    for arguments in (("--since", "yesterday"), ("--since", "2026-01-01"), ("--since", early), ("--model", "x")):
        code, out, err = await modeltrail(database, "events", "list", *arguments)
        assert (code, out, err.count("\n")) == (2, "", 1)
    both = ("--model", str(uuid4()), "--stream", str(uuid4()))
    code, _, err = await modeltrail(database, "events", "list", *both)
    assert (code, "name one of them" in err) == (2, True)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("registered_model.renamd", "did you mean registered_model.renamed"),
        ("undeployed", "did you mean inference_service.undeployed?"),
        ("nonsense", "there are: inference_service."),
        ("serving_environment.created@7", "did you mean serving_environment.created"),
    ],
)
@pytest.mark.parametrize("command", [("list",), ("export", "file")])
async def test_a_type_that_there_is_not_is_refused_with_what_may_be_meant(
    database: Database, command: tuple[str, ...], name: str, hint: str
) -> None:
    code, out, err = await modeltrail(database, "events", *command, "--type", name)

    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f"no event is called {name}; {hint}" in err


async def test_every_shape_of_a_type_has_a_name(database: Database) -> None:
    for name in ("serving_environment.created", "serving_environment.created@2", "person.erased"):
        assert await listed(database, "--type", name) == []


@pytest.mark.parametrize(
    "selection",
    [
        Selection(),
        Selection(project=NOBODY),
        Selection(streams=(NOBODY, NOBODY)),
        Selection(topics=("model_version.registered",), after=50_000),
        Selection(topics=("model_version.registered", "model_version.renamed"), after=50_000),
        Selection(persons=(NOBODY,)),
        Selection(request_id="none"),
        Selection(causes=(5, 6)),
        Selection(project=NOBODY, topics=("registered_model.registered",), until=60_000),
    ],
    ids=["all", "project", "streams", "type", "types", "person", "request", "causes", "project and type"],
)
@pytest.mark.parametrize("order", ["ASC", "DESC"])
async def test_no_filter_reads_the_whole_log(long_log: Database, selection: Selection, order: str) -> None:
    statement, arguments = query(selection, 50, order)

    async with connected(long_log) as connection:
        plan = await connection.fetch(f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT TEXT) {statement}", *arguments)

    text = "\n".join(row[0] for row in plan)
    assert "Seq Scan" not in text
    buffers = next(row[0] for row in plan if "Buffers:" in row[0])
    assert sum(int(word.split("=")[1]) for word in buffers.split() if "=" in word) < 300, text


async def test_a_moment_is_found_by_halving(long_log: Database) -> None:
    async with connected(long_log) as connection:
        start = await connection.fetchval("SELECT timestamptz '2026-01-01'")
        for seconds in (0, 1, 2, 777, 99_999, 100_000):
            moment = start + timedelta(seconds=seconds)
            assert await position_before(connection, moment) == max(0, seconds - 1)
        assert await position_before(connection, start + timedelta(days=9)) == 100_000
