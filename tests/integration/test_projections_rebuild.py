"""`modeltrail projections`: the read tables are what the log says, and are built anew while the service runs."""

import asyncio
import json
import sys
import threading
from uuid import uuid4

import asyncpg
import pytest

from modeltrail.eventlog.keys import KeyRing
from modeltrail.projections import one_rebuild
from modeltrail.projections.catalogue import ALL, INLINE
from modeltrail.projections.comparison import verify_tables
from modeltrail.projections.models import MODELS
from modeltrail.projections.one_rebuild import LOCK, only_rebuild
from modeltrail.projections.projection_status import outdated
from support.api import Api, made
from support.cluster import eventually
from support.command_line import KEY, environment_of, modeltrail
from support.committing import connect_to, connected
from support.database import Database
from support.fold import differences
from support.registry import Registry, registry

SHAPE = """
SELECT indexdef AS definition FROM pg_indexes WHERE schemaname = 'public' AND tablename = ANY($1)
UNION ALL
SELECT pg_get_triggerdef(t.oid) FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = tgrelid
WHERE NOT tgisinternal AND relname = ANY($1)
UNION ALL
SELECT conname || pg_get_constraintdef(k.oid) FROM pg_constraint AS k JOIN pg_class AS c ON c.oid = conrelid
WHERE relname = ANY($1) AND contype <> 'n'
UNION ALL
SELECT relname || ' WITH ' || array_to_string(reloptions, ', ') FROM pg_class
WHERE relname = ANY($1) AND relnamespace = 'public'::regnamespace
ORDER BY 1
"""
CUT = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'modeltrail rebuild' AND query LIKE 'LOCK TABLE%'
"""
CUT_WAITING = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'modeltrail rebuild' AND wait_event_type = 'Lock'
"""
RING = KeyRing([KEY])
NAMES = [projection.name for projection in ALL]


async def write_until(done: asyncio.Event, world: Registry, versions: list[int]) -> None:
    """About 200 commands a second, of all kinds."""
    while not done.is_set():
        await world.deploy()
        versions.append(1)


async def test_the_list_tells_how_each_stands(database: Database) -> None:
    async with registry(database) as world:
        await world.deploy()

    code, out, err = await modeltrail(database, "projections", "list", "--json")

    found = {each["name"]: each for each in json.loads(out)}
    assert (code, err, [*found]) == (0, "", NAMES)
    models = found["models"]
    assert (models["version"], models["mode"], models["rows"], models["lag_events"]) == (MODELS.version, "inline", 1, 0)
    assert models["rebuilt_at"] is None


async def test_damage_is_found_and_mended_and_the_tables_keep_their_shape(api: Api, database: Database) -> None:
    project = api.project()
    model = await project.model("iris", owner_email="ann@example.org")
    kept = await project.model("other")
    lost = await project.model("lost")
    await project.version(model, created_by_email="bob@example.org")
    await project.environment("models")
    async with connected(database) as connection:
        shape = [row["definition"] for row in await connection.fetch(SHAPE, NAMES)]
        await connection.execute("UPDATE models SET name = 'forged' WHERE id = $1", model["id"])
        await connection.execute("DELETE FROM models WHERE id = $1", lost["id"])
        await connection.execute("UPDATE row_counts SET count = 7 WHERE source = 'serving_environments'")

    code, out, _ = await modeltrail(database, "projections", "verify", "--json")

    found = json.loads(out)
    assert (code, found["differences"]) == (1, len(found["first"]))
    where = {(each["table"], each["id"], each["column"]) for each in found["first"]}
    assert {("models", model["id"], "name"), ("models", lost["id"], "")} <= where
    assert ("row_counts", str(project.id), "serving_environments") in where

    code, out, err = await modeltrail(database, "projections", "rebuild", "--all")

    assert (code, err) == (0, "")
    async with connected(database) as connection:
        assert [row["definition"] for row in await connection.fetch(SHAPE, NAMES)] == shape
    async with connected(database) as connection:
        compared = await verify_tables(connection, RING, ALL, lambda _done, _total: None)
    assert compared.differences == 0
    assert made(await project.get(f"/models/{model['id']}"), 200)["owner_email"] == "ann@example.org"
    assert made(await project.get(f"/models/{kept['id']}"), 200)["name"] == "other"
    await project.model("after")
    assert made(await project.get("/models"), 200)["total"] == 4


