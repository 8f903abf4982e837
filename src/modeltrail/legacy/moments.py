"""Times of the old service, which may lie where Python has none: before the year 1, after 9999, or at infinity.

Go's zero time, which the old service wrote where it had none, is the first moment of the year 1.
"""

from datetime import UTC, datetime, timedelta

from asyncpg import Connection

_TICK = timedelta(microseconds=1)
# Not the very first and last moments that Python has: asyncpg writes those as -infinity and infinity, and reads
# these back without a time zone, so that they could be compared with no other time.
EARLIEST = datetime.min.replace(tzinfo=UTC) + _TICK
LATEST = datetime.max.replace(tzinfo=UTC) - _TICK
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)  # where PostgreSQL counts from
_RANGE = (EARLIEST - _EPOCH) // _TICK, (LATEST - _EPOCH) // _TICK


async def read_all_moments(connection: Connection) -> None:
    """Let `connection` read any time, the nearest between EARLIEST and LATEST; those without a zone as of UTC."""
    for name in ("timestamptz", "timestamp"):
        await connection.set_type_codec(name, schema="pg_catalog", encoder=_refuse, decoder=_nearest, format="tuple")


def _nearest(microseconds: tuple[int]) -> datetime:
    first, last = _RANGE
    return _EPOCH + min(max(microseconds[0], first), last) * _TICK


def _refuse(moment: object) -> tuple[int]:
    raise TypeError(f"the old service's database is only read; {moment!r} is not to be written")
