"""The committer while a batch is in flight: what is decided behind it, and what comes of that when it fails."""

# asyncpg's functions carry no annotations.
# mypy: allow-untyped-calls

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import asyncpg
import msgspec
import pytest

from modeltrail.commands import models, versions
from modeltrail.commands.committing.batch import Outcome
from modeltrail.commands.committing.committer import Committer, LogUnavailableError
from modeltrail.commands.committing.pace import CROWD
from modeltrail.commands.decision import Answer, Command, Decision, carry_on
from modeltrail.commands.model_deletion import Delete
from modeltrail.commands.once import AnsweredBeforeError, Once
from modeltrail.domain.decider import REGISTERED_MODEL
from modeltrail.domain.errors import DomainError
from modeltrail.domain.ids import ModelId
from modeltrail.domain.registered_model_messages import DescribeModel, ModelState, RegisterModel
from modeltrail.projections.models import MODELS
from support.committing import (
    Fragile,
    committer_on,
    connect_to,
    context,
    fragile,
    read_log,
    register,
    register_version,
    rename,
    submit_together,
)
from support.database import Database
from support.fold import assert_sound
from support.samples import MODEL, PROJECT, VERSION

WRITE = "INSERT INTO stored_events"
SECONDS = 20  # to wait for what must come

anywhen = pytest.mark.parametrize("moment", ["before", "after"])


class Watched:
    """A command that tells when it is decided."""

    def __init__(self, command: Command) -> None:
        self._command = command
        self.decided = asyncio.Event()

    async def decide(self) -> Decision:
        try:
            decision = await self._command.decide()
        except DomainError:
            self.decided.set()
            raise
        self.decided.set()
        return decision


class Describe:
    """A command that asks for the state of a stream at once."""

    def __init__(self, description: str) -> None:
        self._wish = DescribeModel(description=description)

    async def decide(self) -> Decision:
        return Decision(Answer(MODELS, MODEL), (await carry_on(REGISTERED_MODEL, MODEL, self._wish),))


class Gate:
    """Holds one statement with `word` where a test wants it, and then lets it pass, or breaks it."""

    def __init__(self, word: str = WRITE) -> None:
        self._word = word
        self._armed = self._open = False
        self._reached, self._opened = asyncio.Event(), asyncio.Event()
        self._fate: Callable[[Fragile], None] | None = None
        self.seen: list[str] = []

    def arm(self) -> None:
        """Hold the next statement with the word."""
        self._armed = True

    async def __call__(self, connection: Fragile, statement: str) -> None:
        if self._word not in statement:
            return
        self.seen.append(statement)
        if self._armed:
            self._armed = False
            self._reached.set()
            await self._opened.wait()
            if self._fate is not None:
                self._fate(connection)

    async def reached(self) -> None:
        await asyncio.wait_for(self._reached.wait(), SECONDS)

    def open(self, fate: Callable[[Fragile], None] | None = None) -> None:
        self._fate = fate
        self._opened.set()


class Flight:
    """A committer with a command in flight: the write of that is held by a gate."""

    def __init__(self, committer: Committer, gate: Gate) -> None:
        self.committer = committer
        self.gate = gate
        self.behind: list[asyncio.Future[Outcome]] = []
        self.first: asyncio.Future[Outcome]

    async def begin(self, command: Command) -> None:
        self.gate.arm()
        self.first = asyncio.ensure_future(self.committer.submit(command, context()))
        await self.gate.reached()

    async def decide(self, *commands: Command) -> None:
        """Have commands decided behind the one in flight."""
        watched = [Watched(command) for command in commands]
        self.behind += [asyncio.ensure_future(self.committer.submit(each, context())) for each in watched]
        for each in watched:
            await asyncio.wait_for(each.decided.wait(), SECONDS)

    async def land(self, fate: Callable[[Fragile], None] | None = None) -> list[Outcome | BaseException]:
        """What came of all commands, the one in flight first."""
        assert not any(each.done() for each in (self.first, *self.behind))
        self.gate.open(fate)
        return await asyncio.wait_for(asyncio.gather(self.first, *self.behind, return_exceptions=True), SECONDS)


@asynccontextmanager
async def flying(
    database: Database, command: Command, *given: Command, moment: str = "before"
) -> AsyncIterator[Flight]:
    """A committer that has written what is given, and has `command` in flight."""
    gate = Gate()
    async with committer_on(fragile(connect_to(database), **{moment: gate})) as committer:
        for each in given:
            await committer.submit(each, context())
        flight = Flight(committer, gate)
        await flight.begin(command)
        yield flight


def lose(connection: Fragile) -> None:
    connection.lose()