async def test_a_comparison_swaps_only_when_told_to(database: Database) -> None:
    async with registry(database) as world:
        model, _ = await world.ready_version()
    async with connected(database) as connection:
        await connection.execute("UPDATE models SET state = 'FORGED'")

    code, out, _ = await modeltrail(database, "projections", "rebuild", "models", "--verify", stdin=b"n\n")

    assert f"models.state of {model}: found FORGED, expected LIVE" in out
    advice = "nothing was swapped; go on with: modeltrail projections rebuild --resume --verify\n"
    assert (code, out.endswith(advice)) == (0, True)
    code, out, err = await modeltrail(database, "projections", "rebuild", "--resume", "--verify", stdin=b"n\n")
    assert (code, "nothing was swapped" in out, "swap the rebuilt tables in?" in err) == (0, True, True)
    code, out, err = await modeltrail(database, "projections", "rebuild", "--resume", "--verify", stdin=b"")
    assert (code, "nobody answered, and nothing was swapped; answer y, or use --swap" in err) == (1, True)
    assert len(await differences(database, *INLINE)) > 0
    code, out, _ = await modeltrail(database, "projections", "rebuild", "--resume", "--verify", "--swap")
    assert (code, "rebuilt models as of" in out) == (0, True)
    assert await differences(database, *INLINE) == []


async def test_a_comparison_finds_a_wrong_count(database: Database) -> None:
    async with registry(database) as world:
        await world.ready_version()
        await world.environment()
    async with connected(database) as connection:
        await connection.execute("DELETE FROM row_counts WHERE source = 'models'")
        await connection.execute("UPDATE row_counts SET count = 7 WHERE source = 'serving_environments'")

    names = ("models", "serving_environments", "model_versions")
    code, out, _ = await modeltrail(database, "projections", "rebuild", *names, "--verify", "--swap")

    assert (code, out.splitlines()[:-1]) == (
        0,
        [
            f"row_counts.models LIVE CUSTOMTRAIN of {world.project}: found 0, expected 1",
            f"row_counts.serving_environments of {world.project}: found 7, expected 1",
            "2 differences",
        ],
    )
    assert await differences(database, *INLINE) == []


async def test_a_comparison_tells_of_a_row_that_is_missing_or_too_much_in_one_line(database: Database) -> None:
    async with registry(database) as world:
        model, _ = await world.ready_version()
    async with connected(database) as connection:
        await connection.execute("UPDATE models SET id = $1", forged := uuid4())

    _, out, _ = await modeltrail(database, "projections", "rebuild", "models", "--verify", stdin=b"n\n")

    assert sorted(out.splitlines()[:-2]) == sorted(
        [f"models of {model}: found no row, expected a row", f"models of {forged}: found a row, expected no row"]
    )


async def test_nothing_is_lost_or_refused_when_tables_are_rebuilt_under_writes(database: Database) -> None:
    async with registry(database) as world:
        done, rounds = asyncio.Event(), list[int]()
        writing = asyncio.create_task(write_until(done, world, rounds))
        code, _, err = await modeltrail(database, "projections", "rebuild", "--all")
        assert (code, err) == (0, "")
        done.set()
        await writing

    assert rounds
    assert await differences(database, *INLINE) == []


async def test_a_rebuild_that_was_killed_is_resumed(database: Database) -> None:
    async with registry(database) as world:
        done, rounds = asyncio.Event(), list[int]()
        writing = asyncio.create_task(write_until(done, world, rounds))
        for stage, how in (("begun", "--all"), ("filled", "--resume")):
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "modeltrail", "projections", "rebuild", how, env=environment_of(database),
                stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
            # Behind the stage, wherever the signal finds it.
            await wait_for_stage(database, process, stage)
            if process.returncode is None:
                process.kill()
            await process.wait()
            assert (await world.service(await world.deploy()))["name"]
        done.set()
        await writing

    code, _, err = await modeltrail(database, "projections", "rebuild", "--resume")

    assert (code, err) == (0, "")
    assert await differences(database, *INLINE) == []
    async with connected(database) as connection:
        assert await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'modeltrail_rebuild'") == 0
        assert await connection.fetchval("SELECT count(*) FROM row_counts WHERE source LIKE 'modeltrail_rebuild%'") == 0


