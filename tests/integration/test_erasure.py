"""Erasing a person: nobody reads the address any more, and the log is as provable as before."""

import asyncio
import json
from base64 import b64encode
from functools import partial
from pathlib import Path

import asyncpg
import pytest
from msgspec import structs

from modeltrail.commands.erasure import erase
from modeltrail.commands.takeovers import ModelTakeover
from modeltrail.domain.errors import ForgottenPersonError
from modeltrail.domain.person import EVERYWHERE
from modeltrail.domain.registered_model_messages import TakeOverModel
from modeltrail.eventlog.first_mention import FirstMention
from modeltrail.eventlog.log import Head, lock_log, read_head
from modeltrail.eventlog.verification import verify_log
from modeltrail.legacy.mover import Writing
from modeltrail.projections.catalogue import INLINE
from support.api import Api, made
from support.cluster import eventually
from support.command_line import modeltrail
from support.committing import connected, context, read_rows, somebody_waits_for_a_lock, two_wait_for_the_log
from support.database import Database
from support.fold import differences
from support.samples import MODEL, MODEL_ORIGIN, PROJECT

ANN, BOB = "Ann@example.org", "bob@example.org"


async def everything_in(connection: asyncpg.Connection) -> str:
    """All that is stored in the database, as text."""
    tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    found = [await connection.fetch(f"SELECT * FROM {table['tablename']}") for table in tables]
    return "\n".join(str(dict(row)) for rows in found for row in rows)


async def fill(api: Api) -> tuple[str, str]:
    """A model of Ann's with a version of hers, and one of Bob's; the paths of Ann's."""
    project = api.project()
    headers = {"X_User_Email": ANN}
    body = {"name": "iris", "owner_email": ANN}
    model = made(await project.post("/models", body, **headers, Idempotency_Key="k1"))
    await project.model("other", owner_email=BOB)
    version = await project.version(model, created_by_email=ANN.lower(), updated_by_email=BOB)
    await project.patch(f"/models/{model['id']}", {"name": "iris-2"}, **headers)
    return f"/models/{model['id']}", f"/model_versions/{version['id']}"


async def have_keys(api: Api, *addresses: str) -> None:
    """Have the API's process hold the keys of people who are known, as it does once it names them again."""
    for address in addresses:
        assert not isinstance(await api.services.people.seal(address), FirstMention)


async def test_an_erased_address_is_nowhere_and_the_log_verifies(api: Api, database: Database, tmp_path: Path) -> None:
    await fill(api)
    before = await read_rows(database)

    code, out, err = await modeltrail(database, "erase", "--email", ANN.upper(), "--yes", "--json")

    assert (code, err) == (0, "")
    result = json.loads(out)
    assert (result["erased"], result["acts"], result["events"]) == (True, 2, 2)
    assert {table: len(rows) for table, rows in result["rows"].items()} == {"models": 1, "model_versions": 1}
    async with connected(database) as connection:
        assert ANN.casefold() not in (await everything_in(connection)).casefold()
        assert BOB in await everything_in(connection)
        verified = await verify_log(connection, lambda _done, _total: None)
    after = await read_rows(database)
    assert (verified.finding, after[:-1]) == (None, before)
    assert after[-1]["topic"] == "person.erased"
    code, out, _ = await modeltrail(database, "events", "--json")
    actors = [json.loads(line)["actor"] for line in out.splitlines()]
    assert code == 0
    assert actors.count("(erased)") == 2
    await modeltrail(database, "events", "export", str(tmp_path / "log"))
    assert b"example" not in (tmp_path / "log").read_bytes()


async def test_no_project_is_told_who_was_erased(api: Api, database: Database) -> None:
    await fill(api)
    await modeltrail(database, "erase", "--email", ANN, "--yes")
    nobody = api.project()
    nobody.id = EVERYWHERE
    await nobody.model("own")
    *_, erased, own = (row["notification_id"] for row in await read_rows(database))

    listed = made(await nobody.get("/events"), 200)["items"]
    streamed = await nobody.get("/events/stream?after=0&follow=false")

    assert [each["position"] for each in listed] == [own]
    assert made(await nobody.get("/events?type=person.erased"), 200)["items"] == []
    assert ("person.erased" in streamed.text, "registered_model" in streamed.text) == (False, True)
    assert (await nobody.get(f"/events/{erased}")).status_code == 404
    assert (await nobody.get(f"/events/{own}")).status_code == 200


