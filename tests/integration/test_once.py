"""Commands under an idempotency key on a real PostgreSQL: in batches, beside failures, over lost connections."""

# asyncpg's functions carry no annotations.
# mypy: allow-untyped-calls

import asyncio

import asyncpg
import pytest

from modeltrail.commands import models
from modeltrail.commands.committing.batch import Outcome, Pending, decide_all
from modeltrail.commands.committing.working_set import WorkingSet
from modeltrail.commands.decision import Command
from modeltrail.commands.model_deletion import Delete
from modeltrail.commands.once import AnsweredBeforeError, Once
from modeltrail.domain.errors import ConflictError, KeyReusedError
from modeltrail.domain.registered_model_messages import ModelState
from modeltrail.eventlog.log import Head
from modeltrail.projections.catalogue import INLINE
from modeltrail.projections.documents import Document
from modeltrail.projections.table import Table
from support.committing import (
    Fragile,
    Sabotage,
    committer_on,
    connect_to,
    connected,
    context,
    fragile,
    read_log,
    register,
    register_version,
    rename,
    submit_together,
)
from support.database import Database
from support.samples import MODEL, PROJECT, VERSION

WRITE = "INSERT INTO stored_events"
KEEP = "INSERT INTO idempotency_keys"
POISON = "a\0b"  # PostgreSQL's text holds everything but this


def once(command: Command, key: bytes = b"key", fingerprint: bytes = b"this") -> Once:
    return Once(command=command, project_id=PROJECT, key=key, fingerprint=fingerprint, sealed_answer=body)


def body(document: Document) -> bytes:
    return document.body


def document_of(outcome: Outcome | BaseException) -> Document:
    assert isinstance(outcome, Outcome), outcome
    assert outcome.document is not None
    return outcome.document


def box_of(outcome: Outcome | BaseException) -> bytes:
    assert isinstance(outcome, AnsweredBeforeError), outcome
    return outcome.box


async def kept(connection: asyncpg.Connection) -> list[bytes]:
    return [row["box"] for row in await connection.fetch("SELECT box FROM idempotency_keys ORDER BY key")]


def lost(word: str, times: int = 1) -> Sabotage:
    """Lose the connection at the first statements with this word."""
    left = list(range(times))

    async def lose(connection: Fragile, statement: str) -> None:
        if word in statement and left:
            left.pop()
            connection.lose()

    return lose


async def test_of_a_batch_with_one_request_twice_the_second_is_answered_as_the_first(
    database: Database, connection: asyncpg.Connection
) -> None:
    async with committer_on(connect_to(database)) as committer:
        first, second = await submit_together(committer, once(register("iris")), once(register("iris")))

    assert box_of(second) == document_of(first).body
    assert await kept(connection) == [document_of(first).body]
    assert len(await read_log(database)) == 1


async def test_the_answer_is_what_its_own_command_left_whatever_the_batch_did_next(
    database: Database, connection: asyncpg.Connection
) -> None:
    async with committer_on(connect_to(database)) as committer:
        first, *_ = await submit_together(
            committer,
            once(register("iris", MODEL)),
            register_version("v1", MODEL, VERSION),
            rename(MODEL, "irises"),
        )
        again = await submit_together(committer, once(register("iris", MODEL)))

    assert b'"name":"iris"' in document_of(first).body
    assert box_of(again[0]) == document_of(first).body


async def test_another_request_under_the_key_is_refused_in_the_same_batch_and_in_the_next(database: Database) -> None:
    other = once(register("rose"), fingerprint=b"that")
    async with committer_on(connect_to(database)) as committer:
        _, beside = await submit_together(committer, once(register("iris")), other)
        (behind,) = await submit_together(committer, other)

    assert isinstance(beside, KeyReusedError)
    assert isinstance(behind, KeyReusedError)
    assert len(await read_log(database)) == 1


async def test_a_refused_command_leaves_its_key_to_the_next(database: Database, connection: asyncpg.Connection) -> None:
    async with committer_on(connect_to(database)) as committer:
        _, refused, taken = await submit_together(
            committer, register("iris"), once(register("iris")), once(register("rose"), fingerprint=b"that")
        )

    assert isinstance(refused, ConflictError)
    assert await kept(connection) == [document_of(taken).body]


async def test_what_is_written_in_a_transaction_of_several_statements_is_remembered_in_it(
    database: Database, connection: asyncpg.Connection
) -> None:
    """A batch that removes rows takes more than the one usual statement."""
    archived = models.Revise(project_id=PROJECT, model_id=MODEL, state=ModelState.ARCHIVED)
    async with committer_on(connect_to(database)) as committer:
        await submit_together(committer, register("iris", MODEL), archived)
        _, first = await submit_together(committer, Delete(project_id=PROJECT, model_id=MODEL), once(register("iris")))

    assert await kept(connection) == [document_of(first).body]