def time_out(_connection: Fragile) -> None:
    raise asyncpg.LockNotAvailableError("canceling statement due to lock timeout")


def kinds(outcomes: list[Outcome | BaseException]) -> list[str]:
    return [type(outcome).__name__ for outcome in outcomes]


def name_in(outcome: Outcome | BaseException) -> Any:  # Any: JSON
    assert isinstance(outcome, Outcome), outcome
    assert outcome.document is not None
    return msgspec.json.decode(outcome.document.body)["name"]


def archive(model: ModelId) -> models.Revise:
    return models.Revise(project_id=PROJECT, model_id=model, state=ModelState.ARCHIVED)


def child(name: str, model: ModelId, parent: ModelId) -> models.Register:
    return models.Register(RegisterModel(model_id=model, project_id=PROJECT, name=name, parent_model_id=parent))


def once(command: Command) -> Once:
    return Once(
        command=command,
        project_id=PROJECT,
        key=b"key",
        fingerprint=b"this",
        sealed_answer=lambda document: document.body,
    )


async def refuse_llms(connection: asyncpg.Connection) -> None:
    await connection.execute("ALTER TABLE models ADD CONSTRAINT no_llm CHECK (model_type <> 'LLM')")


def refused_by_the_database(name: str) -> models.Register:
    """A command that is decided well and cannot be written, where `refuse_llms` was called."""
    return models.Register(RegisterModel(model_id=ModelId(uuid4()), project_id=PROJECT, name=name, model_type="LLM"))


# --- all goes well ----------------------------------------------------------------------------------------


@anywhen
async def test_commands_are_decided_while_a_batch_is_in_flight(database: Database, moment: str) -> None:
    """And nobody is answered before it has landed: `land` looks."""
    async with flying(database, register("iris"), moment=moment) as flight:
        await flight.decide(register("rose"), register("lily"))
        outcomes = await flight.land()

    assert [name_in(outcome) for outcome in outcomes] == ["iris", "rose", "lily"]
    assert len(flight.gate.seen) == 2
    await assert_sound(database)


@anywhen
async def test_a_name_taken_in_flight_is_taken(database: Database, moment: str) -> None:
    async with flying(database, register("iris"), moment=moment) as flight:
        await flight.decide(register("iris"), register("rose"))
        outcomes = await flight.land()

    assert kinds(outcomes) == ["Outcome", "ConflictError", "Outcome"]
    assert len(flight.gate.seen) == 2
    await assert_sound(database)


@anywhen
async def test_a_name_given_up_in_flight_is_free(database: Database, moment: str) -> None:
    async with flying(database, rename(MODEL, "irises"), register("iris", MODEL), moment=moment) as flight:
        await flight.decide(register("iris"))
        outcomes = await flight.land()

    assert kinds(outcomes) == ["Outcome", "Outcome"]
    assert len(flight.gate.seen) == 3
    await assert_sound(database)


@anywhen
async def test_a_stream_that_grows_in_flight_goes_on_behind_it(database: Database, moment: str) -> None:
    async with flying(database, rename(MODEL, "irises"), register("iris", MODEL), moment=moment) as flight:
        await flight.decide(Describe("of the first"), rename(MODEL, "lilies"))
        await flight.land()

    log = await read_log(database)
    assert [recorded.version for recorded in log] == [1, 2, 3, 4]
    assert len(flight.gate.seen) == 3  # a stale version would have been refused by the log, and tried again
    await assert_sound(database)


@anywhen
async def test_what_is_deleted_in_flight_is_gone(database: Database, moment: str) -> None:
    given: list[Command] = [register("iris", MODEL), register_version("v1", MODEL, VERSION), archive(MODEL)]
    async with flying(database, Delete(project_id=PROJECT, model_id=MODEL), *given, moment=moment) as flight:
        await flight.decide(
            rename(MODEL, "irises"),
            versions.Revise(project_id=PROJECT, version_id=VERSION, name="v2"),
            register_version("v2", MODEL),
            register("iris"),
        )
        outcomes = await flight.land()

    assert kinds(outcomes) == ["Outcome", *["NotFoundError"] * 3, "Outcome"]
    assert len(flight.gate.seen) == len(given) + 2
    await assert_sound(database)


@anywhen
async def test_what_is_deleted_in_flight_is_not_found_by_what_it_holds(database: Database, moment: str) -> None:
    """The table still has the child when the children of its parent are looked up."""
    young = ModelId(uuid4())
    given: list[Command] = [register("iris", MODEL), child("bulb", young, MODEL), archive(young), archive(MODEL)]
    async with flying(database, Delete(project_id=PROJECT, model_id=young), *given, moment=moment) as flight:
        await flight.decide(Delete(project_id=PROJECT, model_id=MODEL))
        outcomes = await flight.land()

    assert [outcome.events for outcome in outcomes if isinstance(outcome, Outcome)] == [1, 1]
    await assert_sound(database)


