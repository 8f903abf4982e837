"""Ids as the driver has them."""

import os
from uuid import UUID

from asyncpg.pgproto import pgproto


def new_id() -> UUID:
    """A random UUID (version 4). asyncpg's own kind: making, hashing and sending it takes a third of uuid4's time."""
    random = bytearray(os.urandom(16))
    random[6] = random[6] & 0x0F | 0x40
    random[8] = random[8] & 0x3F | 0x80
    made: UUID = pgproto.UUID(bytes(random))
    return made


def read_id(text: str) -> UUID:
    """The UUID in its plain form, hyphens or not, in any case. asyncpg's own kind, made in a fifth of UUID's time."""
    read: UUID = pgproto.UUID(text)
    return read
