"""People's addresses: sealed under one key per person before they come near an event.

Erasing a person is deleting that person's key: every copy of the address in the log is noise from then on.
"""

import os
from collections import OrderedDict
from collections.abc import Collection
from uuid import UUID, uuid4

from asyncpg import Pool
from cryptography.exceptions import InvalidTag
from msgspec import Struct

from modeltrail.domain.personal import Personal
from modeltrail.eventlog.keys import KEY_BYTES, KeyRing, UnusableKeyError, seal, unseal
from modeltrail.postgres.statements import Statements

SQL = Statements("modeltrail.eventlog", "people.sql")
CACHED = 10_000


class _Person(Struct, frozen=True):
    id: UUID
    key: bytes


class People:
    """Knows the key of each person, making one for a person seen for the first time."""

    def __init__(self, pool: Pool, keys: KeyRing) -> None:
        self._pool = pool
        self._keys = keys
        self._known: OrderedDict[bytes, _Person] = OrderedDict()

    async def seal(self, address: str) -> Personal:
        """`address` as personal data. Addresses that differ only in case belong to the same person."""
        person = await self._person(self._keys.digest(address.casefold()))
        return Personal(person.id, seal(person.key, address.encode(), person.id.bytes), address)

    async def secret(self, purpose: str) -> bytes:
        """A key for `purpose`, the same in every process, which tells nothing of the installation's keys."""
        # U+0000, which no stored text holds: else an address could be chosen whose digest, in the database, is the key.
        return self._keys.digest(f"\0{purpose}")

    async def _person(self, digest: bytes) -> _Person:
        if digest in self._known:
            self._known.move_to_end(digest)
            return self._known[digest]
        person = await self._find(digest) or await self._add(digest)
        self._known[digest] = person
        if len(self._known) > CACHED:
            self._known.popitem(last=False)
        return person

    async def _find(self, digest: bytes) -> _Person | None:
        row = await self._pool.fetchrow(SQL.get_person, digest)
        if row is None:
            return None
        key = self._keys.unseal(row["key_id"], row["wrapped_key"], row["person"].bytes)
        return _Person(row["person"], key)

    async def _add(self, digest: bytes) -> _Person:
        person, key = uuid4(), os.urandom(KEY_BYTES)
        key_id, wrapped = self._keys.seal(key, person.bytes)
        await self._pool.execute(SQL.add_person, person, digest, key_id, wrapped)
        found = await self._find(digest)  # another process may have been first
        if found is None:
            raise UnusableKeyError("a person's key was removed at the moment it was made; try again")
        return found


class PersonKeys:
    """The keys of the people in a part of the log, for those who read it. `open` is an `Opener`."""

    def __init__(self, pool: Pool, keys: KeyRing) -> None:
        self._pool = pool
        self._ring = keys
        self._keys: dict[UUID, bytes] = {}

    async def learn(self, persons: Collection[UUID]) -> None:
        """Find out the keys of `persons` anew; those of people who were erased meanwhile are forgotten."""
        for person in persons:
            self._keys.pop(person, None)
        for row in await self._pool.fetch(SQL.list_people, list(persons)):
            self._keys[row["person"]] = self._ring.unseal(row["key_id"], row["wrapped_key"], row["person"].bytes)

    def open(self, person: UUID, box: bytes) -> str | None:
        """The text in `box`, or None when the person's key is gone."""
        key = self._keys.get(person)
        if key is None:
            return None
        try:
            return unseal(key, box, person.bytes).decode()
        except InvalidTag:
            return None


async def check_keys(pool: Pool, keys: KeyRing) -> None:
    """Raise UnusableKeyError when something stored needs a key that is not at hand."""
    missing = sorted({row["key_id"] for row in await pool.fetch(SQL.list_key_ids)} - keys.ids)
    if missing:
        raise UnusableKeyError(
            f"stored data is encrypted under secret key {', '.join(map(repr, missing))}, which is not configured:"
            " add it to MODELTRAIL_SECRET_KEYS or to the file that MODELTRAIL_SECRET_KEYS_FILE names"
        )
