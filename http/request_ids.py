"""Request ids: the caller's own if it is fit to be logged and echoed, else one of ours."""

import re

from modeltrail.postgres.ids import new_id

_FIT = re.compile(rb"[\x20-\x7e]{1,128}")


def request_id_of(given: bytes | None) -> str:
    """`given`, or a new UUID when it is absent, longer than 128 characters or not printable ASCII."""
    if given is not None and _FIT.fullmatch(given):
        return given.decode("ascii")
    return str(new_id())