async def wait_for_stage(database: Database, process: asyncio.subprocess.Process, stage: str) -> None:
    """Return when the process has begun, or filled the shadow tables, or is done."""
    condition = "filled" if stage == "filled" else "true"
    async with connected(database) as connection:

        async def reached() -> bool | None:
            statement = f"SELECT true FROM projection_rebuild WHERE pid = $1 AND {condition}"
            is_there: bool | None = await connection.fetchval(statement, process.pid)
            return is_there or process.returncode is not None or None

        await eventually(reached, within=30)


async def test_with_nothing_to_resume_nothing_is_done(database: Database) -> None:
    async with registry(database) as world:
        await world.ready_version()
    async with connected(database) as connection:
        await connection.execute("UPDATE models SET state = 'FORGED'")

    for arguments in ((), ("models",), ("--all", "--verify")):
        code, out, err = await modeltrail(database, "projections", "rebuild", "--resume", *arguments)
        assert (code, out, err) == (0, "there is nothing to go on with: no rebuild was stopped\n", "")
    assert len(await differences(database, *INLINE)) > 0


async def test_only_what_was_stopped_is_resumed(database: Database) -> None:
    await modeltrail(database, "projections", "rebuild", "models", "--verify", stdin=b"n\n")

    for arguments, named in ((("search_documents", "models"), "search_documents, models"), (("--all",), "all")):
        code, out, err = await modeltrail(database, "projections", "rebuild", "--resume", *arguments)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert f"the rebuild that was stopped is of models, and not of {named}; leave the names out" in err
    code, out, _ = await modeltrail(database, "projections", "rebuild", "--resume", "models")
    assert (code, out.startswith("rebuilt models as of")) == (0, True)


async def test_a_second_rebuild_says_who_runs_the_first(database: Database) -> None:
    async with connected(database) as connection:
        await connection.execute("SELECT pg_advisory_lock($1)", LOCK)
        await connection.execute(
            "INSERT INTO projection_rebuild (token, names, versions, host, pid)"
            " VALUES ($1, '{models}', '{1}', 'a', 42)",
            uuid4(),
        )

        code, _, err = await modeltrail(database, "projections", "rebuild", "--all")

    assert code == 1
    assert err.startswith("modeltrail: process 42 on a rebuilds models since 20")
    assert err.count("\n") == 1


async def test_a_lost_connection_is_told_in_a_sentence(database: Database) -> None:
    async with registry(database) as world, connected(database) as connection:
        await world.deploy()
        await connection.execute("BEGIN; LOCK TABLE models IN SHARE MODE")
        rebuild = asyncio.create_task(modeltrail(database, "projections", "rebuild", "--all"))
        async with connected(database) as other:

            async def cut() -> bool | None:
                return (await other.fetchval(CUT)) > 0 or None

            await eventually(cut, within=30)
            code, _, err = await rebuild

    assert (code, err.count("\n")) == (1, 1)
    assert "was lost; the read tables are whole" in err
    assert err.endswith("go on with: modeltrail projections rebuild --resume\n")


async def test_one_that_is_lost_before_it_has_left_anything_is_to_be_run_again(database: Database) -> None:
    async with connected(database) as connection, connected(database) as other:
        await connection.execute("BEGIN; LOCK TABLE projection_rebuild")
        rebuild = asyncio.create_task(modeltrail(database, "projections", "rebuild", "--all"))

        async def cut() -> bool | None:
            return (await other.fetchval(CUT_WAITING)) > 0 or None

        await eventually(cut, within=30)
        code, _, err = await rebuild

    assert (code, err.count("\n")) == (1, 1)
    assert err.endswith("was lost; the read tables are whole: see that it runs, and run it again\n")


async def fill_with_older_code(database: Database) -> None:
    """A deployed model, in a table that counts as filled by the version before."""
    async with registry(database) as world:
        await world.deploy()
    async with connected(database) as connection:
        await connection.execute("UPDATE projections SET version = 0 WHERE name = 'models'")