async def test_the_read_tables_are_what_the_log_without_the_key_gives(api: Api, database: Database) -> None:
    project = api.project()
    await project.model("iris", owner_email=ANN)
    await project.model("lily")

    await modeltrail(database, "erase", "--email", ANN, "--yes")

    assert await differences(database, *INLINE) == []


@pytest.mark.parametrize(
    "written", ["  café@example.org ", "CAFÉ@example.org", "cafe\u0301@example.org", "café@example.org\n"]
)
async def test_however_an_address_is_written_it_is_the_same_persons(written: str, api: Api, database: Database) -> None:
    model = await api.project().model("iris", owner_email=written)
    assert model["owner_email"] == written

    code, _, err = await modeltrail(database, "erase", "--email", "café@example.org", "--yes")

    assert (code, err) == (0, "")
    async with connected(database) as connection:
        assert "example.org" not in await everything_in(connection)


async def test_an_answer_without_the_address_is_another_revision(api: Api, database: Database) -> None:
    project = api.project()
    model = await project.model("iris", owner_email=ANN)
    version = await project.version(model, created_by_email=ANN, updated_by_email=ANN)
    paths = [f"/models/{model['id']}", f"/model_versions/{version['id']}"]
    held = [(await project.get(path)).headers["etag"] for path in paths]

    await modeltrail(database, "erase", "--email", ANN, "--yes")

    for path, etag in zip(paths, held, strict=True):
        answer = await project.get(path, If_None_Match=etag)
        assert (answer.status_code, ANN in answer.text) == (200, False)
        assert int(answer.headers["etag"].strip('"')) == int(etag.strip('"')) + 1
    assert await differences(database, *INLINE) == []
    assert (await modeltrail(database, "projections", "rebuild", "--all"))[0] == 0
    assert await differences(database, *INLINE) == []


async def test_who_only_changed_a_version_is_erased_from_it(api: Api, database: Database) -> None:
    project = api.project()
    version = await project.version(await project.model("iris"), created_by_email=ANN, updated_by_email=BOB)

    await modeltrail(database, "erase", "--email", BOB, "--yes")

    shown = made(await project.get(f"/model_versions/{version['id']}"), 200)
    assert (shown["created_by_email"], "updated_by_email" in shown) == (ANN, False)
    assert (await modeltrail(database, "projections", "verify"))[0] == 0


async def test_nobody_is_named_again_by_a_process_that_still_has_the_key(api: Api, database: Database) -> None:
    project = api.project()
    await project.model("iris", owner_email=ANN)
    await have_keys(api, ANN)
    await modeltrail(database, "erase", "--email", ANN, "--yes")

    refused = await project.post("/models", {"name": "lily", "owner_email": ANN})

    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert refused.json() == {
        "error": "somebody whom this names was erased at the same time, and nothing was changed; try again"
    }
    assert [row["topic"] for row in await read_rows(database)] == ["registered_model.registered", "person.erased"]
    again = made(await project.post("/models", {"name": "lily", "owner_email": ANN}))
    assert again["owner_email"] == ANN
    assert (await modeltrail(database, "projections", "verify"))[0] == 0


async def test_a_writer_who_waited_for_an_erasure_knows_of_it(api: Api, database: Database) -> None:
    project = api.project()
    await project.model("iris", owner_email=ANN)
    await have_keys(api, ANN)
    (person,) = await api.services.people.find(ANN)
    async with connected(database) as connection:
        await lock_log(connection, held=False)
        writing = asyncio.create_task(project.post("/models", {"name": "lily", "owner_email": ANN}))
        assert await eventually(partial(somebody_waits_for_a_lock, database))

        await erase(connection, person, "a-request")

        assert (await writing).status_code == 503


