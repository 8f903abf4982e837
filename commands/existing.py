"""What a command takes for granted: that what it names exists, in the caller's project, as the caller saw it."""

from collections.abc import Callable
from uuid import UUID

from modeltrail.commands.question import R, RowAt
from modeltrail.domain.errors import NotFoundError, StaleError
from modeltrail.domain.ids import ProjectId
from modeltrail.projections.projection import Projection, Row


async def existing(
    projection: Projection[R], project_id: ProjectId, id_: UUID, absent: Callable[[], NotFoundError]
) -> R:
    """The row with this id. Raises what `absent` gives when the project has none such."""
    row = await RowAt(projection, id_)
    if row is None or row.project_id != project_id:
        raise absent()
    return row


def require_revision(row: Row, expected: int | None) -> None:
    """Raise StaleError when the caller decided on another revision than the newest."""
    if expected is not None and row.revision != expected:
        raise StaleError(f"the resource has changed: it is at revision {row.revision}, not {expected}; read it again")
