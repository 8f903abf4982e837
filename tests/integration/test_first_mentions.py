"""A person's key comes into the database with the first event that names that person, and never without one."""

import asyncio
from functools import partial
from uuid import uuid4

import asyncpg
import pytest

from modeltrail.commands.committing.committer import LogUnavailableError
from modeltrail.commands.erasure import erase
from modeltrail.commands.models import Register
from modeltrail.domain.ids import ModelId
from modeltrail.domain.personal import Personal
from modeltrail.domain.registered_model_messages import RegisterModel
from modeltrail.eventlog.codec import Codec, encode_actor
from modeltrail.eventlog.first_mention import FirstMention, columns_of
from modeltrail.eventlog.keys import KeyRing
from modeltrail.eventlog.log import lock_log
from modeltrail.eventlog.people import SQL as PEOPLE
from modeltrail.eventlog.people import People, PersonKeys
from support.api import Api, Project, client_of, made, refusal, running_services
from support.cluster import eventually
from support.command_line import modeltrail
from support.committing import (
    Fragile,
    committer_on,
    connect_to,
    connected,
    context,
    fragile,
    read_log_over,
    somebody_waits_for_a_lock,
    two_wait_for_the_log,
)
from support.database import Database
from support.samples import PROJECT

ANN, BOB = "ann@example.org", "bob@example.org"
KEYS = KeyRing([("test", b"k" * 32)])


async def keys_in(pool: asyncpg.Pool) -> int:
    count: int = await pool.fetchval("SELECT count(*) FROM person_keys")
    return count


async def people_named_in(database: Database) -> list[str | None]:
    """Whom the log's events name, in their order: the actor, and then the owner."""
    async with connected(database) as connection:
        keys = PersonKeys(connection, KEYS)
        await keys.learn([row["person"] for row in await connection.fetch("SELECT person FROM person_keys")])
        log = await read_log_over(connection, Codec(keys.open))
    named = [
        each for recorded in log for each in (recorded.context.actor, getattr(recorded.event, "owner_email", None))
    ]
    return [each.text for each in named if isinstance(each, Personal)]


def owned_by(owner: Personal, name: str = "iris") -> Register:
    return Register(RegisterModel(model_id=ModelId(uuid4()), project_id=PROJECT, name=name, owner_email=owner))


async def test_whoever_is_refused_is_not_kept(api: Api, project: Project) -> None:
    model = await project.model("iris")
    path, nowhere = f"/models/{model['id']}", f"/models/{uuid4()}"

    answers = [
        await project.patch(nowhere, {"name": "x"}, X_User_Email="a@example.org"),
        await project.patch(path, {"name": "x"}, X_User_Email="b@example.org", If_Match='"9"'),
        await project.patch(path, {"state": "NONE"}, X_User_Email="c@example.org"),
        await project.post("/models", {"name": "iris", "owner_email": "d@example.org"}, X_User_Email="e@example.org"),
        await project.delete(path, X_User_Email="f@example.org"),
        await project.post(f"/models/{uuid4()}/versions", {"name": "v"}, X_User_Email="g@example.org"),
    ]

    assert [each.status_code for each in answers] == [404, 412, 400, 409, 400, 400]
    assert await keys_in(api.pool) == 0


async def test_whoever_changes_nothing_is_not_kept(api: Api, project: Project) -> None:
    model = await project.model("iris")

    made(await project.patch(f"/models/{model['id']}", {"name": "iris"}, X_User_Email=ANN), 200)

    assert (await project.events(), await keys_in(api.pool)) == (1, 0)


async def test_a_request_sent_again_keeps_nobody_else(api: Api, project: Project) -> None:
    first = await project.post("/models", {"name": "iris"}, X_User_Email=ANN, Idempotency_Key="k")
    again = await project.post("/models", {"name": "iris"}, X_User_Email=BOB, Idempotency_Key="k")

    assert (again.content, await keys_in(api.pool)) == (first.content, 1)


async def test_the_first_event_that_names_a_person_brings_the_key(
    api: Api, project: Project, database: Database
) -> None:
    made(await project.post("/models", {"name": "iris", "owner_email": ANN.upper()}, X_User_Email=ANN))
    made(await project.post("/models", {"name": "lily", "owner_email": BOB}, X_User_Email=ANN))

    assert await people_named_in(database) == [ANN, ANN.upper(), ANN, BOB]
    assert await keys_in(api.pool) == 2
    assert len(made(await project.get("/events?actor=ann%40example.org"), 200)["items"]) == 2
    assert (await modeltrail(database, "projections", "verify"))[0] == 0


async def test_many_first_mentions_at_once_end_with_one_key(database: Database) -> None:
    async with (
        running_services(database) as first,
        running_services(database) as second,
        client_of(first) as here,
        client_of(second) as there,
        connected(database) as holder,
    ):
        await lock_log(holder, held=False)
        writing = [
            asyncio.create_task(
                api.project().post("/models", {"name": "iris", "owner_email": ANN}, X_User_Email=ANN.upper())
            )
            for api in (here, there)
            for _ in range(20)
        ]
        assert await eventually(partial(two_wait_for_the_log, database))
        await holder.execute("SELECT pg_advisory_unlock_all()")

        assert [(await each).status_code for each in writing] == [201] * 40

        assert await keys_in(here.pool) == 1
        assert sorted(map(str, await people_named_in(database))) == [ANN.upper()] * 40 + [ANN] * 40
        assert (await modeltrail(database, "projections", "verify"))[0] == 0


