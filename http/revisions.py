"""Conditional requests: `If-Match` and `If-None-Match` against a resource's revision (RFC 9110, section 13)."""

import re

from modeltrail.http.errors import invalid

# A revision is a bigint.
_REVISION = re.compile(rb'"([0-9]{1,19})"')


def expected_revision(if_match: bytes | None) -> int | None:
    """The revision that the caller decided on; None for any. Raises BadRequestError for what is neither."""
    if if_match is None or if_match.strip() == b"*":
        return None
    revision = _REVISION.fullmatch(if_match.strip())
    if revision is None:
        raise invalid("If-Match", 'expected a revision in quotes, such as "3", or *')
    return int(revision[1])


def has_revision(if_none_match: bytes | None, revision: int) -> bool:
    """Whether the caller has this revision already."""
    if if_none_match is None:
        return False
    current = b'"%d"' % revision
    held = [tag.strip().removeprefix(b"W/") for tag in if_none_match.split(b",")]
    return current in held or held == [b"*"]
