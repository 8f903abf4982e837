"""The `eventsourcing` library's projection runner on our log: a table of models, with the position, event by event.

It reads through its own recorder and our mapper, as its users would. Its rows are made by our projection's code, and go
into a table with a primary key and nothing else; it need not wait for the disk. We build nine tables with all indexes.
"""

import time
from typing import Any
from uuid import UUID

from asyncpg import Connection
from eventsourcing.application import Application
from eventsourcing.persistence import ApplicationRecorder, Mapper, Tracking
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore, PostgresTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner
from psycopg.sql import SQL, Composed, Identifier

from benchmarks.histories import PROJECT, START
from modeltrail.eventlog.codec import Codec
from modeltrail.eventlog.mapper import EventMapper, LoggedEvent
from modeltrail.eventlog.record import Context, Recorded
from modeltrail.postgres.connect import DatabaseAddress
from modeltrail.projections.models import MODELS

TABLE = "library_models"
COLUMNS = MODELS.all_columns


class LoggedApplication(Application[UUID]):
    """Our log, as an application of the library."""

    def construct_mapper(self) -> Mapper[UUID]:
        """Ours."""
        return EventMapper(Codec())

    def construct_recorder(self) -> ApplicationRecorder:
        """The library's, on our table."""
        factory: Any = self.factory  # Any: the one for PostgreSQL, which alone has a datastore
        datastore: PostgresDatastore = factory.datastore
        return PostgresApplicationRecorder(datastore, events_table_name="stored_events")


class ModelsView(PostgresTrackingRecorder):
    """The table."""

    def save(self, values: list[object], tracking: Tracking) -> None:
        """A row, and how far the view has come."""
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)
            cursor.execute(_INSERT, values, prepare=True)


class ModelsProjection(Projection[ModelsView]):
    """One row for each model."""

    name = "bench"

    def process_event(self, domain_event: LoggedEvent, tracking: Tracking) -> None:
        """Called by the runner."""
        position = int(tracking.notification_id)
        context = Context(PROJECT, domain_event.originator_id, "")
        recorded = Recorded(
            position, domain_event.originator_id, domain_event.originator_version, domain_event.event, START, context
        )
        row = MODELS.apply(None, recorded)
        assert row is not None
        values = (column.value(row) for column in COLUMNS)
        self.view.save([value.decode() if isinstance(value, bytes) else value for value in values], tracking)


_INSERT: Composed = SQL("INSERT INTO {} VALUES ({})").format(
    Identifier(TABLE), SQL(", ").join(SQL("%s") for _ in COLUMNS)
)


async def prepare_table(connection: Connection, database: str) -> None:
    """Make the table, and let commits of this database not wait for the disk from the next connection on."""
    columns = ", ".join(f"{column.name} {column.type}" for column in COLUMNS)
    await connection.execute(f"CREATE TABLE {TABLE} ({columns}, PRIMARY KEY (id))")
    await connection.execute(f"ALTER DATABASE {database} SET synchronous_commit = off")


def events_a_second(address: DatabaseAddress, events: int) -> float:
    """Through the runner, from the first event on."""
    environment = {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": address.database,
        "POSTGRES_HOST": address.host,
        "POSTGRES_PORT": str(address.port),
        "POSTGRES_USER": address.user,
        "POSTGRES_PASSWORD": "none",
    }
    at = time.perf_counter()
    with ProjectionRunner(
        application_class=LoggedApplication, projection_class=ModelsProjection, view_class=ModelsView, env=environment
    ) as runner:
        runner.wait(events, timeout=120)
        return events / (time.perf_counter() - at)
