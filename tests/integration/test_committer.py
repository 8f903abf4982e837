"""The committer on a real PostgreSQL: batches, races, refusals and lost connections."""

# asyncpg's functions carry no annotations.
# mypy: allow-untyped-calls

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from itertools import count
from typing import Any
from uuid import uuid4

import asyncpg
import msgspec
import pytest
from structlog.testing import capture_logs

from modeltrail.commands import deployments, environments, models, versions
from modeltrail.commands.committing import batch as deciding
from modeltrail.commands.committing.batch import Outcome
from modeltrail.commands.committing.committer import LogUnavailableError
from modeltrail.commands.decision import Credentials, Decision
from modeltrail.domain.decider import REGISTERED_MODEL
from modeltrail.domain.errors import ConflictError, DomainError, NotFoundError, StaleError
from modeltrail.domain.ids import DeploymentId, EnvironmentId, ModelId, ServiceId, VersionId
from modeltrail.domain.inference_service_messages import ConfirmDeployment
from modeltrail.domain.model_version_messages import VersionStatus
from modeltrail.domain.registered_model import Model
from modeltrail.domain.registered_model_messages import DefaultVersionChanged, ModelArchived, ModelState
from modeltrail.domain.serving_environment import CreateEnvironment
from modeltrail.eventlog import standstill
from modeltrail.eventlog.log import LOCK
from modeltrail.eventlog.streams import Loaded, load_streams
from modeltrail.postgres.connect import LOST
from modeltrail.postgres.embedded import EmbeddedPostgres
from modeltrail.projections.catalogue import INLINE
from modeltrail.projections.documents import read_documents
from modeltrail.projections.inference_services import INFERENCE_SERVICES
from modeltrail.projections.model_versions import MODEL_VERSIONS
from modeltrail.projections.models import MODELS
from modeltrail.projections.projection import Projection
from modeltrail.projections.serving_environments import SERVING_ENVIRONMENTS
from support.cluster import eventually
from support.committing import (
    Connect,
    Fragile,
    Sabotage,
    committer_on,
    connect_to,
    connected,
    context,
    fragile,
    read_log,
    read_rows,
    register,
    register_version,
    rename,
    somebody_waits_for_a_lock,
    submit_together,
)
from support.database import Database, migrate_as_the_command_does
from support.fold import assert_sound
from support.registry import registry
from support.samples import ENVIRONMENT, FIRST, MODEL, OTHER_VERSION, PROJECT, SERVICE, VERSION

WRITE = "INSERT INTO stored_events"
POISON = "a\0b"  # PostgreSQL's text holds everything but this


def kinds(outcomes: list[Outcome | BaseException]) -> list[str]:
    return [type(outcome).__name__ for outcome in outcomes]


def body(outcome: Outcome | BaseException) -> Any:  # Any: JSON
    assert isinstance(outcome, Outcome)
    assert outcome.document is not None
    return msgspec.json.decode(outcome.document.body)


async def transactions(connection: asyncpg.Connection) -> int:
    """How many transactions wrote the log."""
    count: int = await connection.fetchval("SELECT count(DISTINCT xmin::text) FROM stored_events")
    return count


# --- one batch --------------------------------------------------------------------------------------------


async def test_a_command_is_answered_with_the_resource_as_it_left_it(database: Database) -> None:
    async with committer_on(connect_to(database)) as committer:
        outcome = await committer.submit(register("iris", MODEL), context())

    assert (body(outcome)["id"], body(outcome)["name"], outcome.events) == (str(MODEL), "iris", 1)


async def test_an_event_keeps_who_asked_and_why(database: Database) -> None:
    asked = msgspec.structs.replace(context(), causation_id=17, request_id="req-2")
    async with committer_on(connect_to(database)) as committer:
        await committer.submit(register("iris"), asked)

    (recorded,) = await read_log(database)
    assert recorded.context == asked


async def test_of_those_who_race_for_a_name_one_gets_it(database: Database, connection: asyncpg.Connection) -> None:
    async with committer_on(connect_to(database)) as committer:
        outcomes = await submit_together(committer, *(register("iris") for _ in range(20)))

    assert kinds(outcomes) == ["Outcome"] + ["ConflictError"] * 19
    assert await connection.fetchval("SELECT count(*) FROM models") == 1


async def test_of_two_processes_that_race_for_a_name_one_gets_it(database: Database) -> None:
    async with committer_on(connect_to(database)) as one, committer_on(connect_to(database)) as other:
        outcomes = await asyncio.gather(
            *(each.submit(register(f"iris-{number}"), context()) for number in range(50) for each in (one, other)),
            return_exceptions=True,
        )

    for first, second in zip(outcomes[::2], outcomes[1::2], strict=True):
        assert sorted(kinds([first, second])) == ["ConflictError", "Outcome"]
    await assert_sound(database)


async def test_commands_that_arrive_together_share_a_transaction(
    database: Database, connection: asyncpg.Connection
) -> None:
    async with committer_on(connect_to(database)) as committer:
        await submit_together(committer, *(register(f"iris-{number}") for number in range(10)))

    assert await transactions(connection) == 1


async def test_a_crowd_is_written_in_two_transactions(database: Database, connection: asyncpg.Connection) -> None:
    async with committer_on(connect_to(database)) as committer:
        await submit_together(committer, *(register(f"iris-{number}") for number in range(30)))

    assert await transactions(connection) == 2


