"""Reading an inference service's story from the log itself, so that it tells all that ever happened."""

from collections.abc import Iterable
from typing import cast
from uuid import UUID

from asyncpg import Pool

from modeltrail.domain.ids import ServiceId
from modeltrail.domain.inference_service_facts import InferenceServiceEvent
from modeltrail.eventlog.codec import Codec
from modeltrail.eventlog.keys import KeyRing
from modeltrail.eventlog.people import PersonKeys, persons_in
from modeltrail.eventlog.reader import name_of
from modeltrail.postgres.statements import Statements
from modeltrail.projections.documents import Queried
from modeltrail.projections.past import Past
from modeltrail.projections.service_story import Moment, facts_of, moment

SQL = Statements("modeltrail.projections", "timeline.sql")


async def read_timeline(
    pool: Pool, keys: KeyRing, service_id: ServiceId, after: int, limit: int, past: Past | None = None
) -> list[Moment]:
    """Up to `limit` moments of the service's life after position `after`, oldest first, as it was told in the past."""
    rows = await pool.fetch(SQL.list_moments, service_id, after, limit, None if past is None else past.position)
    people = PersonKeys(pool, keys)
    if persons := persons_in(row["actor"] for row in rows if row["actor"] is not None):
        await people.learn(persons)
    codec = Codec(people.open)
    # A stream holds events of its own aggregate only.
    events = [cast("InferenceServiceEvent", codec.decode(row["topic"], row["state"])) for row in rows]
    facts = [facts_of(event) for event in events]
    tables = pool if past is None else await past.tables(SQL.list_version_names, {"inference_service_id": service_id})
    names = await _version_names(tables, (each.model_version_id for each in facts))
    return [
        moment(
            row["notification_id"],
            row["recorded_at"],
            name_of(codec.decode_actor(row["actor"]), people),
            event,
            each,
            names.get(each.model_version_id),
        )
        for row, event, each in zip(rows, events, facts, strict=True)
    ]


async def _version_names(tables: Queried, versions: Iterable[UUID | None]) -> dict[UUID | None, str]:
    """What these versions are called now; a version that was deleted has no name any more."""
    wanted = {version for version in versions if version is not None}
    rows = await tables.fetch(SQL.list_version_names, list(wanted)) if wanted else []
    return {row["id"]: row["name"] for row in rows}