async def test_migrating_rebuilds_what_older_code_filled_and_says_so(database: Database) -> None:
    await fill_with_older_code(database)
    async with connected(database) as connection:
        await connection.execute("UPDATE models SET state = 'OLD'")

    code, out, err = await modeltrail(database, "migrate")

    assert (code, err) == (0, "")
    assert "rebuilding models from the log: older code than this filled them\nrebuilt models\n" in out
    assert await differences(database, *INLINE) == []
    async with connected(database) as connection:
        assert await outdated(connection) == []


@pytest.mark.parametrize("command", [("serve",), ("worker",), ("import-legacy", "--dsn", "{dsn}", "--write")])
@pytest.mark.parametrize(
    ("version", "says"),
    [
        (0, "modeltrail: older code than this filled models; run: modeltrail migrate\n"),
        (99, "modeltrail: newer code than this filled models: run that version of modeltrail\n"),
    ],
)
async def test_what_writes_read_tables_does_not_start_on_those_of_other_code(
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    unused_tcp_port: int,
    command: tuple[str, ...],
    version: int,
    says: str,
) -> None:
    monkeypatch.setenv("SERVER_PORT", str(unused_tcp_port))
    monkeypatch.setenv("KSERVE_ENABLED", str(command == ("worker",)))
    async with connected(database) as connection:
        await connection.execute("UPDATE projections SET version = $1 WHERE name = 'models'", version)

    code, _, err = await modeltrail(database, *(each.replace("{dsn}", database.dsn) for each in command))

    assert (code, err) == (1, says)


@pytest.fixture
def found_out(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set once somebody has found out that another rebuild is under way."""
    ask, event = one_rebuild._who, threading.Event()

    async def tell(connection: asyncpg.Connection) -> str:
        told = await ask(connection)
        event.set()
        return told

    monkeypatch.setattr(one_rebuild, "_who", tell)
    return event


async def test_migrations_at_the_same_time_wait_for_the_one_that_rebuilds(
    database: Database, found_out: threading.Event
) -> None:
    await fill_with_older_code(database)
    async with only_rebuild(connect_to(database), RING, [MODELS]) as rebuild:
        waiting = asyncio.create_task(modeltrail(database, "migrate"))
        assert await asyncio.to_thread(found_out.wait, 30.0)
        assert not waiting.done()
        await rebuild.build(lambda _done, _total: None, resume=False)
        await rebuild.swap(lambda _done, _total: None)

    code, out, err = await waiting

    assert code == 0
    assert err
    assert all(line.startswith("waiting: ") for line in err.splitlines())
    assert "models was rebuilt by another process" in out


async def test_a_migration_does_what_a_rebuild_that_was_stopped_has_left_undone(
    database: Database, found_out: threading.Event
) -> None:
    await fill_with_older_code(database)
    async with only_rebuild(connect_to(database), RING, [MODELS]) as rebuild:
        await rebuild.build(lambda _done, _total: None, resume=False)
        waiting = asyncio.create_task(modeltrail(database, "migrate"))
        assert await asyncio.to_thread(found_out.wait, 30.0)

    code, out, _ = await waiting

    assert code == 0
    assert "rebuilt models\n" in out
    assert await differences(database, *INLINE) == []


async def test_an_address_that_was_erased_is_in_no_rebuilt_table(api: Api, database: Database) -> None:
    await api.project().model("iris", owner_email="ann@example.org")
    async with only_rebuild(connect_to(database), RING, ALL) as rebuild:
        await rebuild.build(lambda _done, _total: None, resume=False)
    await modeltrail(database, "erase", "--email", "ann@example.org", "--yes")

    async with connected(database) as connection:
        assert await connection.fetchval("SELECT to_regclass('modeltrail_rebuild.models')") is None
    async with only_rebuild(connect_to(database), RING, ALL) as rebuild:
        await rebuild.build(lambda _done, _total: None, resume=True)
        await rebuild.swap(lambda _done, _total: None)

    assert await differences(database, *INLINE) == []


async def test_a_name_that_is_none_is_refused(database: Database) -> None:
    code, _, err = await modeltrail(database, "projections", "verify", "nonsense")

    assert (code, "there are: models, " in err) == (2, True)