async def test_nobody_acts_again_under_a_key_that_is_gone(api: Api, database: Database) -> None:
    project = api.project()
    model = made(await project.post("/models", {"name": "iris"}, X_User_Email=ANN))
    path = f"/models/{model['id']}"
    await have_keys(api, ANN)
    await modeltrail(database, "erase", "--email", ANN, "--yes")

    refused = await project.patch(path, {"state": "ARCHIVED"}, X_User_Email=ANN)
    archived = await project.patch(path, {"state": "ARCHIVED"}, X_User_Email=ANN)
    await have_keys(api, ANN)
    await modeltrail(database, "erase", "--email", ANN, "--yes")
    kept = await project.delete(path, X_User_Email=ANN)
    deleted = await project.delete(path, X_User_Email=ANN)

    statuses = [each.status_code for each in (refused, archived, kept, deleted)]
    assert statuses == [503, 200, 503, 200]


async def test_an_import_names_somebody_new_once_it_was_refused_the_key_that_is_gone(
    api: Api, database: Database
) -> None:
    await api.project().model("iris", owner_email=ANN)
    sink = Writing(api.services.committer, api.services.people)
    erased = await sink.seal(ANN)
    await modeltrail(database, "erase", "--email", ANN, "--yes")
    wish = TakeOverModel(
        model_id=MODEL, project_id=PROJECT, owner_email=erased, origin=MODEL_ORIGIN, fingerprint="as it was"
    )

    (verdict,) = await sink.decide([(ModelTakeover(wish), context())])

    assert isinstance(verdict, ForgottenPersonError)
    new = structs.replace(wish, owner_email=await sink.seal(ANN))
    assert await sink.decide([(ModelTakeover(new), context())]) == [1]


async def test_an_erasure_keeps_nobody_else_from_writing(api: Api, database: Database) -> None:
    project = api.project()
    people = [f"{number}@example.org" for number in range(40)]
    for number, address in enumerate(people):
        await project.model(f"m{number}", owner_email=address)
    await have_keys(api, *people)
    erased = people[:3]
    for address in erased:
        await modeltrail(database, "erase", "--email", address, "--yes")

    answers = await asyncio.gather(
        *(project.post("/models", {"name": f"n{address}", "owner_email": address}) for address in people)
    )

    assert [each.status_code for each in answers] == [503] * 3 + [201] * 37
    assert (await modeltrail(database, "projections", "verify"))[0] == 0


async def test_the_past_counts_an_erasure_like_the_present(api: Api, database: Database) -> None:
    project = api.project()
    path = f"/models/{(await project.model('iris', owner_email=ANN))['id']}"
    await modeltrail(database, "erase", "--email", ANN, "--yes")
    await project.patch(path, {"description": "changed"})

    now = await project.get(path)
    revisions = [(await project.get(f"{path}?at={position}")).headers["etag"] for position in (1, 2, 3)]
    then = await project.get(f"{path}?at=3")

    assert revisions == ['"1"', '"2"', '"3"']
    assert (then.text, then.headers["etag"]) == (now.text, now.headers["etag"])
    listed = made(await project.get("/models?at=3"), 200)
    assert listed == made(await project.get("/models"), 200)


