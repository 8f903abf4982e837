"""What the deploy worker's read tables share: each row is about the newest request for a service."""

from typing import Any

from asyncpg import Record

from modeltrail.eventlog.record import Recorded
from modeltrail.projections.projection import Column, Row, common_fields


class RequestRow(Row, frozen=True):
    """One service's newest request: the position of the event that made it, and who that answers to."""

    requested_position: int
    request_id: str


REQUEST_COLUMNS: tuple[Column[Any], ...] = (  # Any: rows of either table
    Column("requested_position", "bigint", lambda row: row.requested_position),
    Column("request_id", "text", lambda row: row.request_id),
)


def request_made_by(recorded: Recorded) -> dict[str, Any]:  # Any: the fields of `RequestRow`, by name
    """What a request tells of itself."""
    return {
        "id": recorded.stream,
        "project_id": recorded.context.project_id,
        "created_at": recorded.recorded_at,
        "updated_at": recorded.recorded_at,
        "requested_position": recorded.position,
        "request_id": recorded.context.request_id,
    }


def request_fields(record: Record) -> dict[str, Any]:  # Any: the fields of `RequestRow`, by name
    """What every such row has, from a row of the table."""
    columns = {column.name: record[column.name] for column in REQUEST_COLUMNS}
    return common_fields(record) | columns
