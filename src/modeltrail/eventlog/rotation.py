"""Which keys the stored boxes are under, and putting all of them under the current one while the service runs."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from itertools import product
from uuid import UUID

from asyncpg import Connection, Pool, Record
from msgspec import Struct

from modeltrail.eventlog.keys import KeyRing, UnusableKeyError
from modeltrail.eventlog.people import DIGEST_PURPOSE
from modeltrail.postgres.statements import Statements

SQL = Statements("modeltrail.eventlog", "rotation.sql")
BATCH = 200  # rows locked at a time: a few milliseconds
ROUNDS = 5
LOCK = 0x6D74_726F_7461_7465  # "mtrotate": held by a rotation for each of its batches

_KINDS = {
    "credentials": (SQL.lock_credentials, SQL.save_credentials),
    "person keys": (SQL.lock_person_keys, SQL.save_person_keys),
}
_BEFORE_ALL = UUID(int=0)


class KeyUse(Struct, frozen=True):
    """What stands under one key. `has_key`: the ring has a key of that id, and it opens what is stored."""

    key_id: str
    is_current: bool
    has_key: bool
    credentials: int
    person_keys: int
    digest_key: int

    @property
    def boxes(self) -> int:
        """How many boxes need this key."""
        return self.credentials + self.person_keys + self.digest_key


class Rotation(Struct, frozen=True):
    """What a rotation did. `unopened` boxes could not be opened and were left as they are."""

    moved: int
    unopened: int


async def check_keys(pool: Pool | Connection, keys: KeyRing) -> None:
    """Raise UnusableKeyError when something stored needs a key that is not at hand, or another one of that id."""
    samples = await pool.fetch(SQL.list_samples)
    missing = sorted({row["key_id"] for row in samples} - keys.ids)
    if missing:
        raise UnusableKeyError(
            f"stored data is encrypted under secret key {', '.join(map(repr, missing))}, which is not configured:"
            " add it to MODELTRAIL_SECRET_KEYS or to the file that MODELTRAIL_SECRET_KEYS_FILE names"
        )
    for row in samples:
        keys.unseal(row["key_id"], row["box"], _purpose(row["id"]))


async def list_key_uses(pool: Pool | Connection, keys: KeyRing) -> list[KeyUse]:
    """What stands under each key that is stored or at hand: the current one first, then by id."""
    counts: dict[str, dict[str, int]] = {key_id: {} for key_id in keys.ids}
    for row in await pool.fetch(SQL.list_key_uses):
        counts.setdefault(row["key_id"], {})[row["kind"]] = row["boxes"]
    unfit = {row["key_id"] for row in await pool.fetch(SQL.list_samples) if not _opens(keys, row)}
    return [
        KeyUse(
            key_id=key_id,
            is_current=key_id == keys.current_id,
            has_key=key_id in keys.ids and key_id not in unfit,
            credentials=of_key.get("credentials", 0),
            person_keys=of_key.get("person keys", 0),
            digest_key=of_key.get("digest key", 0),
        )
        for key_id, of_key in sorted(counts.items(), key=lambda item: (item[0] != keys.current_id, item[0]))
    ]


async def rotate(connection: Connection, keys: KeyRing, on_progress: Callable[[int, int], None]) -> Rotation:
    """Put everything that is stored under the ring's current key, a batch at a time.

    Each batch is one transaction, so this may be interrupted anywhere and run again, also by several at once.
    `on_progress` is told how many boxes have moved, and how many there were to move. Boxes whose key is not at
    hand stay as they are. Raises UnusableKeyError when something stands under another key of the current one's id.
    """
    uses = await list_key_uses(connection, keys)
    total = sum(use.boxes for use in uses if not use.is_current)
    moved = unopened = 0
    # Writers that still have the old key as their current one may add behind our back; after a few rounds it is
    # for the operator to restart them.
    for _ in range(ROUNDS):
        in_round, unopened = await _move_digest_key(connection, keys)
        old_keys = [use.key_id for use in await list_key_uses(connection, keys) if not use.is_current]
        for old, kind in product(old_keys, _KINDS):
            async for done, failed in _move(connection, keys, old, kind):
                in_round += done
                unopened += failed
                on_progress(moved + in_round, max(total, moved + in_round))
        moved += in_round
        if not in_round:
            break
    return Rotation(moved=moved, unopened=unopened)


async def _move_digest_key(connection: Connection, keys: KeyRing) -> tuple[int, int]:
    """Whether it has moved, and whether it could not be opened, as numbers."""
    async with _batch(connection, keys):
        row = await connection.fetchrow(SQL.lock_digest_key, keys.current_id)
        if row is None:
            return 0, 0
        box = _resealed(keys, row["key_id"], row["wrapped_key"], DIGEST_PURPOSE)
        if box is None:
            return 0, 1
        await connection.execute(SQL.save_digest_key, keys.current_id, box)
        return 1, 0


async def _move(connection: Connection, keys: KeyRing, old: str, kind: str) -> AsyncGenerator[tuple[int, int], None]:
    """Of each batch: how many boxes have moved, and how many could not be opened."""
    lock, save = _KINDS[kind]
    last = _BEFORE_ALL
    while True:
        async with _batch(connection, keys):
            rows = await connection.fetch(lock, old, last, BATCH)
            if not rows:
                return
            moved = {row["id"]: box for row in rows if (box := _resealed(keys, old, row["box"], row["id"].bytes))}
            await connection.execute(save, keys.current_id, list(moved), list(moved.values()))
        last = rows[-1]["id"]
        yield len(moved), len(rows) - len(moved)


@asynccontextmanager
async def _batch(connection: Connection, keys: KeyRing) -> AsyncGenerator[None, None]:
    """A transaction, while no other rotation has one, and the current key fits what stands under its id.

    Two hosts may have made keys of one id: what is under both of them, no ring of keys can open.
    """
    async with connection.transaction():
        await connection.execute(SQL.take_turn, LOCK)
        for row in await connection.fetch(SQL.list_samples_under, keys.current_id):
            keys.unseal(keys.current_id, row["box"], _purpose(row["id"]))
        yield


def _resealed(keys: KeyRing, old: str, box: bytes, purpose: bytes) -> bytes | None:
    try:
        return keys.seal(keys.unseal(old, box, purpose), purpose)[1]
    except UnusableKeyError:
        return None


def _opens(keys: KeyRing, row: Record) -> bool:
    try:
        keys.unseal(row["key_id"], row["box"], _purpose(row["id"]))
    except UnusableKeyError:
        return False
    return True


def _purpose(owner: UUID | None) -> bytes:
    return DIGEST_PURPOSE if owner is None else owner.bytes
