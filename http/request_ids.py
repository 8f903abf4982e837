"""Request ids: the caller's own if it is fit to be logged and echoed, else one of ours."""

import re
from uuid import uuid4

LONGEST_ID = 128

_FIT = re.compile(rb"[\x20-\x7e]{1,%d}" % LONGEST_ID)


def request_id_of(given: bytes | None) -> str:
    """`given`, or a new UUID when it is absent, longer than 128 characters or not printable ASCII."""
    if given is not None and _FIT.fullmatch(given):
        return given.decode("ascii")
    return str(uuid4())
