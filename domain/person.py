"""A person whose address is in the log: all that ever happens to one is to be forgotten."""

from uuid import UUID

from modeltrail.domain.event import Event
from modeltrail.domain.ids import ProjectId

EVERYWHERE = ProjectId(UUID(int=0))
"""Whose events those of people are: people belong to no project."""


class PersonErased(Event, frozen=True, tag="person.erased"):
    """The stream is the person's id, which says nothing of who it was: the key to the address is gone."""


PersonEvent = PersonErased
