"""Checking the chain over rows as PostgreSQL copies them out: as little Python as possible for each event.

What is read is `copy_links` of audit.sql, in PostgreSQL's binary COPY format: 19 bytes of header, then for each row
the number of fields (2 bytes; -1 at the end), and for its one field the length (4 bytes) and the bytes.
https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.3.55.9.4
"""

from hashlib import sha256
from struct import Struct

_HEADER = 19
_ROW = Struct(">hi32sqq")  # fields, length, hash, time, position
_TIME = Struct(">q").pack
_TIMES_FROM = 946_684_800_000_000  # PostgreSQL counts from 2000, the chain from 1970; in µs
_LATEST = 2**63 - 1 - _TIMES_FROM
_BEFORE_TIME = _ROW.size - 8  # the position is hashed, what stands before it is not, or elsewhere
_AFTER_TIME = _BEFORE_TIME + 48  # position, stream, version, project


class CopiedLinks:
    """Takes the chunks of a COPY as they come, and stops at the first row that does not follow the one before."""

    def __init__(self, position: int, digest: bytes) -> None:
        """Go on after the event at `position`, which has the hash `digest`."""
        self.position = position
        self.digest = digest
        self.broken = False
        """Whether the row after `position` is not what it must be."""
        self._rest = b""
        self._begun = False

    async def take(self, chunk: bytes) -> None:
        """Check all rows that are whole by now."""
        if self.broken:
            return
        buffer = self._rest + chunk
        at = 0
        if not self._begun:
            if len(buffer) < _HEADER:
                self._rest = buffer
                return
            self._begun, at = True, _HEADER
        self._rest = buffer[self._check(buffer, at) :]

    def _check(self, buffer: bytes, at: int) -> int:
        """How far the buffer has been checked."""
        position, previous, end = self.position, self.digest, len(buffer)
        unpack, size_of_row = _ROW.unpack_from, _ROW.size
        while at + size_of_row <= end:
            _fields, size, digest, time, found = unpack(buffer, at)
            stop = at + 6 + size
            if stop > end:
                break
            position += 1
            shown = _TIME(time + _TIMES_FROM if time <= _LATEST else time)
            text = previous + buffer[at + _BEFORE_TIME : at + _AFTER_TIME] + shown + buffer[at + _AFTER_TIME : stop]
            if found != position or sha256(text).digest() != digest:
                self.broken = True
                break
            self.position, self.digest = position, digest
            previous, at = digest, stop
        return at