@anywhen
async def test_what_is_made_in_flight_is_found_by_what_it_holds(database: Database, moment: str) -> None:
    given: list[Command] = [register("iris", MODEL), archive(MODEL)]
    async with flying(database, child("bulb", ModelId(uuid4()), MODEL), *given, moment=moment) as flight:
        await flight.decide(Delete(project_id=PROJECT, model_id=MODEL))
        outcomes = await flight.land()

    assert [outcome.events for outcome in outcomes if isinstance(outcome, Outcome)] == [1, 2]
    await assert_sound(database)


@anywhen
async def test_a_request_that_is_in_flight_is_not_carried_out_again(database: Database, moment: str) -> None:
    async with flying(database, once(register("iris")), moment=moment) as flight:
        await flight.decide(once(register("iris")))
        first, again = await flight.land()

    assert isinstance(first, Outcome)
    assert first.document is not None
    assert isinstance(again, AnsweredBeforeError)
    assert again.box == first.document.body
    assert len(await read_log(database)) == 1


@pytest.mark.parametrize("given", [[], [register_version("v1", MODEL, VERSION)]], ids=["row", "query"])
async def test_an_answer_shows_what_its_own_batch_left_and_nothing_behind_it(
    database: Database, given: list[Command]
) -> None:
    """Whether the answer is made of its row, or read from several tables."""
    async with flying(database, rename(MODEL, "irises"), register("iris", MODEL), *given) as flight:
        await flight.decide(rename(MODEL, "roses"))
        outcomes = await flight.land()

    assert [name_in(outcome) for outcome in outcomes] == ["irises", "roses"]


async def test_what_arrives_while_a_batch_is_in_flight_is_written_together(database: Database) -> None:
    async with flying(database, register("iris"), register("rose")) as flight:
        for number in range(3):
            await flight.decide(register(f"lily-{number}"))
        outcomes = await flight.land()

    assert kinds(outcomes) == ["Outcome"] * 4
    assert len(flight.gate.seen) == 3
    await assert_sound(database)


# --- the batch in flight fails ----------------------------------------------------------------------------


async def test_nobody_is_refused_for_what_never_came_to_be(database: Database, connection: asyncpg.Connection) -> None:
    await refuse_llms(connection)
    async with flying(database, refused_by_the_database("iris")) as flight:
        await flight.decide(register("iris", MODEL))
        outcomes = await flight.land()

    assert kinds(outcomes) == ["CheckViolationError", "Outcome"]
    assert len(await read_log(database)) == 1
    await assert_sound(database)


async def test_commands_behind_a_batch_that_fails_are_decided_anew_in_their_order(
    database: Database, connection: asyncpg.Connection
) -> None:
    await refuse_llms(connection)
    async with flying(database, refused_by_the_database("iris")) as flight:
        await flight.decide(register("rose", MODEL))
        await flight.decide(rename(MODEL, "roses"), register("rose"), register("iris"))
        outcomes = await flight.land()

    assert kinds(outcomes) == ["CheckViolationError", "Outcome", "Outcome", "Outcome", "Outcome"]
    assert len(await read_log(database)) == 4
    await assert_sound(database)


@pytest.mark.parametrize("fate", [time_out, lose], ids=["lock", "connection"])
async def test_a_crowd_that_is_ready_behind_a_batch_that_fails_is_decided_anew(
    database: Database, fate: Callable[[Fragile], None]
) -> None:
    async with flying(database, register("iris")) as flight:
        await flight.decide(*(register(f"rose-{number}") for number in range(CROWD)), register("iris"))
        first, *crowd, last = await flight.land(fate)

    assert kinds(crowd) == ["Outcome"] * CROWD
    assert kinds([first, last]) in (["LogUnavailableError", "Outcome"], ["Outcome", "ConflictError"])
    assert len(await read_log(database)) == CROWD + 1
    await assert_sound(database)


async def test_a_batch_that_waits_too_long_for_a_lock_takes_nobody_with_it(database: Database) -> None:
    async with flying(database, register("iris")) as flight:
        await flight.decide(register("iris"))
        first, second = await flight.land(time_out)

    assert isinstance(first, LogUnavailableError)
    assert first.unknown is False
    assert name_in(second) == "iris"
    await assert_sound(database)


