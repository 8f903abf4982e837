"""The eventsourcing library's own recorder opens our log and reads every event back."""

# asyncpg's functions carry no annotations.
# mypy: allow-untyped-calls

from collections.abc import Iterator

import asyncpg
import pytest
from eventsourcing.persistence import StoredEvent
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore

from modeltrail.commands import deployments, environments, models, versions
from modeltrail.domain.inference_service_messages import ConfirmDeployment
from modeltrail.domain.model_version_messages import VersionStatus
from modeltrail.domain.registered_model_messages import Tags
from modeltrail.domain.serving_environment import CreateEnvironment
from modeltrail.eventlog.codec import Codec
from modeltrail.eventlog.mapper import EventMapper, LoggedEvent
from modeltrail.eventlog.record import Recorded
from support.committing import (
    committer_on,
    connect_to,
    context,
    read_log,
    register,
    register_version,
    rename,
    submit_together,
)
from support.database import Database
from support.samples import ENVIRONMENT, FIRST, MODEL, PROJECT, SERVICE, VERSION

MAPPER = EventMapper(Codec())


@pytest.fixture
async def log(database: Database) -> list[Recorded]:
    """What our own code wrote, and reads."""
    async with committer_on(connect_to(database)) as committer:
        await committer.submit(register("iris", MODEL), context())
        await submit_together(
            committer,
            register_version("v1", MODEL, VERSION, is_default=True),
            register("iris"),
            versions.Revise(project_id=PROJECT, version_id=VERSION, status=VersionStatus.READY),
            environments.Create(CreateEnvironment(environment_id=ENVIRONMENT, project_id=PROJECT, name="prod")),
        )
        await submit_together(
            committer,
            deployments.Deploy(
                project_id=PROJECT,
                service_id=SERVICE,
                deployment_id=FIRST,
                model_id=MODEL,
                environment_id=ENVIRONMENT,
                default_namespace="models",
            ),
            deployments.Report(SERVICE, ConfirmDeployment(deployment_id=FIRST, external_id="uid", url="http://iris")),
            rename(MODEL, "Blüten 花"),
            models.Revise(project_id=PROJECT, model_id=MODEL, tags=Tags(tasks=("vision",)), labels={"a": "b"}),
        )
    return await read_log(database)


@pytest.fixture
def recorder(database: Database) -> Iterator[PostgresApplicationRecorder]:
    """The library's recorder. It makes a table only when asked to, and nobody asks it."""
    with PostgresDatastore(
        dbname=database.name, host=database.host, port=database.port, user=database.user, password=database.password
    ) as datastore:
        yield PostgresApplicationRecorder(datastore, events_table_name="stored_events")


def as_logged(recorded: Recorded) -> LoggedEvent:
    return LoggedEvent(recorded.stream, recorded.version, recorded.event)


def test_the_library_reads_every_event_in_the_order_of_our_positions(
    log: list[Recorded], recorder: PostgresApplicationRecorder
) -> None:
    notifications = recorder.select_notifications(start=1, limit=1000)

    assert [notification.id for notification in notifications] == [recorded.position for recorded in log]
    assert [MAPPER.to_domain_event(each) for each in notifications] == [as_logged(recorded) for recorded in log]
    assert len(log) == 11


def test_the_library_follows_our_log_page_by_page(log: list[Recorded], recorder: PostgresApplicationRecorder) -> None:
    positions: list[int] = []
    while page := recorder.select_notifications(
        start=positions[-1] if positions else 0, limit=4, inclusive_of_start=False
    ):
        positions += [notification.id for notification in page]

    assert positions == [recorded.position for recorded in log]


def test_the_library_reads_each_stream(log: list[Recorded], recorder: PostgresApplicationRecorder) -> None:
    for stream in {recorded.stream for recorded in log}:
        read = [MAPPER.to_domain_event(each) for each in recorder.select_events(stream)]

        assert read == [as_logged(recorded) for recorded in log if recorded.stream == stream]


def test_the_library_finds_events_by_our_tags(log: list[Recorded], recorder: PostgresApplicationRecorder) -> None:
    tags = ["registered_model.renamed", "model_version.marked_ready"]
    notifications = recorder.select_notifications(start=None, limit=1000, topics=tags)

    assert sorted(notification.topic for notification in notifications) == sorted(tags)


def test_the_library_knows_our_last_position(log: list[Recorded], recorder: PostgresApplicationRecorder) -> None:
    assert recorder.max_notification_id() == log[-1].position


def test_the_mapper_writes_what_we_wrote(log: list[Recorded], recorder: PostgresApplicationRecorder) -> None:
    for notification in recorder.select_notifications(start=1, limit=1000):
        stored = MAPPER.to_stored_event(MAPPER.to_domain_event(notification))

        assert stored == StoredEvent(
            notification.originator_id, notification.originator_version, notification.topic, notification.state
        )


async def test_reading_with_the_library_leaves_our_schema_as_it_was(
    log: list[Recorded], recorder: PostgresApplicationRecorder, connection: asyncpg.Connection
) -> None:
    before = await _schema(connection)
    recorder.select_notifications(start=1, limit=1)
    recorder.select_events(MODEL)

    assert await _schema(connection) == before


async def test_the_librarys_own_set_up_leaves_our_table_as_it_was(
    log: list[Recorded], recorder: PostgresApplicationRecorder, connection: asyncpg.Connection
) -> None:
    """`create_table` makes the library's types and functions beside it, and finds table and index as it wants them."""
    before = await _log_table(connection)
    recorder.create_table()

    assert await _log_table(connection) == before
    assert recorder.max_notification_id() == log[-1].position


async def _schema(connection: asyncpg.Connection) -> list[asyncpg.Record]:
    return list(
        await connection.fetch(
            "SELECT oid, relname, relkind::text, relfilenode FROM pg_class"
            " WHERE relnamespace = 'public'::regnamespace ORDER BY oid"
        )
    )


async def _log_table(connection: asyncpg.Connection) -> list[list[asyncpg.Record]]:
    questions = (
        "SELECT * FROM information_schema.columns WHERE table_name = 'stored_events' ORDER BY column_name",
        "SELECT * FROM pg_indexes WHERE tablename = 'stored_events' ORDER BY indexname",
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'stored_events'::regclass ORDER BY oid",
    )
    return [list(await connection.fetch(question)) for question in questions]
