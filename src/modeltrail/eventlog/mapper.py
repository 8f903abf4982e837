"""Our log through the eyes of the `eventsourcing` library: its recorder and this mapper read every event back.

The library's own mapper builds events from class paths and `vars()`; our events are structs with stable names.
"""

from typing import cast
from uuid import UUID

from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import JSONTranscoder, Mapper, StoredEvent
from msgspec import Struct

from modeltrail.domain.decider import AnyEvent
from modeltrail.eventlog.codec import Codec, encode, topic_of


class LoggedEvent(Struct, frozen=True):
    """An event with its place in its stream, as the library wants to see it."""

    originator_id: UUID
    originator_version: int
    event: AnyEvent


class EventMapper(Mapper[UUID]):
    """Turns the library's stored events into ours, and ours into the library's."""

    def __init__(self, codec: Codec) -> None:
        super().__init__(transcoder=JSONTranscoder())
        self._codec = codec

    def to_stored_event(self, domain_event: DomainEventProtocol[UUID]) -> StoredEvent:
        """The stored form. Its topic is the event's stable name."""
        logged = cast("LoggedEvent", domain_event)  # the library's type for "has an id and a version"
        return StoredEvent(
            originator_id=logged.originator_id,
            originator_version=logged.originator_version,
            topic=topic_of(logged.event),
            state=encode(logged.event),
        )

    def to_domain_event(self, stored_event: StoredEvent) -> DomainEventProtocol[UUID]:
        """The event in its stored form. Raises UnreadableEventError."""
        originator_id = stored_event.originator_id
        logged = LoggedEvent(
            originator_id=originator_id if isinstance(originator_id, UUID) else UUID(originator_id),
            originator_version=stored_event.originator_version,
            event=self._codec.decode(stored_event.topic, stored_event.state),
        )
        return cast("DomainEventProtocol[UUID]", logged)  # a struct with the same attributes