@anywhen
async def test_a_connection_lost_in_flight_loses_and_doubles_nothing(database: Database, moment: str) -> None:
    async with flying(database, register("iris", MODEL), moment=moment) as flight:
        await flight.decide(rename(MODEL, "irises"), register("irises"))
        outcomes = await flight.land(lose)

    assert kinds(outcomes) == ["Outcome", "Outcome", "ConflictError"]
    assert len(await read_log(database)) == 2
    await assert_sound(database)


async def test_a_batch_behind_one_that_lands_may_fail_alone(database: Database, connection: asyncpg.Connection) -> None:
    await refuse_llms(connection)
    async with flying(database, register("iris")) as flight:
        await flight.decide(refused_by_the_database("rose"))
        outcomes = await flight.land()
        afterwards = await flight.committer.submit(register("rose"), context())

    assert kinds(outcomes) == ["Outcome", "CheckViolationError"]
    assert afterwards.events == 1
    await assert_sound(database)


# --- the second connection --------------------------------------------------------------------------------


@anywhen
async def test_a_second_connection_lost_while_deciding_loses_and_doubles_nothing(
    database: Database, moment: str
) -> None:
    gate = Gate()
    reading = Gate("FROM models")
    sabotage: dict[str, Callable[[Fragile, str], Awaitable[None]]] = {"before": gate}

    async def both(connection: Fragile, statement: str) -> None:
        await reading(connection, statement)
        if moment == "before":
            await gate(connection, statement)

    sabotage[moment] = both
    async with committer_on(fragile(connect_to(database), **sabotage)) as committer:
        flight = Flight(committer, gate)
        await flight.begin(register("iris"))
        reading.arm()
        flight.behind.append(asyncio.ensure_future(committer.submit(register("rose"), context())))
        await reading.reached()
        reading.open(lose)
        outcomes = await flight.land()

    assert kinds(outcomes) == ["Outcome", "Outcome"]
    assert len(await read_log(database)) == 2
    await assert_sound(database)


async def test_one_connection_will_do(database: Database) -> None:
    connections = iter([connect_to(database)])
    refused = asyncio.Event()

    async def connect() -> asyncpg.Connection:
        real = next(connections, None)
        if real is None:
            refused.set()
            raise asyncpg.TooManyConnectionsError("sorry, too many clients already")
        return await real()

    gate = Gate()
    async with committer_on(fragile(connect, before=gate)) as committer:
        flight = Flight(committer, gate)
        await flight.begin(register("iris"))
        flight.behind.append(asyncio.ensure_future(committer.submit(register("rose"), context())))
        await asyncio.wait_for(refused.wait(), SECONDS)
        outcomes = await flight.land()
        crowd = await submit_together(committer, *(register(f"lily-{number}") for number in range(40)))

    assert kinds([*outcomes, *crowd]) == ["Outcome"] * 42
    await assert_sound(database)


async def test_a_second_connection_that_takes_long_keeps_nobody_waiting(database: Database) -> None:
    connections = iter([connect_to(database)])
    asked = asyncio.Event()

    async def connect() -> asyncpg.Connection:
        real = next(connections, None)
        if real is None:
            asked.set()
            await asyncio.Event().wait()
            raise AssertionError
        return await real()

    gate = Gate()
    async with committer_on(fragile(connect, before=gate)) as committer:
        flight = Flight(committer, gate)
        await flight.begin(register("iris"))
        flight.behind.append(asyncio.ensure_future(committer.submit(register("rose"), context())))
        await asyncio.wait_for(asked.wait(), SECONDS)
        outcomes = await flight.land()

    assert kinds(outcomes) == ["Outcome", "Outcome"]


# --- closing ----------------------------------------------------------------------------------------------


async def test_closing_tells_those_that_are_being_decided_that_nothing_was_done(database: Database) -> None:
    async with flying(database, register("iris")) as flight:
        await flight.decide(register("rose"))
    outcomes = await asyncio.wait_for(asyncio.gather(flight.first, *flight.behind, return_exceptions=True), SECONDS)

    assert [getattr(outcome, "unknown", None) for outcome in outcomes] == [True, False]


@anywhen
async def test_closing_tells_those_in_flight_that_it_is_unknown_and_those_behind_that_nothing_was_done(
    database: Database, moment: str
) -> None:
    async with flying(database, register("iris"), moment=moment) as flight:
        await flight.decide(*(register(f"rose-{number}") for number in range(CROWD)))
    outcomes = await asyncio.wait_for(asyncio.gather(flight.first, *flight.behind, return_exceptions=True), SECONDS)

    assert kinds(outcomes) == ["LogUnavailableError"] * (1 + CROWD)
    assert [getattr(outcome, "unknown", None) for outcome in outcomes] == [True] + [False] * CROWD
    assert len(await read_log(database)) == (1 if moment == "after" else 0)
