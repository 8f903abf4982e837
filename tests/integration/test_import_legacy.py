"""Moving in: whatever the old service's tables hold is answered as it was, once, however often one tries."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import msgspec
import pytest

from modeltrail.eventlog.verification import verify_log
from modeltrail.projections.catalogue import INLINE
from support.api import Api, Project
from support.cluster import eventually
from support.command_line import environment_of, modeltrail
from support.committing import await_writers, connected
from support.database import Database
from support.fold import differences

Json = dict[str, Any]  # Any: JSON

TABLES = """
CREATE SCHEMA old;
CREATE TABLE old.registered_model (
    id uuid PRIMARY KEY, created_at timestamptz, updated_at timestamptz, project_id uuid, owner_id uuid,
    owner_email varchar(255) DEFAULT '', name varchar(100), slug varchar(100) DEFAULT '', description text DEFAULT '',
    region_id uuid, region_name varchar(100), model_type varchar(50) DEFAULT 'CUSTOMTRAIN',
    model_size bigint DEFAULT 0, state varchar(50) DEFAULT 'LIVE', deployment_status varchar(50) DEFAULT 'UNDEPLOYED',
    tags jsonb, labels jsonb DEFAULT '{}', parent_model_id uuid REFERENCES old.registered_model ON DELETE SET NULL,
    UNIQUE (project_id, name)
);
CREATE TABLE old.model_version (
    id uuid PRIMARY KEY, created_at timestamptz, updated_at timestamptz,
    registered_model_id uuid REFERENCES old.registered_model ON DELETE CASCADE, name varchar(100),
    description text DEFAULT '', is_default boolean DEFAULT false, state varchar(50) DEFAULT 'LIVE',
    status varchar(50) DEFAULT 'PENDING', created_by_id uuid, updated_by_id uuid,
    created_by_email varchar(255) DEFAULT '', updated_by_email varchar(255) DEFAULT '',
    artifact_type varchar(50) DEFAULT 'model-artifact', model_framework varchar(100) DEFAULT '',
    model_framework_version varchar(50) DEFAULT '', container_image varchar(500) DEFAULT '',
    model_catalog_name varchar(200) DEFAULT '', uri varchar(500) DEFAULT '', access_key varchar(500) DEFAULT '',
    secret_key varchar(500) DEFAULT '', labels jsonb DEFAULT '{}', prebuilt_container_id uuid,
    UNIQUE (registered_model_id, name)
);
"""
THEN = datetime(2024, 2, 10, 8, 15, 30, 999_999, tzinfo=UTC)
ANN = "ann@example.org"
CUT_WAITING = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'modeltrail import-legacy' AND wait_event_type = 'Lock'
"""