async def test_somebody_who_came_and_was_erased_meanwhile_is_somebody_new(api: Api, database: Database) -> None:
    """The key that was erased must not come back: the first event would be readable again."""
    project = api.project()
    late = await api.services.people.seal(ANN)
    await project.model("iris", owner_email=ANN)
    (erased,) = await api.services.people.find(ANN)
    await modeltrail(database, "erase", "--email", ANN, "--yes")

    await api.services.committer.submit(owned_by(late, "lily"), context())

    (new,) = await api.services.people.find(ANN)
    assert new != erased
    assert await people_named_in(database) == [None, ANN]
    assert (await modeltrail(database, "projections", "verify"))[0] == 0


async def test_an_erasure_that_a_first_mention_waits_for_erases_whom_it_named_before(
    api: Api, database: Database
) -> None:
    project = api.project()
    mentions = [await api.services.people.seal(ANN) for _ in range(2)]
    await api.services.committer.submit(owned_by(mentions[0], "iris"), context())
    (person,) = await api.services.people.find(ANN)
    async with connected(database) as connection:
        await lock_log(connection, held=False)
        writing = asyncio.create_task(api.services.committer.submit(owned_by(mentions[1], "lily"), context()))
        assert await eventually(partial(somebody_waits_for_a_lock, database))
        await erase(connection, person, "a-request")

    await writing

    assert await people_named_in(database) == [None, ANN]
    assert (await project.get("/events?actor=ann%40example.org")).status_code == 200


async def test_a_key_that_another_process_made_and_this_one_cannot_open_is_no_fault_of_the_request(
    api: Api, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    mention = await api.services.people.seal(ANN)
    await project.model("iris", owner_email=ANN)
    await api.pool.execute("UPDATE person_keys SET key_id = 'newer'")

    async def looked_up_before(_people: People, _address: str) -> Personal:
        return mention

    monkeypatch.setattr(People, "seal", looked_up_before)
    answer = await project.post("/models", {"name": "lily", "owner_email": ANN})

    message = "this cannot be decrypted or encrypted: a secret key is missing here; tell whoever runs this service"
    assert refusal(answer) == (503, message)
    assert await project.events() == 1


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_connection_lost_at_the_write_makes_one_key(database: Database, moment: str) -> None:
    cuts = iter("a")

    async def cut(connection: Fragile, statement: str) -> None:
        if "INSERT INTO stored_events" in statement and next(cuts, None):
            connection.lose()

    async with (
        running_services(database) as services,
        committer_on(fragile(connect_to(database), **{moment: cut})) as committer,
    ):
        mentions = [await services.people.seal(ANN) for _ in range(2)]
        await asyncio.gather(
            *(committer.submit(owned_by(each, f"m{number}"), context()) for number, each in enumerate(mentions))
        )

        assert await people_named_in(database) == [ANN, ANN]
        assert await keys_in(services.pool) == 1


async def test_whoever_names_somebody_whose_key_older_code_stores_meanwhile_may_try_again(database: Database) -> None:
    """While versions change: the older one stores a key without the lock, before the event."""
    async with running_services(database) as services:
        mention = await services.people.seal(ANN)
        assert isinstance(mention, FirstMention)
        stored = mention.new_key()
        meanwhile = iter([columns_of([stored])])

        async def store(_connection: Fragile, statement: str) -> None:
            if "INSERT INTO stored_events" in statement and (columns := next(meanwhile, None)):
                await services.pool.execute(PEOPLE.insert_keys, *columns)

        async with committer_on(fragile(connect_to(database), before=store)) as committer:
            with pytest.raises(LogUnavailableError, match="stored by another process") as refused:
                await committer.submit(owned_by(mention), context())
            await committer.submit(owned_by(mention), context())

        assert not refused.value.unknown
        assert await services.people.find(ANN) == (stored.person,)
        assert await people_named_in(database) == [ANN]


async def test_a_command_that_fails_in_the_database_leaves_no_key(api: Api) -> None:
    """Its batch fails as a whole, and each command is tried alone."""
    mentions = [await api.services.people.seal(address) for address in (ANN, BOB)]
    commands = [owned_by(mentions[0], "iris"), owned_by(mentions[1], "with \0 in it")]

    outcomes = await asyncio.gather(
        *(api.services.committer.submit(command, context()) for command in commands), return_exceptions=True
    )

    assert [isinstance(each, Exception) for each in outcomes] == [False, True]
    assert (await api.services.people.find(BOB), await keys_in(api.pool)) == ((), 1)


async def test_an_address_that_nobody_has_sealed_yet_is_never_stored(api: Api) -> None:
    mention = await api.services.people.seal(ANN)

    with pytest.raises(ValueError, match="not sealed"):
        encode_actor(mention)
