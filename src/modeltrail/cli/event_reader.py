"""The event log as the commands that show it see it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

__all__ = ["EventReader", "EventRecord"]


class EventRecord(Protocol):
    """One event of the log."""

    @property
    def position(self) -> int: ...

    @property
    def stream(self) -> UUID: ...

    @property
    def stream_version(self) -> int: ...

    @property
    def type(self) -> str:
        """The tag, such as `inference_service.deployment_succeeded`."""

    @property
    def project_id(self) -> UUID: ...

    @property
    def recorded_at(self) -> datetime: ...

    @property
    def actor(self) -> str | None: ...

    @property
    def request_id(self) -> str | None: ...

    @property
    def causation_id(self) -> int | str | UUID | None: ...

    @property
    def data(self) -> Mapping[str, object]:
        """What the event says, ready for JSON."""


class EventReader(Protocol):
    """Reads the log in commit order; all lists are oldest first."""

    async def after(self, position: int, limit: int) -> Sequence[EventRecord]:
        """The oldest `limit` events after `position`."""

    async def end(self) -> int:
        """The newest event's position, of whatever stream."""