async def test_a_batch_is_no_larger_than_it_may_be(database: Database, connection: asyncpg.Connection) -> None:
    async with committer_on(connect_to(database), max_batch=10) as committer:
        outcomes = await submit_together(committer, *(register(f"iris-{number}") for number in range(30)))

    assert kinds(outcomes) == ["Outcome"] * 30
    assert await transactions(connection) == 3


async def test_a_refused_command_is_refused_alone(database: Database, connection: asyncpg.Connection) -> None:
    async with committer_on(connect_to(database)) as committer:
        outcomes = await submit_together(
            committer,
            register("iris", MODEL),
            register("iris"),
            rename(ModelId(uuid4()), "ghost"),
            models.Revise(project_id=PROJECT, model_id=MODEL, name="late", expected_revision=7),
            register("rose"),
        )

    assert kinds(outcomes) == ["Outcome", "ConflictError", "NotFoundError", "StaleError", "Outcome"]
    assert isinstance(outcomes[1], ConflictError)
    assert isinstance(outcomes[2], NotFoundError)
    assert isinstance(outcomes[3], StaleError)
    assert await transactions(connection) == 1
    await assert_sound(database)


class Faulty:
    """A command with a bug in it."""

    async def decide(self) -> Decision:
        raise ZeroDivisionError("a bug")


async def test_a_command_with_a_bug_fails_alone(database: Database, connection: asyncpg.Connection) -> None:
    async with committer_on(connect_to(database)) as committer:
        outcomes = await submit_together(committer, register("iris"), Faulty(), register("rose"))

    assert kinds(outcomes) == ["Outcome", "ZeroDivisionError", "Outcome"]
    assert await transactions(connection) == 1


@pytest.mark.parametrize("place", [0, 1, 2])
async def test_a_value_that_the_database_refuses_harms_nobody_else(database: Database, place: int) -> None:
    commands = [register("iris"), register("rose")]
    commands.insert(place, register(POISON))
    async with committer_on(connect_to(database)) as committer:
        outcomes = await submit_together(committer, *commands)
        afterwards = await committer.submit(register("lily"), context())

    assert [type(outcome) is Outcome for outcome in outcomes] == [number != place for number in range(3)]
    assert afterwards.events == 1
    await assert_sound(database)


async def test_a_value_that_only_a_read_table_refuses_harms_nobody_else(
    database: Database, connection: asyncpg.Connection
) -> None:
    await connection.execute("ALTER TABLE models ADD CONSTRAINT no_llm CHECK (model_type <> 'LLM')")
    async with committer_on(connect_to(database)) as committer:
        await committer.submit(register("iris", MODEL), context())
        outcomes = await submit_together(
            committer,
            register("rose"),
            models.Revise(project_id=PROJECT, model_id=MODEL, model_type="LLM"),
            register("lily"),
        )

    assert kinds(outcomes) == ["Outcome", "CheckViolationError", "Outcome"]
    assert len(await read_log(database)) == 3
    await assert_sound(database)


async def test_commands_of_a_batch_see_what_those_before_them_did(
    database: Database, connection: asyncpg.Connection
) -> None:
    async with committer_on(connect_to(database)) as committer:
        outcomes = await submit_together(
            committer,
            register("iris", MODEL),
            register_version("v1", MODEL, VERSION, is_default=True),
            versions.Revise(project_id=PROJECT, version_id=VERSION, status=VersionStatus.READY),
            environments.Create(CreateEnvironment(environment_id=ENVIRONMENT, project_id=PROJECT, name="prod")),
            deployments.Deploy(
                project_id=PROJECT,
                service_id=SERVICE,
                deployment_id=FIRST,
                model_id=MODEL,
                environment_id=ENVIRONMENT,
                default_namespace="models",
            ),
            deployments.Report(SERVICE, ConfirmDeployment(deployment_id=FIRST, external_id="uid-1", url="http://iris")),
            rename(MODEL, "irises"),
        )

    service = body(outcomes[5])
    assert (service["current_state"], service["registered_model_name"]) == ("DEPLOYED", "irises")
    assert [outcome.events for outcome in outcomes if isinstance(outcome, Outcome)] == [1, 2, 1, 1, 2, 1, 1]
    assert await transactions(connection) == 1
    await assert_sound(database)


async def test_answers_of_a_batch_show_what_all_of_it_left(database: Database) -> None:
    async with committer_on(connect_to(database)) as committer:
        first, _ = await submit_together(committer, register("iris", MODEL), rename(MODEL, "irises"))

    assert body(first)["name"] == "irises"


async def test_a_command_does_not_see_those_behind_it(database: Database) -> None:
    async with committer_on(connect_to(database)) as committer:
        outcomes = await submit_together(committer, rename(MODEL, "irises"), register("iris", MODEL))

    assert kinds(outcomes) == ["NotFoundError", "Outcome"]


async def test_a_name_given_up_in_a_batch_can_be_taken_in_it(database: Database) -> None:
    async with committer_on(connect_to(database)) as committer:
        await committer.submit(register("iris", MODEL), context())
        outcomes = await submit_together(committer, rename(MODEL, "irises"), register("iris"))

    assert kinds(outcomes) == ["Outcome", "Outcome"]
    await assert_sound(database)


