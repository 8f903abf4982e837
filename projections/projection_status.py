"""How it is with each projection: which code filled its table, and how far it is behind the log."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from asyncpg import Connection
from msgspec import Struct

from modeltrail.eventlog.log import read_head
from modeltrail.postgres.connect import Reads
from modeltrail.postgres.statements import Statements
from modeltrail.projections.catalogue import ALL
from modeltrail.projections.checkpoint import OtherVersionError
from modeltrail.projections.projection import Projection

SQL = Statements("modeltrail.projections", "rebuild.sql")


class ProjectionStatus(Struct, frozen=True):
    """One projection. `version` filled the table; `code_version` is today's. Lag is in events and in seconds.

    `failure` is why it does not get past the event at `failed_position`.
    """

    name: str
    version: int
    code_version: int
    mode: str
    position: int
    lag_events: int
    lag_seconds: float
    rows: int
    rebuilt_at: datetime | None
    rebuilt_position: int | None
    failed_position: int | None
    failure: str | None


async def list_statuses(connection: Connection) -> list[ProjectionStatus]:
    """All projections, at one moment. Counts their rows, which takes a while for millions."""
    found = []
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        head = (await read_head(connection)).position
        stored = {row["name"]: row for row in await connection.fetch(SQL.list_projections)}
        for projection in ALL:
            row = stored.get(projection.name)
            rows = await connection.fetchval(f"SELECT count(*) FROM {projection.name}")  # noqa: S608 - a declared name
            position = head if row is None or row["position"] is None else row["position"]
            lag = await connection.fetchrow(SQL.get_lag, position)
            found.append(
                ProjectionStatus(
                    name=projection.name,
                    version=row["version"] if row else 0,
                    code_version=projection.version,
                    mode=projection.mode,
                    position=position,
                    lag_events=lag["events"],
                    lag_seconds=lag["seconds"],
                    rows=rows,
                    rebuilt_at=row["rebuilt_at"] if row else None,
                    rebuilt_position=row["rebuilt_position"] if row else None,
                    failed_position=row["failed_position"] if row else None,
                    failure=row["failure"] if row else None,
                )
            )
    return found


async def outdated(connection: Connection) -> list[Projection[Any]]:  # Any: of any kind
    """Those whose table was filled by older code than today's."""
    stored = {row["name"]: row["version"] for row in await connection.fetch(SQL.list_projections)}
    return [projection for projection in ALL if stored.get(projection.name, 0) < projection.version]


async def check_versions(
    connection: Reads,
    projections: Sequence[Projection[Any]],  # Any: the same
) -> None:
    """Raise OtherVersionError when one of the tables was filled by other code than today's, which neither its reader
    nor its writer would notice."""
    stored = {row["name"]: row["version"] for row in await connection.fetch(SQL.list_projections)}
    by = {projection.name: stored.get(projection.name, 0) - projection.version for projection in projections}
    if newer := [name for name, ahead in by.items() if ahead > 0]:
        raise OtherVersionError(f"newer code than this filled {', '.join(newer)}: run that version of modeltrail")
    if older := [name for name, ahead in by.items() if ahead < 0]:
        raise OtherVersionError(f"older code than this filled {', '.join(older)}; run: modeltrail migrate")


def require_same_code(
    filled_by: Sequence[str],
    projections: Iterable[Projection[Any]],  # Any: the same
) -> None:
    """Raise OtherVersionError when one of the tables is filled by other code than today's, as the holder of the log's
    lock knows: since this process began, another release may have rebuilt it."""
    versions = dict(each.rsplit(" ", 1) for each in filled_by)
    if other := [each.name for each in projections if versions.get(each.name, str(each.version)) != str(each.version)]:
        raise OtherVersionError(
            f"another version of modeltrail has filled {', '.join(other)} meanwhile: stop this one, and run that"
        )


async def record_versions(connection: Connection) -> None:
    """Note that today's code fills the tables that older code did or nobody: there must be no event yet."""
    for projection in await outdated(connection):
        await connection.execute(SQL.save_version, projection.name, projection.version, projection.mode == "async")
