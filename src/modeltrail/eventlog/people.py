"""People's addresses: sealed under one key per person before they come near an event.

Erasing a person is deleting that person's key: every copy of the address in the log is noise from then on.
"""

import hashlib
import hmac
import os
import re
import time
import unicodedata
from collections import OrderedDict
from collections.abc import Collection, Iterable
from typing import Protocol
from uuid import UUID

from asyncpg import Connection, Pool
from cryptography.exceptions import InvalidTag
from msgspec import Struct

from modeltrail.domain.personal import Personal
from modeltrail.eventlog.first_mention import FirstMention, PersonKey
from modeltrail.eventlog.keys import KEY_BYTES, KeyRing, seal, unseal
from modeltrail.postgres.statements import Statements

SQL = Statements("modeltrail.eventlog", "people.sql")
CACHED = 10_000
FRESH_SECONDS = 10.0  # how long a process may go on using the key of somebody who was erased elsewhere
_PERSON = re.compile(rb'"person":"([0-9a-f-]{36})"')
DIGEST_PURPOSE = b"modeltrail person digest"


class _Person(Struct, frozen=True):
    id: UUID
    key: bytes
    seen: float
    """By the monotonic clock: when the database last had it."""
    last_erasure: int
    """Where the log's last erasure was then. Whether a later one meant this person, the writer finds out."""


class People:
    """Knows the keys of those who are known."""

    def __init__(self, pool: Pool, keys: KeyRing) -> None:
        self._pool = pool
        self._keys = keys
        self._known: OrderedDict[bytes, _Person] = OrderedDict()
        self._digest_key: bytes | None = None

    async def seal(self, address: str) -> Personal:
        """`address` as personal data, as it is written. Whose it is, `folded` says.

        A FirstMention when the database does not know that person. Nothing is stored: the writer of an event does so.
        Raises UnusableKeyError when that person's key is wrapped under a key that this process was not given.
        """
        digest = await self._digest(folded(address))
        person = await self._person(digest)
        if person is None:
            return FirstMention(address, digest, self._keys)
        return Personal(person.id, seal(person.key, address.encode(), person.id.bytes), address, person.last_erasure)

    def forget(self, persons: Collection[UUID]) -> None:
        """Look these people's keys up before they are used again."""
        for digest in [digest for digest, person in self._known.items() if person.id in persons]:
            del self._known[digest]

    async def find(self, address: str) -> tuple[UUID, ...]:
        """Whose address it is; nobody's when no event names that person, or the person was erased.

        Older code, which folded addresses otherwise, may have taken one person for two.
        """
        digests = [await self._digest(text) for text in dict.fromkeys((folded(address), address.casefold()))]
        rows = [await self._pool.fetchrow(SQL.get_person, digest) for digest in digests]
        return tuple(row["person"] for row in rows if row is not None)

    async def secret(self, purpose: str) -> bytes:
        """A key for `purpose`, the same in every process, which tells nothing of the installation's keys."""
        # With U+0000, which no address holds: else somebody could give `purpose` as an address, and the database would
        # store its digest, which is the key.
        return await self._digest(f"\0{purpose}")

    async def _digest(self, text: str) -> bytes:
        if self._digest_key is None:
            self._digest_key = await self._load_digest_key()
        return hmac.new(self._digest_key, text.encode(), hashlib.sha256).digest()

    async def _load_digest_key(self) -> bytes:
        row = await self._pool.fetchrow(SQL.get_digest_key)
        if row is None:
            key_id, wrapped = self._keys.seal(os.urandom(KEY_BYTES), DIGEST_PURPOSE)
            await self._pool.execute(SQL.add_digest_key, key_id, wrapped)
            row = await self._pool.fetchrow(SQL.get_digest_key)  # another process may have been first
        return self._keys.unseal(row["key_id"], row["wrapped_key"], DIGEST_PURPOSE)

    async def _person(self, digest: bytes) -> _Person | None:
        known = self._known.pop(digest, None)
        now = time.monotonic()
        if known is None or now - known.seen >= FRESH_SECONDS:
            known = await self._find(digest, now, known)
        if known is None:
            return None
        self._known[digest] = known
        if len(self._known) > CACHED:
            self._known.popitem(last=False)
        return known

    async def _find(self, digest: bytes, now: float, known: _Person | None) -> _Person | None:
        row = await self._pool.fetchrow(SQL.get_person, digest)
        if row is None:
            return None
        if known is not None and known.id == row["person"]:
            # A rotation wraps the key anew, and leaves it as it is.
            return _Person(known.id, known.key, now, row["last_erasure"])
        key = self._keys.unseal(row["key_id"], row["wrapped_key"], row["person"].bytes)
        return _Person(row["person"], key, now, row["last_erasure"])


def folded(address: str) -> str:
    """What two addresses have in common that belong to one person.

    They may differ in case, in blanks around them, and in how Unicode writes their letters.
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", address.strip()).casefold())


def persons_in(payloads: Iterable[bytes]) -> set[UUID]:
    """Whose addresses stand in these payloads, as the codec writes them."""
    return {UUID(found.decode()) for payload in payloads for found in _PERSON.findall(payload)}


async def people_with_keys(connection: Connection, persons: Collection[UUID]) -> set[UUID]:
    """Which of these people were not erased."""
    return {row["person"] for row in await connection.fetch(SQL.list_keys_of, list(persons))}


async def keys_by_digest(connection: Connection, digests: Collection[bytes]) -> dict[bytes, PersonKey]:
    """The keys of those of these people who are known."""
    rows = await connection.fetch(SQL.list_keys_by_digest, list(digests))
    return {row["digest"]: PersonKey(row["person"], row["digest"], row["key_id"], row["wrapped_key"]) for row in rows}


async def has_people(pool: Pool) -> bool:
    """Whether the key of anybody is there."""
    found: bool = await pool.fetchval(SQL.has_people)
    return found


class Unwrapping(Protocol):
    """Opens the keys of people: a KeyRing, or KeysAtHand for those who can do without names."""

    def unseal(self, key_id: str, box: bytes, purpose: bytes) -> bytes | None:
        """The key in `box`, or None when it cannot be opened here and need not be."""


class PersonKeys:
    """The keys of the people in a part of the log, for those who read it. `open` is an `Opener`."""

    def __init__(self, pool: Pool | Connection, keys: Unwrapping) -> None:
        self._pool = pool
        self._unwrapping = keys
        self._keys: dict[UUID, bytes | None] = {}

    async def learn(self, persons: Collection[UUID]) -> None:
        """Find out the keys of `persons`, and forget all others: those people may be erased by the next time."""
        self._keys = {
            row["person"]: self._unwrapping.unseal(row["key_id"], row["wrapped_key"], row["person"].bytes)
            for row in await self._pool.fetch(SQL.list_people, list(persons))
        }

    def open(self, person: UUID, box: bytes) -> str | None:
        """The text in `box`, or None when the person's key is gone, or cannot be used here."""
        key = self._keys.get(person)
        if key is None:
            return None
        try:
            return unseal(key, box, person.bytes).decode()
        except InvalidTag:
            return None

    def is_gone(self, person: UUID) -> bool:
        """Whether there was no key of that person when it was to be learned."""
        return person not in self._keys