async def test_names_can_be_swapped_in_a_batch(database: Database) -> None:
    rose = ModelId(uuid4())
    async with committer_on(connect_to(database)) as committer:
        await submit_together(committer, register("iris", MODEL), register("rose", rose))
        outcomes = await submit_together(
            committer, rename(MODEL, "between"), rename(rose, "iris"), rename(MODEL, "rose")
        )

    assert kinds(outcomes) == ["Outcome"] * 3
    await assert_sound(database)


async def test_a_command_that_changes_nothing_adds_nothing(database: Database) -> None:
    async with committer_on(connect_to(database)) as committer:
        await committer.submit(register("iris", MODEL), context())
        outcome = await committer.submit(rename(MODEL, "iris"), context())

    assert outcome.events == 0
    assert body(outcome)["name"] == "iris"
    assert len(await read_log(database)) == 1


async def test_an_answer_is_what_a_read_would_give(database: Database, connection: asyncpg.Connection) -> None:
    async with committer_on(connect_to(database)) as committer:
        outcomes = await submit_together(
            committer,
            register("iris", MODEL),
            register("rose"),
            register_version("v1", MODEL, VERSION),
            environments.Create(CreateEnvironment(environment_id=ENVIRONMENT, project_id=PROJECT, name="prod")),
            versions.Revise(project_id=PROJECT, version_id=VERSION, status=VersionStatus.READY),
            deployments.Deploy(
                project_id=PROJECT,
                service_id=SERVICE,
                deployment_id=FIRST,
                model_id=MODEL,
                environment_id=ENVIRONMENT,
                default_namespace="models",
            ),
        )

    projections: tuple[Projection[Any], ...] = (  # Any: each of its own kind
        MODELS,
        MODELS,
        MODEL_VERSIONS,
        SERVING_ENVIRONMENTS,
        MODEL_VERSIONS,
        INFERENCE_SERVICES,
    )
    async with connected(database) as reader:
        for outcome, projection in zip(outcomes, projections, strict=True):
            assert isinstance(outcome, Outcome)
            assert outcome.document is not None
            id_ = outcome.document.id
            assert await read_documents(reader, projection, [id_]) == {id_: outcome.document}


async def test_a_row_of_another_project_is_not_found(database: Database) -> None:
    async with committer_on(connect_to(database)) as committer:
        await committer.submit(register("iris", MODEL), context())
        stranger = msgspec.structs.replace(rename(MODEL, "mine"), project_id=uuid4())

        with pytest.raises(NotFoundError):
            await committer.submit(stranger, context())


async def test_a_default_moves_in_one_transaction(database: Database, connection: asyncpg.Connection) -> None:
    async with committer_on(connect_to(database)) as committer:
        await submit_together(
            committer, register("iris", MODEL), register_version("v1", MODEL, VERSION, is_default=True)
        )
        await committer.submit(register_version("v2", MODEL, OTHER_VERSION, is_default=True), context())

    (_, _, _, registered, moved) = await read_rows(database)
    assert registered["command_id"] == moved["command_id"]
    defaults = await connection.fetch("SELECT id FROM model_versions WHERE (body->>'is_default')::bool")
    assert [row["id"] for row in defaults] == [OTHER_VERSION]
    assert (await read_log(database))[-1].event == DefaultVersionChanged(
        version_id=OTHER_VERSION, previous_version_id=VERSION
    )
    await assert_sound(database)


async def test_racing_defaults_leave_one(database: Database, connection: asyncpg.Connection) -> None:
    async with committer_on(connect_to(database)) as one, committer_on(connect_to(database)) as other:
        await one.submit(register("iris", MODEL), context())
        await asyncio.gather(
            *(
                each.submit(register_version(f"v{number}-{side}", MODEL, is_default=True), context())
                for number in range(10)
                for side, each in enumerate((one, other))
            )
        )

    assert await connection.fetchval("SELECT count(*) FROM model_versions WHERE (body->>'is_default')::bool") == 1
    await assert_sound(database)


async def test_a_stream_is_begun_once(database: Database) -> None:
    async with committer_on(connect_to(database)) as committer:
        outcomes = await submit_together(committer, register("iris", MODEL), register("rose", MODEL))
        with pytest.raises(ConflictError, match="exists already"):
            await committer.submit(register("lily", MODEL), context())

    assert kinds(outcomes) == ["Outcome", "ConflictError"]
    assert len(await read_log(database)) == 1
    await assert_sound(database)


