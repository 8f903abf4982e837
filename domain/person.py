"""A person whose address is in the log: all that ever happens to one is to be forgotten."""

from modeltrail.domain.event import Event


class PersonErased(Event, frozen=True, tag="person.erased"):
    """The stream is the person's id, which says nothing of who it was: the key to the address is gone."""


PersonEvent = PersonErased