class Old:
    """The old service's tables."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self.connection = connection

    async def add(self, table: str, **columns: object) -> str:
        row = {"id": uuid4(), "created_at": THEN, "updated_at": THEN + timedelta(days=1)} | columns
        given = {name: json.dumps(value) if isinstance(value, dict | list) else value for name, value in row.items()}
        marks = ", ".join(f"${number}" for number in range(1, len(given) + 1))
        await self.connection.execute(f"INSERT INTO old.{table} ({', '.join(given)}) VALUES ({marks})", *given.values())
        return str(row["id"])

    async def model(self, project: Project, **columns: object) -> str:
        return await self.add("registered_model", project_id=project.id, **{"name": "iris"} | columns)

    async def version(self, model: str, **columns: object) -> str:
        given = {"name": "v1", "model_framework": "sklearn", "model_framework_version": "1", "uri": "s3://models/iris"}
        return await self.add("model_version", registered_model_id=UUID(model), **given | columns)


@pytest.fixture
async def old(database: Database) -> AsyncIterator[Old]:
    connection = await asyncpg.connect(database.dsn)
    await connection.execute(TABLES)
    yield Old(connection)
    await connection.close()


async def moved(database: Database, *arguments: str, code: int = 0) -> Json:
    exit_code, out, err = await modeltrail(
        database, "import-legacy", "--dsn", database.dsn, "--schema", "old", "--json", *arguments
    )
    assert (exit_code, err) == (code, "")
    facts: Json = json.loads(out)
    return facts


def numbers(tally: Json) -> tuple[int, int, int, int]:
    """New, changed, same and refused."""
    return tally["new"], tally["changed"], tally["same"], len(tally["refused"])


async def shown(project: Project, path: str) -> Json:
    answer = await project.get(path)
    assert answer.status_code == 200, answer.text
    body: Json = answer.json()
    return body


async def test_every_answer_is_as_it_was(database: Database, api: Api, old: Old) -> None:
    project, region, owner, container = api.project(), uuid4(), uuid4(), uuid4()
    parent = await old.model(project, name="Parent", slug="parent")
    model = await old.model(
        project, parent_model_id=UUID(parent), owner_id=owner, owner_email=ANN, slug="iris-of-old",
        description="flowers", region_id=region, region_name="Jeju", model_type="LLM", model_size=7, state="ARCHIVED",
        deployment_status="DEPLOYED", tags={"frameworks": ["sklearn"], "tasks": None}, labels={"team": "botany"},
    )  # fmt: skip
    newest = await old.version(model, name="v2", created_at=THEN + timedelta(hours=2), status="READY")
    default = await old.version(
        model, is_default=True, created_by_id=owner, updated_by_id=owner, created_by_email=ANN, description="first",
        updated_by_email="bob@example.org", state="ARCHIVED", status="FAILED", artifact_type="x", container_image="i",
        model_catalog_name="c", labels={"run": "17"}, prebuilt_container_id=container,
    )  # fmt: skip

    facts = await moved(database, "--write")

    assert (numbers(facts["models"]), numbers(facts["versions"])) == ((2, 0, 0, 0), (2, 0, 0, 0))
    assert facts["models"]["oddities"] == facts["versions"]["oddities"] == []
    brief = {
        "id": default, "created_at": "2024-02-10T08:15:30Z", "updated_at": "2024-02-11T08:15:30Z",
        "registered_model_id": model, "name": "v1", "description": "first", "is_default": True, "state": "ARCHIVED",
        "status": "FAILED", "created_by_id": str(owner), "updated_by_id": str(owner), "artifact_type": "x",
        "model_framework": "sklearn", "model_framework_version": "1", "container_image": "i", "model_catalog_name": "c",
        "uri": "s3://models/iris", "labels": {"run": "17"}, "prebuilt_container_id": str(container),
    }  # fmt: skip
    emails = {"created_by_email": ANN, "updated_by_email": "bob@example.org"}
    assert await shown(project, f"/model_versions/{default}") == brief | emails
    latest = await shown(project, f"/model_versions/{newest}")
    assert (latest["created_at"], latest["status"], latest["is_default"]) == ("2024-02-10T10:15:30Z", "READY", False)
    answer = await shown(project, f"/models/{model}")
    assert answer == {
        "id": model, "created_at": "2024-02-10T08:15:30Z", "updated_at": "2024-02-11T08:15:30Z",
        "project_id": str(project.id), "owner_id": str(owner), "owner_email": ANN, "name": "iris",
        "slug": "iris-of-old", "description": "flowers", "model_type": "LLM", "model_size": 7, "state": "ARCHIVED",
        "deployment_status": "DEPLOYED",
        "tags": {"frameworks": ["sklearn"], "architectures": [], "tasks": [], "subjects": []},
        "labels": {"team": "botany", "region_id": str(region), "region_name": "Jeju"}, "parent_model_id": parent,
        "version_count": 2, "latest_version": latest, "default_version": brief,
    }  # fmt: skip
    listed = await shown(project, "/models?search=IRI&state=ARCHIVED&sort_by=created_at")
    assert ([item["id"] for item in listed["items"]], listed["total"]) == ([model], 1)


async def test_what_is_taken_over_lives_on(database: Database, api: Api, old: Old) -> None:
    project = api.project()
    model = await old.model(project, state="DRAFT")
    version = await old.version(model)
    await moved(database, "--write")

    for change in ({"state": "ARCHIVED"}, {"name": "lily"}, {"deployment_status": "FAILED"}):
        answer = await project.patch(f"/models/{model}", change)
        assert answer.status_code == 200
        assert answer.json() | change == answer.json()
    ready = (await project.patch(f"/model_versions/{version}", {"status": "READY", "is_default": True})).json()
    assert (ready["status"], ready["is_default"], ready["created_at"]) == ("READY", True, "2024-02-10T08:15:30Z")
    again = await project.version({"id": model}, "v2")
    assert (await shown(project, f"/models/{model}"))["latest_version"]["id"] == again["id"]
    assert (await project.delete(f"/models/{model}")).status_code == 200
    assert (await project.get(f"/model_versions/{version}")).status_code == 404


async def test_whatever_a_row_holds_it_is_kept_and_named(database: Database, api: Api, old: Old) -> None:
    project = api.project()
    model = await old.model(
        project, state="draft", deployment_status="", tags={"frameworks": "one", "tasks": [1]}, labels={"n": {"a": 1}},
        description=None,
    )  # fmt: skip
    older = await old.version(model, name="", is_default=True, status="DONE", created_at=None, updated_at=THEN)
    newer = await old.version(model, is_default=True, created_at=THEN + timedelta(seconds=1))

    facts = await moved(database, "--write")

    assert [each["says"] for each in facts["models"]["oddities"]] == [
        "2 versions claim to be the default; the newest of them is",
        "description is NULL; taken as empty",
        "state 'draft' is none of LIVE, ARCHIVED; kept as it is",
        "deployment_status '' is none of UNDEPLOYED, DEPLOYED, FAILED; kept as it is",
        "tags.frameworks is not a list; kept as its only element",
        "tags.tasks holds a value that is not text; kept as the text of it",
        "label 'n' holds a value that is not text; kept as the text of it",
    ]
    assert [each["says"] for each in facts["versions"]["oddities"]] == [
        "created_at is NULL; taken as updated_at",
        "name is empty",
        "status 'DONE' is none of PENDING, READY, FAILED; kept as it is",
    ]
    answer = await shown(project, f"/models/{model}")
    assert (answer["state"], answer["deployment_status"], answer["labels"]) == ("draft", "", {"n": '{"a":1}'})
    assert (answer["tags"]["frameworks"], answer["tags"]["tasks"]) == (["one"], ["1"])
    assert answer["default_version"]["id"] == newer
    assert (await shown(project, f"/model_versions/{older}"))["is_default"] is False
    assert [item["id"] for item in (await shown(project, "/models?state=draft"))["items"]] == [model]


async def test_a_default_without_times_is_the_oldest(database: Database, api: Api, old: Old) -> None:
    project = api.project()
    model = await old.model(project)
    for name in ("timeless", "also"):
        await old.version(model, name=name, is_default=True, created_at=None, updated_at=None)
    newest = await old.version(model, is_default=True)

    await moved(database, "--write")

    assert (await shown(project, f"/models/{model}"))["default_version"]["id"] == newest


async def test_versions_of_no_model_are_named(database: Database, api: Api, old: Old) -> None:
    await old.connection.execute("ALTER TABLE old.model_version DROP CONSTRAINT model_version_registered_model_id_fkey")
    version = await old.version(await old.model(api.project()))
    orphans = [await old.version(str(uuid4())), await old.add("model_version", name="of none")]

    facts = await moved(database, "--write", code=1)

    assert numbers(facts["versions"]) == (1, 0, 0, 2)
    assert {each["id"] for each in facts["versions"]["refused"]} == set(orphans)
    assert {each["says"] for each in facts["versions"]["refused"]} == {
        "its model is not in these tables, so no path would lead to it"
    }
    assert await api.pool.fetch("SELECT id::text FROM model_versions") == [(version,)]


async def test_models_of_no_project_are_named_and_the_others_taken_over(database: Database, api: Api, old: Old) -> None:
    homeless, kept = await old.add("registered_model", name="iris"), await old.model(api.project(), name="rose")
    version = await old.version(homeless)

    for arguments in ((), ("--write",)):
        facts = await moved(database, *arguments, code=1)

        assert (numbers(facts["models"]), numbers(facts["versions"])) == ((1, 0, 0, 1), (0, 0, 0, 1))
        says = "it belongs to no project, so no path would lead to it"
        assert facts["models"]["refused"] == [{"id": homeless, "says": says}]
        assert facts["versions"]["refused"] == [{"id": version, "says": says}]
    assert await api.pool.fetch("SELECT id::text FROM models") == [(kept,)]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("model_version DROP is_default", "table model_version lacks is_default; is it the old service's?"),
        ("model_version DROP created_at", "table model_version lacks created_at; is it the old service's?"),
        (
            "registered_model ALTER project_id TYPE text",
            "column project_id of table registered_model is text, not uuid; is it the old service's?",
        ),
        (
            "registered_model ALTER model_size TYPE numeric",
            "column model_size of table registered_model is numeric, not bigint; is it the old service's?",
        ),
    ],
)
async def test_tables_that_are_not_the_old_service_s_are_told_from_them(
    database: Database, old: Old, change: str, says: str
) -> None:
    await old.connection.execute(f"ALTER TABLE old.{change}")

    code, out, err = await modeltrail(database, "import-legacy", "--dsn", database.dsn, "--schema", "old", "--write")

    assert (code, out, err) == (1, "", f"modeltrail: {says}\n")


@pytest.mark.parametrize(
    ("moment", "shown_as"),
    [
        ("0001-01-01 00:00:00Z", "0001-01-01T00:00:00Z"),  # Go's zero time
        ("-infinity", "0001-01-01T00:00:00Z"),
        ("0044-03-15 12:00:00Z BC", "0001-01-01T00:00:00Z"),
        ("12024-02-10 00:00:00Z", "9999-12-31T23:59:59Z"),
        ("infinity", "9999-12-31T23:59:59Z"),
    ],
)
async def test_any_time_is_taken_over(database: Database, api: Api, old: Old, moment: str, shown_as: str) -> None:
    project = api.project()
    model = await old.model(project)
    version = await old.version(model)
    for table in ("registered_model", "model_version"):
        await old.connection.execute(f"UPDATE old.{table} SET created_at = '{moment}', updated_at = '{moment}'")

    facts = await moved(database, "--write")

    assert [len(facts[each]["oddities"]) for each in ("models", "versions")] == [2, 2]
    for path in (f"/models/{model}", f"/model_versions/{version}"):
        answer = await shown(project, path)
        assert (answer["created_at"], answer["updated_at"]) == (shown_as, shown_as)
    assert await differences(database, *INLINE) == []
    await old.version(model, name="v2")
    assert numbers((await moved(database, "--write"))["versions"]) == (1, 0, 1, 0)


async def test_labels_and_tags_that_cannot_be_read_are_kept_as_text(database: Database, api: Api, old: Old) -> None:
    project = api.project()
    large, deep = await old.model(project), await old.model(project, name="deep")
    await old.connection.execute(f"UPDATE old.registered_model SET labels = '{{\"a\":1e5000}}' WHERE id = '{large}'")
    await old.connection.execute(
        f"UPDATE old.registered_model SET tags = (repeat('[', 3000) || repeat(']', 3000))::jsonb WHERE id = '{deep}'"
    )

    facts = await moved(database, "--write")

    assert len({each["id"] for each in facts["models"]["oddities"]}) == 2
    kept: str = (await shown(project, f"/models/{large}"))["labels"]["labels"]
    assert json.loads(kept, parse_int=len) == {"a": 5001}
    assert (await shown(project, f"/models/{deep}"))["tags"]["subjects"] == ["[" * 3000 + "]" * 3000]


async def test_what_opens_storage_is_kept_encrypted_and_people_too(database: Database, api: Api, old: Old) -> None:
    secret = uuid4().hex
    version = await old.version(
        await old.model(api.project(), owner_email=ANN), access_key="key", secret_key=secret, created_by_email=ANN
    )

    await moved(database, "--write")

    row = await api.pool.fetchrow("SELECT * FROM credentials")
    opened = api.services.keys.unseal(row["key_id"], row["box"], UUID(version).bytes)
    assert msgspec.json.decode(opened) == {"access_key": "key", "secret_key": secret}
    log = await api.pool.fetch("SELECT convert_from(state, 'UTF8') AS payload FROM stored_events")
    assert not any(secret in row["payload"] or ANN in row["payload"] for row in log)


async def test_a_dry_run_tells_and_writes_nothing(database: Database, api: Api, old: Old) -> None:
    project = api.project()
    await old.version(await old.model(project, owner_email=ANN))
    taken = await old.model(project, name="taken")
    await project.model("taken")

    facts = await moved(database, code=1)

    assert (facts["written"], numbers(facts["models"]), numbers(facts["versions"])) == (
        False, (1, 0, 0, 1), (1, 0, 0, 0)
    )  # fmt: skip
    (refused,) = facts["models"]["refused"]
    assert (refused["id"], "name 'taken' is held by" in refused["says"]) == (taken, True)
    assert (await project.events(), await api.pool.fetchval("SELECT count(*) FROM person_keys")) == (1, 0)
    code, out, _ = await modeltrail(database, "import-legacy", "--dsn", database.dsn, "--schema", "old")
    assert (code, out.splitlines()[-1]) == (1, "nothing was written; run it with --write to take the rows over")


async def test_a_second_run_takes_what_has_changed_and_refuses_what_has_changed_on_both_sides(
    database: Database, api: Api, old: Old
) -> None:
    project = api.project()
    same, there, both, deleted = [await old.model(project, name=name) for name in ("same", "there", "both", "deleted")]
    versions = [await old.version(there, name=name, is_default=name == "v1") for name in ("v1", "v2")]
    await moved(database, "--write")
    await project.patch(f"/models/{both}", {"description": "here"})
    await project.patch(f"/models/{deleted}", {"state": "ARCHIVED"})
    await project.delete(f"/models/{deleted}")
    await old.connection.execute("UPDATE old.registered_model SET description = 'there' WHERE name <> 'same'")
    await old.connection.execute("UPDATE old.model_version SET is_default = NOT is_default")
    await old.version(there, name="v3", created_at=THEN + timedelta(days=9))
    before = await shown(project, f"/models/{same}")

    facts = await moved(database, "--write", code=1)

    assert (numbers(facts["models"]), numbers(facts["versions"])) == ((0, 1, 1, 2), (1, 2, 0, 0))
    assert {each["id"]: each["says"] for each in facts["models"]["refused"]} == {
        both: "model was changed both here and there since it was taken over",
        deleted: "model was deleted here",
    }
    answer = await shown(project, f"/models/{there}")
    assert (answer["description"], answer["version_count"]) == ("there", 3)
    assert answer["default_version"]["id"] == versions[1]
    assert answer["latest_version"]["name"] == "v3"
    assert (await shown(project, f"/model_versions/{versions[0]}"))["is_default"] is False
    assert await shown(project, f"/models/{same}") == before
    await old.connection.execute("DELETE FROM old.registered_model WHERE name IN ('same', 'both', 'deleted')")
    facts = await moved(database)
    assert (numbers(facts["models"]), facts["models"]["gone"]) == ((0, 0, 1, 0), sorted([same, both]))


async def test_what_was_renamed_there_is_renamed_where_it_is_deployed(database: Database, api: Api, old: Old) -> None:
    project = api.project()
    model = await old.model(project)
    version = await old.version(model, status="READY")
    await moved(database, "--write")
    place = await project.environment("prod")
    order = {"registered_model_id": model, "serving_environment_id": place["id"], "name": "iris"}
    service = (await project.post("/deploy", order)).json()["inference_service"]
    await old.connection.execute("UPDATE old.registered_model SET name = 'lily'")
    await old.connection.execute("UPDATE old.model_version SET name = 'v2'")

    await moved(database, "--write")

    answer = await shown(project, f"/inference_services/{service['id']}")
    (serve_model,) = answer["served_models"]
    assert (answer["registered_model_name"], serve_model["model_version_name"]) == ("lily", "v2")
    assert await shown(project, f"/serve_models/{serve_model['id']}") == serve_model
    assert (await shown(project, f"/model_versions/{version}"))["name"] == "v2"


async def test_a_model_has_one_default_whichever_of_it_and_its_versions_changed_here(
    database: Database, api: Api, old: Old
) -> None:
    project = api.project()
    model, other, third = [await old.model(project, name=name) for name in ("model changed", "old", "new")]
    versions = {
        each: [await old.version(each, name=name, is_default=name == "v1") for name in ("v1", "v2", "v3")]
        for each in (model, other, third)
    }
    await moved(database, "--write")
    await project.patch(f"/model_versions/{versions[model][2]}", {"is_default": True})
    await project.patch(f"/model_versions/{versions[other][0]}", {"description": "here"})
    await project.patch(f"/model_versions/{versions[third][1]}", {"description": "here"})
    await old.connection.execute("UPDATE old.model_version SET is_default = name = 'v2'")

    facts = await moved(database, "--write", code=1)

    assert [each["id"] for each in facts["models"]["refused"]] == [model]
    assert {each["id"] for each in facts["versions"]["refused"]} == {versions[other][0], versions[third][1]}
    for each, default in ((model, 2), (other, 1), (third, 1)):
        items = (await shown(project, f"/models/{each}/versions"))["items"]
        assert [item["id"] for item in items if item["is_default"]] == [versions[each][default]]
        assert (await shown(project, f"/models/{each}"))["default_version"]["id"] == versions[each][default]
    assert await differences(database, *INLINE) == []


async def test_a_run_that_is_killed_is_finished_by_the_next(database: Database, api: Api, old: Old) -> None:
    project = api.project()
    await old.connection.execute(
        "INSERT INTO old.registered_model (id, created_at, updated_at, project_id, name)"
        " SELECT gen_random_uuid(), now(), now(), $1, n FROM generate_series(1, 1500) AS n",
        project.id,
    )
    await old.connection.execute(
        "INSERT INTO old.model_version (id, created_at, updated_at, registered_model_id, name, is_default)"
        " SELECT gen_random_uuid(), now(), now(), id, 'v1', true FROM old.registered_model"
    )
    command = ("import-legacy", "--dsn", database.dsn, "--schema", "old", "--write")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "modeltrail", *command, env=environment_of(database), stdout=asyncio.subprocess.DEVNULL
    )

    async def under_way() -> bool:
        return await project.events() >= 300

    await eventually(under_way, 30.0)
    os.kill(process.pid, signal.SIGKILL)
    await process.wait()
    await await_writers(database)
    written = await project.events()
    assert written < 3000

    facts = await moved(database, "--write")

    assert facts["models"]["new"] + facts["versions"]["new"] == 3000 - written
    assert (await project.events(), (await shown(project, "/models"))["total"]) == (3000, 1500)
    assert numbers((await moved(database, "--write"))["versions"]) == (0, 0, 1500, 0)
    assert await differences(database, *INLINE) == []
    async with connected(database) as connection:
        assert (await verify_log(connection, lambda _done, _total: None)).finding is None


async def test_tables_with_the_other_names_are_found(database: Database, api: Api, old: Old) -> None:
    model = await old.model(api.project())
    for table in ("registered_model", "model_version"):
        await old.connection.execute(f"ALTER TABLE old.{table} RENAME TO model_registry_{table}")

    assert numbers((await moved(database, "--write"))["models"]) == (1, 0, 0, 0)
    assert await api.pool.fetchval("SELECT id FROM models") == UUID(model)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--dsn", "postgresql://me:hidden@127.0.0.1:1/db"), "cannot be read (Connection refused); check --dsn"),
        (("--dsn", "postgresql://me:hidden@foo.invalid/db"), "(its host name is not known); check --dsn"),
        (("--dsn", "{dsn}", "--schema", "none"), "has no tables registered_model and model_version or"),
        (
            ("--dsn", "{dsn}", "--schema", "old", "--prefix", "x_"),
            "has no tables x_registered_model and x_model_version that its user may read",
        ),
    ],
)
async def test_what_cannot_be_read_is_told_in_a_sentence(
    database: Database, old: Old, arguments: tuple[str, ...], says: str
) -> None:
    given = [each.replace("{dsn}", database.dsn) for each in arguments]
    code, out, err = await modeltrail(database, "import-legacy", *given)

    assert (code, out, err.count("\n")) == (1, "", 1)
    assert says in err
    assert "hidden" not in err


async def test_an_old_database_that_goes_away_meanwhile_is_the_one_that_is_named(
    database: Database, api: Api, old: Old
) -> None:
    await old.model(api.project())
    await old.connection.execute("BEGIN; LOCK TABLE old.registered_model")
    moving = asyncio.create_task(modeltrail(database, "import-legacy", "--dsn", database.dsn, "--schema", "old"))
    async with connected(database) as connection:

        async def cut() -> int:
            count: int = await connection.fetchval(CUT_WAITING)
            return count

        await eventually(cut, 30.0)
        code, out, err = await moving

    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith("modeltrail: the old service's database cannot be read (")
    assert err.endswith("; check --dsn\n")


@pytest.mark.parametrize(
    ("arguments", "environment", "says"),
    [
        (("--dsn", "nonsense"), {}, "the old service's database cannot be read (invalid DSN: scheme is expected"),
        (("--dsn", "mysql://me:hidden@nowhere/db"), {}, "check --dsn"),
        ((), {"LEGACY_DSN": "mysql://me:hidden@nowhere/db"}, "check LEGACY_DSN"),
        ((), {}, "the old service's database is not named; give --dsn, or set LEGACY_DSN"),
        (("--dsn", ""), {}, "the old service's database is not named; give --dsn, or set LEGACY_DSN"),
    ],
)
async def test_an_address_that_is_none_is_a_wrong_command_line(
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    environment: dict[str, str],
    says: str,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    code, out, err = await modeltrail(database, "import-legacy", *arguments)

    assert (code, out, err.count("\n")) == (2, "", 1)
    assert says in err
    assert "hidden" not in err
