"""Logs to measure on, without the commands that would have led to them: hundreds of thousands of events a minute."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from uuid import UUID

from asyncpg import Connection

from modeltrail.domain.decider import AnyEvent
from modeltrail.domain.ids import ModelId, ProjectId, VersionId
from modeltrail.domain.model_version_messages import (
    Artifact,
    VersionArchived,
    VersionMarkedReady,
    VersionRegistered,
    VersionRelabelled,
)
from modeltrail.domain.registered_model_messages import DefaultVersionChanged, ModelRegistered, Tags
from modeltrail.eventlog.log import SQL, Head, columns_of
from modeltrail.eventlog.record import Context, Recorded, System
from modeltrail.postgres.ids import new_id

PROJECT = ProjectId(new_id())
START = datetime(2026, 1, 1, tzinfo=UTC)
NIGHTS = 20
_A_BATCH = 5_000

History = Iterator[tuple[UUID, AnyEvent]]
"""What happens, each on its stream, for ever or as long as somebody wants to hear."""


def registrations() -> History:
    """One model after the other, and nothing comes of any: each event makes a row in two tables of its own."""
    number = 0
    while True:
        number += 1
        yield new_id(), _registered(f"forecast-{number}")


def trainings() -> History:
    """Models that are trained anew each night: a version comes, its figures, it is ready, it is what is meant by
    default, and the one of the night before is put away. After some weeks these models end, and others begin."""
    while True:
        models = [_Model(ModelId(new_id())) for _ in range(1_000)]
        for number, model in enumerate(models):
            yield model.id, _registered(f"forecast-{model.id.hex[:8]}-{number}")
        for night in range(NIGHTS):
            for model in models:
                yield from model.trained(night)


async def write(connection: Connection, history: History, events: int) -> None:
    """Append so many events to an empty log."""
    head, versions = Head(), _Versions()
    told = islice(history, events)
    while batch := [
        versions.recorded(head.position + number, *event) for number, event in enumerate(islice(told, _A_BATCH), 1)
    ]:
        columns, head = columns_of(head, batch)
        await connection.execute(SQL.insert_events, *columns)
    await connection.execute("VACUUM ANALYZE stored_events")


def recorded(position: int, stream: UUID, event: AnyEvent, version: int = 1) -> Recorded:
    """An event of the project, a microsecond after the one before."""
    context = Context(PROJECT, new_id(), "a-request", System("benchmark"))
    return Recorded(position, stream, version, event, START + timedelta(microseconds=position), context)


class _Versions:
    """How far each stream is."""

    def __init__(self) -> None:
        self._of: dict[UUID, int] = {}

    def recorded(self, position: int, stream: UUID, event: AnyEvent) -> Recorded:
        self._of[stream] = version = self._of.get(stream, 0) + 1
        return recorded(position, stream, event, version)


@dataclass
class _Model:
    id: ModelId
    default: VersionId | None = None

    def trained(self, night: int) -> Iterable[tuple[UUID, AnyEvent]]:
        version, before = VersionId(new_id()), self.default
        self.default = version
        name = f"{night:03}"
        artifact = Artifact("model-artifact", "sklearn", "1.4", "", f"s3://models/{self.id}/{name}")
        yield (
            version,
            VersionRegistered(PROJECT, self.id, name, artifact, "The nightly one.", "", {}, None, None, None, False),
        )
        yield version, VersionRelabelled(self.id, {"commit": f"{night:040x}", "mape": "0.07"})
        yield version, VersionMarkedReady(self.id)
        yield self.id, DefaultVersionChanged(version, before)
        if before is not None:
            yield before, VersionArchived(self.id)


def _registered(name: str) -> ModelRegistered:
    return ModelRegistered(
        project_id=PROJECT,
        name=name,
        slug=name,
        description="Forecasts a week ahead, trained anew each night.",
        owner_email=None,
        model_type="CUSTOMTRAIN",
        tags=Tags(frameworks=("sklearn",)),
        labels={"team": "pricing"},
        parent_model_id=None,
    )
