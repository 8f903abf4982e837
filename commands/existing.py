"""What a command takes for granted: that what it names exists, in the caller's project."""

from collections.abc import Callable
from uuid import UUID

from modeltrail.commands.question import R, RowAt
from modeltrail.domain.errors import NotFoundError
from modeltrail.domain.ids import ProjectId
from modeltrail.projections.projection import Projection


async def existing(
    projection: Projection[R], project_id: ProjectId, id_: UUID, absent: Callable[[], NotFoundError]
) -> R:
    """The row with this id. Raises what `absent` gives when the project has none such."""
    row = await RowAt(projection, id_)
    if row is None or row.project_id != project_id:
        raise absent()
    return row