async def test_a_command_whose_second_event_breaks_leaves_nothing_of_its_first(
    database: Database, connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    (projection,) = (each for each in INLINE if each.name == "models")
    apply = projection.apply

    def broken(row: Any, recorded: Any) -> Any:  # Any: as the projection takes them
        if isinstance(recorded.event, ModelArchived):
            raise ZeroDivisionError("a bug in a projection")
        return apply(row, recorded)

    monkeypatch.setitem(vars(projection), "apply", broken)
    async with committer_on(connect_to(database)) as committer:
        await committer.submit(register("iris", MODEL), context())
        both = models.Revise(project_id=PROJECT, model_id=MODEL, description="new", state=ModelState.ARCHIVED)
        outcomes = await submit_together(committer, register("rose"), both, register("lily"))

    assert kinds(outcomes) == ["Outcome", "ZeroDivisionError", "Outcome"]
    assert len(await read_log(database)) == 3
    await assert_sound(database)


# --- time and positions -----------------------------------------------------------------------------------


async def test_events_of_one_command_share_their_time_and_commands_never_do(database: Database) -> None:
    change = models.Revise(project_id=PROJECT, model_id=MODEL, name="irises", description="new", model_size=7)
    async with committer_on(connect_to(database)) as committer:
        await submit_together(committer, register("iris", MODEL), change, register("rose"))

    first, *changes, last = [recorded.recorded_at for recorded in await read_log(database)]
    assert len(changes) == 3
    assert len(set(changes)) == 1
    assert first < changes[0] < last


async def test_times_grow_though_the_clock_goes_back(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    clock: Iterator[datetime] = iter([datetime(2030, 1, 1, tzinfo=UTC), *[datetime(2029, 1, 1, tzinfo=UTC)] * 9])

    class Clock(datetime):
        @classmethod
        def now(cls, tz: object = None) -> Any:  # Any: datetime's own answer is `Self`
            return next(clock)

    monkeypatch.setattr(deciding, "datetime", Clock)
    async with committer_on(connect_to(database)) as committer:
        for name in ("iris", "rose", "lily"):
            await committer.submit(register(name), context())

    times = [recorded.recorded_at for recorded in await read_log(database)]
    assert times == sorted(set(times))
    assert times[0].year == times[-1].year == 2030


async def test_refusals_and_rollbacks_leave_no_gap(database: Database) -> None:
    async with committer_on(connect_to(database)) as committer:
        for number in range(5):
            await submit_together(committer, register(f"iris-{number}"), register("iris-0"), register(POISON))

    assert [recorded.position for recorded in await read_log(database)] == [1, 2, 3, 4, 5]


# --- lost connections -------------------------------------------------------------------------------------


def once(sabotage: Sabotage) -> Sabotage:
    """Break one connection, and leave the others be."""
    left = iter([sabotage])

    async def break_next(connection: Fragile, statement: str) -> None:
        chosen = next(left, None)
        if chosen is not None:
            await chosen(connection, statement)

    return break_next


def at(word: str, sabotage: Sabotage) -> Sabotage:
    """Break the first connection that comes to a statement with this word."""
    armed = once(sabotage)

    async def maybe(connection: Fragile, statement: str) -> None:
        if word in statement:
            await armed(connection, statement)

    return maybe


async def cut(connection: Fragile, _statement: str) -> None:
    connection.lose()


anywhen = pytest.mark.parametrize("moment", ["before", "after"])


@anywhen
@pytest.mark.parametrize("word", ["lock_log", "FROM models", "INSERT INTO stored_events"])
async def test_a_connection_lost_anywhere_loses_and_doubles_nothing(database: Database, word: str, moment: str) -> None:
    connect = fragile(connect_to(database), **{moment: at(word, cut)})
    async with committer_on(connect) as committer:
        await committer.submit(register("tulip"), context())
        outcomes = await submit_together(
            committer, register("iris", MODEL), rename(MODEL, "irises"), register("rose"), register("rose")
        )

    assert kinds(outcomes) == ["Outcome", "Outcome", "Outcome", "ConflictError"]
    assert [body(outcome)["name"] for outcome in outcomes[:3]] == ["irises", "irises", "rose"]
    assert len(await read_log(database)) == 4
    await assert_sound(database)


@anywhen
@pytest.mark.parametrize(
    "word", ["BEGIN", "INSERT INTO stored_events", "INSERT INTO credentials", "COMMIT", "FROM models AS m"]
)
async def test_a_connection_lost_in_a_longer_transaction_loses_and_doubles_nothing(
    database: Database, connection: asyncpg.Connection, word: str, moment: str
) -> None:
    credentials = Credentials(VERSION, PROJECT, "key-1", b"box")
    with_credentials = msgspec.structs.replace(register_version("v1", MODEL, VERSION), credentials=credentials)
    async with committer_on(fragile(connect_to(database), **{moment: at(word, cut)})) as committer:
        outcomes = await submit_together(committer, register("iris", MODEL), with_credentials)

    assert kinds(outcomes) == ["Outcome", "Outcome"]
    assert body(outcomes[0])["latest_version"]["id"] == str(VERSION)
    assert await connection.fetchval("SELECT count(*) FROM credentials") == 1
    assert len(await read_log(database)) == 2
    await assert_sound(database)


async def test_a_connection_lost_twice_after_the_write_loses_and_doubles_nothing(database: Database) -> None:
    cuts = iter("ab")

    async def cut_twice(connection: Fragile, statement: str) -> None:
        if WRITE in statement and next(cuts, None):
            connection.lose()

    async with committer_on(fragile(connect_to(database), after=cut_twice)) as committer:
        outcomes = await submit_together(committer, register("iris"), register("rose"))

    assert kinds(outcomes) == ["Outcome", "Outcome"]
    assert len(await read_log(database)) == 2


async def test_a_rush_at_the_database_after_a_lost_answer_doubles_nothing(database: Database) -> None:
    """Many clients reconnect at once after a restart, and some are turned away at first."""
    real = fragile(connect_to(database), after=at(WRITE, cut))
    answers = iter([None, asyncpg.TooManyConnectionsError("sorry, too many clients already")])

    async def connect() -> asyncpg.Connection:
        refusal = next(answers, None)
        if refusal is not None:
            raise refusal
        return await real()

    async with committer_on(connect) as committer:
        outcomes = await submit_together(committer, register("iris"), register("rose"))

    assert kinds(outcomes) == ["Outcome", "Outcome"]
    assert len(await read_log(database)) == 2


async def test_a_batch_that_was_written_and_then_fails_as_a_whole_is_not_written_twice(database: Database) -> None:
    """After a lost answer the batch fails as a whole for another reason: each command alone must still be found."""

    tries = count(1)

    async def fail_second_try(_connection: Fragile, statement: str) -> None:
        if "lock_log" in statement and next(tries) == 2:
            raise asyncpg.InternalServerError("a passing fault")

    connect = fragile(connect_to(database), before=fail_second_try, after=at(WRITE, cut))
    async with committer_on(connect) as committer:
        outcomes = await submit_together(committer, register("iris"), register("rose"))

    assert kinds(outcomes) == ["Outcome", "Outcome"]
    assert len(await read_log(database)) == 2


async def kill_writers(database: Database) -> int:
    """End the connections of all committers, as an administrator would. How many there were."""
    async with connected(database) as connection:
        killed = await connection.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'modeltrail writer'"
            " AND datname = current_database() AND pid <> pg_backend_pid()"
        )
    return len(killed)


async def test_a_connection_killed_between_batches_is_replaced(database: Database) -> None:
    async with committer_on(connect_to(database)) as committer:
        await committer.submit(register("iris"), context())
        assert await kill_writers(database) == 1
        outcome = await committer.submit(register("rose"), context())

    assert outcome.events == 1
    await assert_sound(database)


@anywhen
async def test_a_connection_killed_at_the_write_loses_and_doubles_nothing(database: Database, moment: str) -> None:
    async def kill(_connection: Fragile, _statement: str) -> None:
        assert await kill_writers(database) == 1

    async with committer_on(fragile(connect_to(database), **{moment: at(WRITE, kill)})) as committer:
        outcomes = await submit_together(committer, register("iris"), register("rose"))

    assert kinds(outcomes) == ["Outcome", "Outcome"]
    assert len(await read_log(database)) == 2


async def test_connections_killed_at_random_lose_and_double_nothing(database: Database) -> None:
    ids = [uuid4() for _ in range(600)]
    async with committer_on(connect_to(database), max_batch=5) as committer:

        async def write(number: int) -> Outcome:
            return await committer.submit(register(f"iris-{number}"), context(command_id=ids[number]))

        writing = [asyncio.ensure_future(write(number)) for number in range(600)]
        killed = 0
        for number in range(0, 600, 40):
            await asyncio.wait([writing[number]])
            killed += await kill_writers(database)
        outcomes = await asyncio.gather(*writing)

    assert killed > 3
    assert {outcome.events for outcome in outcomes} == {1}
    assert sorted(recorded.context.command_id for recorded in await read_log(database)) == sorted(ids)
    await assert_sound(database)


# --- a database that is busy or away ----------------------------------------------------------------------


async def test_a_full_queue_turns_commands_away(database: Database, connection: asyncpg.Connection) -> None:
    async with committer_on(connect_to(database), max_queue=2) as committer:
        await connection.execute(f"SELECT pg_advisory_lock({LOCK})")
        under_way = asyncio.ensure_future(committer.submit(register("iris-1"), context()))
        await eventually(partial(somebody_waits_for_a_lock, database))
        queued = [asyncio.ensure_future(committer.submit(register(f"iris-{n}"), context())) for n in (2, 3)]
        await asyncio.sleep(0)
        with pytest.raises(LogUnavailableError, match="2 commands are waiting already") as turned_away:
            await committer.submit(register("iris-4"), context())
        await connection.execute(f"SELECT pg_advisory_unlock({LOCK})")
        outcomes = await asyncio.gather(under_way, *queued)

    assert turned_away.value.unknown is False
    assert [outcome.events for outcome in outcomes] == [1, 1, 1]


def connect_with(database: Database, setting: str) -> Connect:
    async def connect() -> asyncpg.Connection:
        connection = await connect_to(database)()
        await connection.execute(f"SET {setting}")
        return connection

    return connect


def impatient(database: Database) -> Connect:
    return connect_with(database, "lock_timeout = '50ms'")


async def test_a_writer_that_waits_too_long_says_that_nothing_was_written(
    database: Database, connection: asyncpg.Connection
) -> None:
    await connection.execute(f"SELECT pg_advisory_lock({LOCK})")
    async with committer_on(impatient(database)) as committer:
        with pytest.raises(LogUnavailableError) as unavailable:
            await committer.submit(register("iris"), context())
        await connection.execute(f"SELECT pg_advisory_unlock({LOCK})")
        assert unavailable.value.unknown is False
        assert (await committer.submit(register("iris"), context())).events == 1


async def test_a_writer_that_waits_too_long_after_a_lost_answer_says_that_it_does_not_know(
    database: Database, connection: asyncpg.Connection
) -> None:
    async def queue_up_and_cut(broken: Fragile, _statement: str) -> None:
        locking.append(asyncio.ensure_future(connection.execute(f"SELECT pg_advisory_lock({LOCK})")))
        await eventually(partial(somebody_waits_for_a_lock, database))
        broken.lose()

    locking: list[asyncio.Future[str]] = []
    async with committer_on(fragile(impatient(database), after=at(WRITE, queue_up_and_cut))) as committer:
        with pytest.raises(LogUnavailableError) as unavailable:
            await committer.submit(register("iris"), context())

    assert unavailable.value.unknown is True
    assert len(await read_log(database)) == 1


async def test_a_server_that_takes_no_writes_is_left_for_one_that_does(database: Database) -> None:
    """A primary that has become a standby keeps its connections, and its name may lead to the new one."""
    settings = iter(["on"])

    async def connect() -> asyncpg.Connection:
        setting = f"default_transaction_read_only = {next(settings, 'off')}"
        return await connect_with(database, setting)()

    async with committer_on(connect) as committer:
        with pytest.raises(LogUnavailableError, match="read-only") as unavailable:
            await committer.submit(register("iris"), context())
        assert unavailable.value.unknown is False
        assert (await committer.submit(register("iris"), context())).events == 1


async def test_a_full_disk_is_told_to_all_in_the_batch_as_nothing_that_was_written(database: Database) -> None:
    async def fill(_connection: Fragile, _statement: str) -> None:
        raise asyncpg.DiskFullError("could not extend file")

    async with committer_on(fragile(connect_to(database), before=at(WRITE, fill))) as committer:
        refused = await submit_together(committer, register("iris"), register("rose"))
        assert [(type(each), getattr(each, "unknown", None)) for each in refused] == [(LogUnavailableError, False)] * 2
        assert (await committer.submit(register("iris"), context())).events == 1


async def test_a_database_with_another_default_isolation_changes_nothing(
    database: Database, connection: asyncpg.Connection
) -> None:
    await connection.execute(f"ALTER DATABASE {database.name} SET default_transaction_isolation = 'repeatable read'")
    async with (
        committer_on(connect_to(database), max_batch=3) as one,
        committer_on(connect_to(database), max_batch=3) as other,
    ):
        outcomes = await asyncio.gather(
            *(each.submit(register(f"iris-{number}"), context()) for number in range(40) for each in (one, other)),
            return_exceptions=True,
        )

    assert {type(outcome) for outcome in outcomes} == {Outcome, ConflictError}
    await assert_sound(database)


async def test_a_writer_reads_what_was_committed_while_it_waited_whatever_the_default(
    database: Database, connection: asyncpg.Connection
) -> None:
    await connection.execute(f"ALTER DATABASE {database.name} SET default_transaction_isolation = 'serializable'")
    async with connected(database) as writing:
        assert await writing.fetchval("SHOW transaction_isolation") == "read committed"


async def assert_others_are_let_in(database: Database, connect: Connect, within: float | None = None) -> None:
    """A writer over `connect` stands still with the lock; another takes the name that it has decided on."""
    stopped, go_on = asyncio.Event(), asyncio.Event()

    async def stand_still(_connection: Fragile, _statement: str) -> None:
        stopped.set()
        await go_on.wait()

    standing = fragile(connect, before=at(WRITE, stand_still))
    async with committer_on(standing) as still, committer_on(connect_to(database)) as other:
        waiting = asyncio.ensure_future(still.submit(register("iris"), context()))
        await stopped.wait()
        outcome = await asyncio.wait_for(other.submit(register("iris"), context()), within)
        go_on.set()
        with pytest.raises(ConflictError):
            await waiting

    assert outcome.events == 1
    await assert_sound(database)


async def test_a_writer_that_stands_still_with_the_lock_does_not_keep_out_the_others(database: Database) -> None:
    await assert_others_are_let_in(database, connect_with(database, "idle_session_timeout = '100ms'"), within=5)


async def test_those_who_wait_put_out_a_writer_that_stands_still_with_the_lock(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standstill, "STILL_SECONDS", 0.1)
    await assert_others_are_let_in(database, connect_to(database))


async def test_a_writer_that_is_frozen_in_a_transaction_does_not_keep_out_the_others(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standstill, "STILL_SECONDS", 0.1)
    async with connected(database) as still, committer_on(connect_to(database)) as other:
        await still.execute(f"BEGIN; DELETE FROM snapshots; SELECT pg_advisory_lock({LOCK})")
        outcome = await other.submit(register("iris"), context())
        with pytest.raises(LOST):
            await still.execute("COMMIT")

    assert outcome.events == 1


async def somebody_sleeps(database: Database) -> bool:
    async with connected(database) as connection:
        sleeping: bool = await connection.fetchval(
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep')"
        )
    return sleeping


async def test_a_writer_that_the_server_works_for_keeps_the_lock_however_long_others_wait(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standstill, "STILL_SECONDS", 0.05)
    monkeypatch.setattr(standstill, "LOOK_SECONDS", 0.05)
    async with connected(database) as busy, committer_on(connect_to(database)) as other:
        working = asyncio.ensure_future(busy.execute(f"SELECT pg_advisory_xact_lock({LOCK}), pg_sleep(0.5)"))
        await eventually(partial(somebody_sleeps, database))
        outcome = await other.submit(register("iris"), context())
        await working

    assert outcome.events == 1


async def test_a_lock_that_another_program_holds_is_left_to_it(
    database: Database, connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standstill, "STILL_SECONDS", 0.05)
    await connection.execute(f"SELECT pg_advisory_lock({LOCK})")
    async with committer_on(connect_with(database, "lock_timeout = '500ms'")) as committer:
        with pytest.raises(LogUnavailableError):
            await committer.submit(register("iris"), context())

    assert await connection.fetchval(f"SELECT pg_advisory_unlock({LOCK})")


async def test_a_writer_that_had_nothing_to_do_for_long_is_connected_again(database: Database) -> None:
    async with committer_on(connect_with(database, "idle_session_timeout = '50ms'")) as committer:
        await committer.submit(register("iris"), context())

        async def is_disconnected() -> bool:
            async with connected(database) as connection:
                others: int = await connection.fetchval(
                    "SELECT count(*) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            return others == 0

        await eventually(is_disconnected)
        outcome = await committer.submit(register("rose"), context())

    assert outcome.events == 1


async def test_a_database_that_goes_away_is_said_to_be_away_and_used_again_when_it_is_back(
    embedded_server: EmbeddedPostgres,
) -> None:
    await embedded_server.ensure_database("models")
    database = Database.from_dsn(embedded_server.dsn("models"))
    await migrate_as_the_command_does(database.dsn)

    async with committer_on(connect_to(database), reconnect_seconds=0.2) as committer:
        await committer.submit(register("iris"), context())
        embedded_server.kill()
        with pytest.raises(LogUnavailableError, match="the database cannot be reached") as unavailable:
            await committer.submit(register("rose"), context())
        embedded_server.start()
        outcome = await committer.submit(register("rose"), context())

    assert unavailable.value.unknown is False
    assert outcome.events == 1
    assert len(await read_log(database)) == 2


async def test_a_database_that_is_away_does_not_fill_the_log(database: Database) -> None:
    tries = count(1)

    async def connect() -> asyncpg.Connection:
        if next(tries) > 1:
            raise ConnectionRefusedError("nobody there")
        return await connect_to(database)()

    async with committer_on(fragile(connect, before=at("lock_log", cut)), reconnect_seconds=0.2) as committer:
        with capture_logs() as logs, pytest.raises(LogUnavailableError, match="the database cannot be reached"):
            await committer.submit(register("iris"), context())

    assert next(tries) > 3
    assert [line["event"] for line in logs] == ["the database connection was lost; trying again"]


async def test_a_database_that_restarts_is_waited_for(embedded_server: EmbeddedPostgres) -> None:
    await embedded_server.ensure_database("models")
    database = Database.from_dsn(embedded_server.dsn("models"))
    await migrate_as_the_command_does(database.dsn)

    async with committer_on(connect_to(database)) as committer:
        embedded_server.kill()
        waiting = asyncio.gather(*(committer.submit(register(f"iris-{number}"), context()) for number in range(20)))
        await asyncio.to_thread(embedded_server.start)
        outcomes = await waiting

    assert {outcome.events for outcome in outcomes} == {1}
    assert len(await read_log(database)) == 20


@pytest.mark.parametrize(
    ("statement", "may_be_written", "written"), [("lock_log", False, ["lily"]), (WRITE, True, ["iris", "lily"])]
)
async def test_whoever_gives_up_a_database_that_hangs_is_told_whether_the_change_may_still_come(
    database: Database, statement: str, *, may_be_written: bool, written: list[str]
) -> None:
    going_on = asyncio.Event()

    async def hang(_connection: Fragile, sent: str) -> None:
        if statement in sent:
            await going_on.wait()

    async with committer_on(fragile(connect_to(database), before=hang), answer_seconds=0.2) as committer:
        with pytest.raises(LogUnavailableError, match="the database does not answer") as given_up:
            await committer.submit(register("iris"), context())
        going_on.set()
        await committer.submit(register("lily"), context())

    assert given_up.value.unknown is may_be_written
    assert [getattr(recorded.event, "name", None) for recorded in await read_log(database)] == written


# --- closing ----------------------------------------------------------------------------------------------


async def test_closing_leaves_nobody_waiting(database: Database, connection: asyncpg.Connection) -> None:
    """Neither those in the queue, nor those of a batch that is being written one command at a time."""
    stop = asyncio.Event()

    tries = count(1)

    async def hold(_connection: Fragile, statement: str) -> None:
        if "lock_log" in statement and next(tries) == 2:
            stop.set()
            await asyncio.Event().wait()

    async with committer_on(fragile(connect_to(database), before=hold), max_batch=3) as committer:
        names = [POISON, "iris", "rose", "lily"]
        waiting = [asyncio.ensure_future(committer.submit(register(name), context())) for name in names]
        await asyncio.wait_for(stop.wait(), 5)

    done, pending = await asyncio.wait(waiting, timeout=1)
    for each in pending:
        each.cancel()
    assert not pending
    assert len(done) == 4


async def test_a_closed_committer_takes_no_commands(database: Database) -> None:
    async with committer_on(connect_to(database)) as committer:
        pass

    with pytest.raises(LogUnavailableError):
        await asyncio.wait_for(committer.submit(register("iris"), context()), 1)


async def test_a_caller_who_gives_up_before_the_batch_begins_has_asked_nothing(
    database: Database, connection: asyncpg.Connection
) -> None:
    async with committer_on(connect_to(database)) as committer:
        await connection.execute(f"SELECT pg_advisory_lock({LOCK})")
        first = asyncio.ensure_future(committer.submit(register("iris"), context()))
        await eventually(partial(somebody_waits_for_a_lock, database))
        gone = asyncio.ensure_future(committer.submit(register("rose"), context()))
        await asyncio.sleep(0)
        gone.cancel()
        await connection.execute(f"SELECT pg_advisory_unlock({LOCK})")
        await first
        await committer.submit(register("lily"), context())

    assert len(await read_log(database)) == 2


# --- loading streams --------------------------------------------------------------------------------------


async def write_long_stream(database: Database) -> None:
    """One model with 250 events, the last of which describes it as number 249."""
    async with committer_on(connect_to(database), max_batch=7) as committer:
        await submit_together(
            committer,
            register("iris", MODEL),
            *(models.Revise(project_id=PROJECT, model_id=MODEL, description=f"number {n}") for n in range(1, 250)),
        )


async def load(connection: asyncpg.Connection) -> tuple[Model, int]:
    loaded: Loaded = (await load_streams(connection, {MODEL: REGISTERED_MODEL}))[MODEL]
    assert isinstance(loaded.state, Model)
    return loaded.state, loaded.version


async def test_a_long_stream_has_a_snapshot_and_loads_as_all_its_events(database: Database) -> None:
    await write_long_stream(database)

    async with connected(database) as connection:
        (snapshot,) = await connection.fetch("SELECT * FROM snapshots")
        state, version = await load(connection)
    assert (snapshot["stream"], snapshot["shape"]) == (MODEL, REGISTERED_MODEL.shape)
    assert 200 <= snapshot["version"] < 207
    assert (state.description, version) == ("number 249", 250)


async def test_loading_begins_at_the_snapshot(database: Database) -> None:
    """Shown by a snapshot that says something else than the events before it."""
    await write_long_stream(database)

    async with connected(database) as connection:
        await connection.execute(
            "UPDATE snapshots SET state = convert_to(replace(convert_from(state, 'UTF8'), 'iris', 'rose'), 'UTF8')"
        )
        state, version = await load(connection)
    assert (state.name, state.description, version) == ("rose", "number 249", 250)


async def test_a_snapshot_of_another_shape_is_ignored(database: Database) -> None:
    await write_long_stream(database)

    async with connected(database) as connection:
        await connection.execute("UPDATE snapshots SET shape = shape - 1, state = 'an old shape'")
        state, version = await load(connection)
    assert (state.name, state.description, version) == ("iris", "number 249", 250)


async def test_a_long_stream_goes_on_behind_its_snapshot(database: Database) -> None:
    await write_long_stream(database)
    async with committer_on(connect_to(database)) as committer:
        outcome = await committer.submit(rename(MODEL, "irises"), context())

    assert outcome.events == 1
    assert (await read_log(database))[-1].version == 251
    await assert_sound(database)


# --- the log itself ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE stored_events SET topic = 'something else'",
        "DELETE FROM stored_events",
        "DELETE FROM stored_events WHERE notification_id = 1",
        "TRUNCATE stored_events",
        "INSERT INTO stored_events SELECT * FROM stored_events ON CONFLICT (notification_id) DO UPDATE SET topic = 'x'",
    ],
)
async def test_the_database_refuses_to_change_what_is_written(
    database: Database, connection: asyncpg.Connection, statement: str
) -> None:
    async with committer_on(connect_to(database)) as committer:
        await committer.submit(register("iris"), context())

    with pytest.raises(asyncpg.RaiseError, match="the event log is append-only"):
        await connection.execute(statement)


