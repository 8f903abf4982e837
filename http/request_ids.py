"""Request ids: echoed to the caller as sent, and kept in logs and events only where they cannot be about a person."""

import re

from modeltrail.postgres.ids import new_id

LONGEST_ID = 128

_FIT_TO_ECHO = re.compile(rb"[\x20-\x7e]{1,%d}" % LONGEST_ID)
# What tracing systems make ids of; no `@`, so that no e-mail address gets into a log that nothing can be taken out of.
_FIT_TO_KEEP = re.compile(r"[A-Za-z0-9._:/+=-]+")


def request_id_of(given: bytes | None) -> str:
    """`given`, or a new UUID when it is absent, longer than LONGEST_ID characters or not printable ASCII."""
    if given is not None and _FIT_TO_ECHO.fullmatch(given):
        return given.decode("ascii")
    return str(new_id())


def kept_id_of(echoed: str) -> str:
    """The id for logs and events: the one that is echoed, or a new UUID when it might hold something personal."""
    return echoed if _FIT_TO_KEEP.fullmatch(echoed) else str(new_id())
