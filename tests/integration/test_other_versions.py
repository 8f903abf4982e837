"""Two releases at once: who still runs when another has rebuilt a read table writes nothing into it."""

# asyncpg's functions carry no annotations.
# mypy: allow-untyped-calls

import asyncio

import asyncpg

from modeltrail.eventlog.keys import KeyRing
from modeltrail.eventlog.log import lock_log, unlock_log
from modeltrail.projections.models import MODELS
from modeltrail.projections.one_rebuild import only_rebuild
from support.api import Api, Project, made, refusal
from support.cluster import eventually
from support.command_line import KEY, modeltrail
from support.committing import connect_to, somebody_waits_for_a_lock
from support.database import Database
from support.fold import assert_sound

ANN = "ann@example.org"
RING = KeyRing([KEY])
NEWER = "UPDATE projections SET version = version + 1 WHERE name = 'models'"
SAME = "UPDATE projections SET version = version - 1 WHERE name = 'models'"


async def test_a_process_of_another_release_writes_nothing_and_goes_on_reading(
    project: Project, database: Database, connection: asyncpg.Connection
) -> None:
    model = await project.model("before")
    await connection.execute(NEWER)

    assert refusal(await project.post("/models", {"name": "after"})) == (503, "no change can be written now; try again")
    assert made(await project.get(f"/models/{model['id']}"), 200)["name"] == "before"
    assert await project.events() == 1
    await connection.execute(SAME)
    assert (await project.model("again"))["name"] == "again"
    await assert_sound(database)


async def test_a_writer_that_waits_while_tables_are_swapped_is_told(
    project: Project, database: Database, connection: asyncpg.Connection
) -> None:
    await project.model("before")
    await lock_log(connection, held=False)
    posting = asyncio.create_task(project.post("/models", {"name": "meanwhile"}))
    await eventually(lambda: somebody_waits_for_a_lock(database), 30.0)
    await connection.execute(NEWER)
    await unlock_log(connection)

    assert (await posting).status_code == 503
    assert await project.events() == 1


async def test_the_first_event_of_an_empty_log_is_refused_too(api: Api, connection: asyncpg.Connection) -> None:
    await connection.execute(NEWER)

    assert (await api.project().post("/models", {"name": "iris"})).status_code == 503


async def test_a_person_is_not_erased_by_another_release(
    project: Project, database: Database, connection: asyncpg.Connection
) -> None:
    await project.model("iris", owner_email=ANN)
    await connection.execute(NEWER)

    code, out, err = await modeltrail(database, "erase", "--email", ANN, "--yes")

    says = "modeltrail: another version of modeltrail has filled models meanwhile: stop this one, and run that\n"
    assert (code, out, err) == (1, "", says)
    assert await connection.fetchval("SELECT count(*) FROM person_keys") == 1


async def test_a_command_that_writes_says_to_which_database_it_cannot(
    database: Database, connection: asyncpg.Connection
) -> None:
    await connection.execute(
        "CREATE SCHEMA old; CREATE TABLE old.registered_model AS SELECT gen_random_uuid() AS id,"
        " gen_random_uuid() AS project_id, text 'iris' AS name; CREATE TABLE old.model_version (id uuid,"
        " registered_model_id uuid, name text, is_default bool, created_at timestamptz, updated_at timestamptz)"
    )
    await lock_log(connection, held=False)
    arguments = ("import-legacy", "--dsn", database.dsn, "--schema", "old", "--write")
    moving = asyncio.create_task(modeltrail(database, *arguments))
    await eventually(lambda: somebody_waits_for_a_lock(database), 30.0)
    await connection.execute(NEWER)
    await unlock_log(connection)

    code, out, err = await moving

    assert (code, out) == (1, "")
    where = f"{database.host}/.s.PGSQL.{database.port}" if database.host.startswith("/") else f"{database.host}:"
    assert err.splitlines()[-1].startswith(f"modeltrail: PostgreSQL at {where}")
    assert "cannot be written to (another version of modeltrail has filled models meanwhile" in err


async def stop_in_the_middle(database: Database, connection: asyncpg.Connection) -> None:
    """What a `migrate` leaves behind that was killed before the swap, with a mark by which it is known again."""
    await connection.execute("UPDATE projections SET version = version - 1 WHERE name = 'models'")
    async with only_rebuild(connect_to(database), RING, [MODELS]) as rebuild:
        await rebuild.build(lambda _done, _total: None, resume=False)
    await connection.execute("UPDATE modeltrail_rebuild.models SET name = 'made before'")


async def test_a_migrate_goes_on_with_what_was_interrupted(
    project: Project, database: Database, connection: asyncpg.Connection
) -> None:
    await project.model("iris")
    await stop_in_the_middle(database, connection)

    assert (await modeltrail(database, "migrate"))[0] == 0

    assert await connection.fetchval("SELECT name FROM models") == "made before"


async def test_a_migrate_that_changes_tables_begins_its_rebuild_anew(
    project: Project, database: Database, connection: asyncpg.Connection
) -> None:
    await project.model("iris")
    await stop_in_the_middle(database, connection)
    await connection.execute("DELETE FROM schema_migrations WHERE version = 12; DROP FUNCTION filled_by")

    assert (await modeltrail(database, "migrate"))[0] == 0

    assert await connection.fetchval("SELECT name FROM models") == "iris"