async def test_what_is_written_while_the_log_is_read_is_counted_once(
    api: Api, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = api.project()
    await project.model("iris", owner_email=ANN)
    await have_keys(api, ANN)

    async def overtaken(connection: asyncpg.Connection) -> Head:
        head = await read_head(connection)
        await project.model(f"m{head.position}", owner_email=ANN)
        return head

    monkeypatch.setattr("modeltrail.commands.erasure.read_head", overtaken)
    code, out, _ = await modeltrail(database, "erase", "--email", ANN, "--yes", "--json")

    assert (code, json.loads(out)["events"]) == (0, 2)
    assert await differences(database, *INLINE) == []


async def test_people_whom_older_code_told_apart_are_erased_together(
    api: Api, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, spelt = api.project(), f" {ANN}"
    with monkeypatch.context() as older:
        older.setattr("modeltrail.eventlog.people.folded", str.casefold)
        await project.model("iris", owner_email=spelt)
    await project.model("lily", owner_email=spelt)

    _, foreseen, _ = await modeltrail(database, "erase", "--email", spelt, "--dry-run", "--json")
    code, out, _ = await modeltrail(database, "erase", "--email", spelt, "--yes", "--json")

    assert (code, len(json.loads(out)["rows"]["models"])) == (0, 2)
    assert json.loads(foreseen) == {**json.loads(out), "erased": False}
    async with connected(database) as connection:
        assert ANN.casefold() not in (await everything_in(connection)).casefold()


async def test_nobody_is_erased_from_tables_that_older_code_filled(api: Api, database: Database) -> None:
    await fill(api)
    async with connected(database) as connection:
        await connection.execute("UPDATE projections SET version = 1 WHERE name = 'models'")
        before = await everything_in(connection)

    code, _, err = await modeltrail(database, "erase", "--email", ANN, "--yes")

    assert code == 1
    assert "models: older code than this filled the table" in err
    async with connected(database) as connection:
        assert await everything_in(connection) == before


async def test_a_dry_run_a_no_and_no_answer_change_nothing(api: Api, database: Database) -> None:
    await fill(api)
    async with connected(database) as connection:
        before = await everything_in(connection)
        code, out, _ = await modeltrail(database, "erase", "--email", ANN, "--dry-run")
        assert (code, out.startswith("would erase: actor of 2 events, named in 2")) == (0, True)
        code, out, err = await modeltrail(database, "erase", "--email", ANN, stdin=b"n\n")
        assert (code, out, "for good" in err) == (0, "nothing was erased\n", True)
        code, out, err = await modeltrail(database, "erase", "--email", ANN, stdin=b"")
        assert (code, out) == (1, "")
        assert err.endswith("\nmodeltrail: nobody answered, and nothing was erased; answer y, or use --yes\n")

        assert await everything_in(connection) == before


async def test_somebody_unknown_is_told_and_not_written_down(api: Api, database: Database) -> None:
    await fill(api)
    for _ in range(2):
        code, _, err = await modeltrail(database, "erase", "--email", "eve@example.org", "--yes")
        assert (code, "never seen" in err, "eve@" in err) == (1, True, False)
    async with connected(database) as connection:
        assert await connection.fetchval("SELECT count(*) FROM person_keys") == 2


async def test_an_erased_person_who_comes_back_is_somebody_new(api: Api, database: Database) -> None:
    project = api.project()
    await project.model("iris", owner_email=ANN)
    await have_keys(api, ANN)
    await modeltrail(database, "erase", "--email", ANN, "--yes")
    project.services.people._known.clear()  # as ten seconds later

    await project.model("lily", owner_email=ANN)

    rows = [row["state"] for row in await read_rows(database) if row["topic"] == "registered_model.registered"]
    people = [json.loads(state)["owner_email"]["person"] for state in rows]
    assert len(set(people)) == 2
    assert b64encode(ANN.encode()).decode() not in str(rows)
    assert (await modeltrail(database, "erase", "--email", ANN, "--yes"))[0] == 0


async def test_of_two_who_erase_the_same_person_at_once_the_second_is_told(api: Api, database: Database) -> None:
    await fill(api)
    async with connected(database) as holder:
        await lock_log(holder, held=False)
        erase_her = ("erase", "--email", ANN, "--yes")
        both = [asyncio.create_task(modeltrail(database, *erase_her, stdin=b"")) for _ in range(2)]
        await eventually(partial(two_wait_for_the_log, database))
    ends = sorted([await each for each in both])

    assert [code for code, _, _ in ends] == [0, 1]
    assert "was never seen here, or was erased before" in ends[1][2]
    assert len([row for row in await read_rows(database) if row["topic"] == "person.erased"]) == 1
