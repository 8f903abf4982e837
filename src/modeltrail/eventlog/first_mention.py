"""Somebody whom the database did not know when it was asked: the person's key is made when an event is written.

The key comes into the database in the statement that writes the first event which names the person, so that nobody is
kept whom no event names. It is made under the log's lock, where it is known whether another process was faster: a key
that was made before could be that of somebody who came and was erased meanwhile.
"""

import os
from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

from msgspec import Struct

from modeltrail.domain.personal import Personal
from modeltrail.eventlog.keys import KEY_BYTES, KeyRing, seal

NOBODY = UUID(int=0)
DIGESTS = "person_keys_digest_key"  # the constraint that lets a person have one key


class PersonKey(Struct, frozen=True):
    """A person's key as it is stored, with the keyed digest of the address that finds it."""

    person: UUID
    digest: bytes
    key_id: str
    wrapped_key: bytes


class FirstMention(Personal):
    """An address that is not sealed yet. The writer of the event does so, under the key that there is by then."""

    __slots__ = ("_keys", "digest")

    def __init__(self, address: str, digest: bytes, keys: KeyRing) -> None:
        super().__init__(NOBODY, b"", address)
        self.digest = digest
        self._keys = keys

    def new_key(self) -> PersonKey:
        """A key for the person, whom nobody knows yet."""
        person = uuid4()
        return PersonKey(person, self.digest, *self._keys.seal(os.urandom(KEY_BYTES), person.bytes))

    def sealed(self, key: PersonKey) -> Personal:
        """The address under the person's `key`. Raises UnusableKeyError when that is wrapped under one not at hand."""
        opened = self._keys.unseal(key.key_id, key.wrapped_key, key.person.bytes)
        text = self.text or ""
        return Personal(key.person, seal(opened, text.encode(), key.person.bytes), text)


def columns_of(keys: Sequence[PersonKey]) -> list[list[Any]]:  # Any: columns of several types
    """The columns of rows that keep these keys."""
    return [
        [each.person for each in keys],
        [each.digest for each in keys],
        [each.key_id for each in keys],
        [each.wrapped_key for each in keys],
    ]