async def test_a_command_that_changes_nothing_is_remembered_too(
    database: Database, connection: asyncpg.Connection
) -> None:
    async with committer_on(connect_to(database)) as committer:
        await committer.submit(register("iris", MODEL), context())
        (first,) = await submit_together(committer, once(rename(MODEL, "iris")))
        (again,) = await submit_together(committer, once(rename(MODEL, "iris")))

    assert box_of(again) == document_of(first).body
    assert len(await read_log(database)) == 1


async def test_an_expired_key_is_taken_anew_by_a_command_that_changes_nothing(
    database: Database, connection: asyncpg.Connection
) -> None:
    async with committer_on(connect_to(database)) as committer:
        await committer.submit(register("iris", MODEL), context())
        await submit_together(committer, once(rename(MODEL, "iris")))
        await connection.execute("UPDATE idempotency_keys SET created_at = created_at - interval '1 day'")
        (anew,) = await submit_together(committer, once(rename(MODEL, "iris"), fingerprint=b"that"))
        (again,) = await submit_together(committer, once(rename(MODEL, "iris"), fingerprint=b"that"))

    assert box_of(again) == document_of(anew).body


async def test_an_answer_is_known_before_it_is_written(database: Database) -> None:
    first, second = (Pending(once(register("iris")), context(), asyncio.Future()) for _ in range(2))
    async with connected(database) as connection:
        working = WorkingSet(Head(), [Table(projection) for projection in INLINE])
        await decide_all(connection, working, [first])
        await decide_all(connection, working, [second])

    assert first.remembered is not None
    assert isinstance(second.refusal, AnsweredBeforeError)
    assert second.refusal.box == first.remembered.body


@pytest.mark.parametrize("word", [WRITE, "FROM idempotency_keys"])
@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_connection_lost_anywhere_leaves_one_resource_with_one_answer(
    database: Database, connection: asyncpg.Connection, word: str, moment: str
) -> None:
    async with committer_on(fragile(connect_to(database), **{moment: lost(word, times=2)})) as committer:
        first, second = await submit_together(committer, once(register("iris")), once(register("iris")))
        (again,) = await submit_together(committer, once(register("iris")))

    assert box_of(second) == box_of(again) == document_of(first).body
    assert await kept(connection) == [document_of(first).body]
    assert len(await read_log(database)) == 1


async def test_a_connection_lost_behind_a_command_that_changes_nothing_leaves_its_answer(database: Database) -> None:
    async with committer_on(fragile(connect_to(database), after=lost(KEEP, times=2))) as committer:
        await submit_together(committer, register("iris", MODEL))
        (first,) = await submit_together(committer, once(rename(MODEL, "iris")))
        (again,) = await submit_together(committer, once(rename(MODEL, "iris")))

    # Nothing in the log tells that the first try was written, but what it remembered does.
    assert box_of(first) == box_of(again)
    assert len(await read_log(database)) == 1


async def test_after_a_crash_between_commit_and_answer_another_process_gives_the_answer(
    database: Database, connection: asyncpg.Connection
) -> None:
    async with committer_on(fragile(connect_to(database), after=lost(WRITE)), reconnect_seconds=-1) as dying:
        (unknown,) = await submit_together(dying, once(register("iris")))
    async with committer_on(connect_to(database)) as another:
        (again,) = await submit_together(another, once(register("iris")))

    assert getattr(unknown, "unknown", False)
    assert [box_of(again)] == await kept(connection)
    assert len(await read_log(database)) == 1


@pytest.mark.parametrize("place", [0, 1, 2])
async def test_a_batch_that_fails_as_a_whole_and_is_tried_one_by_one_remembers_what_was_done(
    database: Database, connection: asyncpg.Connection, place: int
) -> None:
    commands: list[Command] = [once(register("iris")), once(register("iris"))]
    commands.insert(place, once(register(POISON), key=b"poisoned"))
    async with committer_on(connect_to(database)) as committer:
        outcomes = await submit_together(committer, *commands)
        failed = outcomes.pop(place)
        (afterwards,) = await submit_together(committer, once(register("lily"), key=b"poisoned"))

    assert isinstance(failed, asyncpg.CharacterNotInRepertoireError)
    assert box_of(outcomes[1]) == document_of(outcomes[0]).body
    assert await kept(connection) == [document_of(outcomes[0]).body, document_of(afterwards).body]


async def test_an_answer_that_cannot_be_made_fails_its_command_alone(database: Database) -> None:
    def broken(_document: Document) -> bytes:
        raise ZeroDivisionError("a bug")

    faulty = Once(command=register("iris"), project_id=PROJECT, key=b"key", fingerprint=b"this", sealed_answer=broken)
    async with committer_on(connect_to(database)) as committer:
        outcomes = await submit_together(committer, register("rose"), faulty, register("lily"))

    assert [type(outcome).__name__ for outcome in outcomes] == ["Outcome", "ZeroDivisionError", "Outcome"]
    assert len(await read_log(database)) == 2
