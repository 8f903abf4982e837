"""Which streams of the log made which rows: what has to be read of it for an answer of the past."""

from collections.abc import AsyncIterator, Collection
from typing import Any
from uuid import UUID

import msgspec
from asyncpg import Pool
from msgspec import Struct, structs

from modeltrail.domain.event import Event
from modeltrail.domain.inference_service_messages import ServiceCreated
from modeltrail.domain.model_version_messages import VersionRegistered, VersionTakenOver
from modeltrail.domain.registered_model_messages import ModelRegistered, ModelTakenOver
from modeltrail.domain.serving_environment import EnvironmentCreated
from modeltrail.eventlog.selection import SQL as LOG
from modeltrail.eventlog.selection import Selection, later_than, read_oldest, streams_of_models
from modeltrail.eventlog.upcasting import tags_read_as
from modeltrail.postgres.statements import Statements
from modeltrail.projections.inference_services import INFERENCE_SERVICES
from modeltrail.projections.model_versions import MODEL_VERSIONS
from modeltrail.projections.models import MODELS
from modeltrail.projections.projection import Projection
from modeltrail.projections.search import SEARCH
from modeltrail.projections.serve_models import SERVE_MODELS

SQL = Statements("modeltrail.projections", "past.sql")

HOLDERS = ("id", "registered_model_id", "model_version_id", "inference_service_id")
"""Columns whose value tells which streams made the row."""

# Streams that begin a part, whose rows are in memory together: those of models with all that belongs to them.
PART = 250

_OF_A_MODEL = {MODELS, MODEL_VERSIONS, INFERENCE_SERVICES, SERVE_MODELS}
"""Each row is made by one model's stream and those of what belongs to it, and shows nothing else but environments."""

_MODEL_BEGINNINGS = (ModelRegistered, ModelTakenOver)
_BEGINNINGS = (*_MODEL_BEGINNINGS, VersionRegistered, VersionTakenOver, EnvironmentCreated, ServiceCreated)


class _Beginning(Struct):
    """What the first event of a stream tells of others."""

    registered_model_id: UUID | None = None
    serving_environment_id: UUID | None = None


_read_beginning = msgspec.json.Decoder(_Beginning).decode


def topics_of(kinds: Collection[type[Event]]) -> tuple[str, ...]:
    """The types of these events as they are stored, older shapes included."""
    return tuple(topic for kind in kinds for topic in tags_read_as(str(kind.__struct_config__.tag)))


class PastStreams:
    """Finds streams by the indexes that the log has."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def holding(self, column: str, value: UUID) -> tuple[UUID, ...] | None:
        """Those whose events made the rows that hold `value` in `column`, one of `HOLDERS`; None when all might have.

        What shows a model or a version besides those themselves are inference services, which show their environment.
        """
        streams = await self._about(value)
        if column not in {"registered_model_id", "model_version_id"} or streams is None:
            return streams
        model = value if column == "registered_model_id" else streams[-1]  # after a version's own stream, its model's
        return await self._families([model])

    async def parts(
        self,
        read: Collection[Projection[Any]],  # Any: rows of any kind
        selection: Selection,
    ) -> AsyncIterator[Selection]:
        """The selection in parts, no row of `read` being made by the events of two.

        It is one part where some streams were chosen already, and for what has few rows: days, and environments.
        """
        of_models = _OF_A_MODEL.issuperset(read)
        if selection.streams is not None or not (of_models or set(read) == {SEARCH}):
            yield selection
            return
        topics = topics_of(_MODEL_BEGINNINGS if of_models else _BEGINNINGS)
        beginnings = structs.replace(selection, topics=topics)
        while rows := await read_oldest(self._pool, beginnings, PART):
            # A stream may be taken over more than once.
            begun = [row["originator_id"] for row in rows if row["originator_version"] == 1]
            streams = await self._families(begun) if of_models else tuple(begun)
            yield structs.replace(selection, streams=streams)
            beginnings = later_than(beginnings, rows[-1]["notification_id"])

    async def _families(self, models: Collection[UUID]) -> tuple[UUID, ...]:
        """The models, all that belongs to them, and the environments that this is in."""
        streams = await streams_of_models(self._pool, models)
        environments = await self._pool.fetch(SQL.list_environments_of, streams)
        return (*streams, *(row["serving_environment_id"] for row in environments))

    async def _about(self, id_: UUID) -> tuple[UUID, ...] | None:
        """Those whose events made the row with this id, or that of what belongs to it; None when all might have."""
        beginning = await self._pool.fetchrow(LOG.get_beginning, id_)
        if beginning is None:
            # Only serve models have no stream of their own.
            service = await self._pool.fetchval(SQL.get_service_of_serve_model, id_)
            return None if service is None else await self._about(service)
        named = _read_beginning(beginning["state"])
        match beginning["topic"].partition(".")[0]:
            case "registered_model":
                return await streams_of_models(self._pool, [id_])
            case "model_version" if named.registered_model_id:
                return (id_, named.registered_model_id)
            case "inference_service" if named.registered_model_id and named.serving_environment_id:
                family = await streams_of_models(self._pool, [named.registered_model_id])
                return (*family, named.serving_environment_id)
            case "serving_environment":
                return (id_,)
            case _:
                return None