async def test_listeners_hear_of_new_events_once_they_are_committed(
    database: Database, connection: asyncpg.Connection
) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    await connection.add_listener("modeltrail_events", lambda *event: heard.put_nowait(event[-1]))
    async with committer_on(connect_to(database)) as committer:
        await submit_together(committer, register("iris"), register("rose"))

    assert await asyncio.wait_for(heard.get(), 5) == "2"


async def test_a_made_up_name_that_has_no_room_is_refused(database: Database) -> None:
    environment = EnvironmentId(uuid4())
    wish = CreateEnvironment(environment_id=environment, project_id=PROJECT, name="n" * 60)
    async with committer_on(connect_to(database)) as committer:
        *_, refusal = await submit_together(
            committer,
            register("iris", MODEL),
            register_version("v1", MODEL, VersionId(VERSION)),
            versions.Revise(project_id=PROJECT, version_id=VERSION, status=VersionStatus.READY),
            environments.Create(wish),
            deployments.Deploy(
                project_id=PROJECT,
                service_id=ServiceId(uuid4()),
                deployment_id=DeploymentId(uuid4()),
                model_id=MODEL,
                environment_id=environment,
                default_namespace="models",
            ),
        )

    assert isinstance(refusal, DomainError)
    assert "KServe has room for 0" in refusal.message


async def test_made_up_names_stay_short_however_often_a_version_is_deployed(database: Database) -> None:
    async with registry(database) as world:
        model, _ = await world.ready_version()
        environment = await world.environment("prod")
        deployed = [await world.deploy_to(model, environment) for _ in range(160)]
        names = [(await world.service(each))["name"] for each in (deployed[0], deployed[1], deployed[-1])]
    assert names[1].endswith("-2")
    version = names[0].rsplit("-", 1)[1]
    stem, number = names[2].rsplit("-", 1)
    assert stem.endswith(version)  # nothing of it had to make room
    assert len(number) <= len("1048576")
