"""An event as it stands in the log: what happened, and who asked for it, when, and because of what."""

from datetime import datetime
from uuid import UUID

from msgspec import Struct

from modeltrail.domain.decider import AnyEvent
from modeltrail.domain.ids import ProjectId
from modeltrail.domain.personal import Personal


class System(Struct, frozen=True):
    """A part of modeltrail that acts by itself, such as the deploy worker."""

    system: str


Actor = Personal | System


class Context(Struct, frozen=True):
    """Why a command is given: kept with each of its events.

    `command_id` is new for each command; it tells, after a lost connection, whether the command is in the log.
    `causation_id` is the position of the event that the command answers.
    """

    project_id: ProjectId
    command_id: UUID
    request_id: str
    actor: Actor | None = None
    causation_id: int | None = None


class Recorded(Struct, frozen=True):
    """One event of the log. `position` counts from 1 over the whole log, `version` from 1 in its stream."""

    position: int
    stream: UUID
    version: int
    event: AnyEvent
    recorded_at: datetime
    context: Context
