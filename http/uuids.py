"""UUIDs as callers write them."""

import re
from uuid import UUID

from modeltrail.postgres.ids import read_id

# The four forms that Go's uuid.Parse takes: https://pkg.go.dev/github.com/google/uuid#Parse
PLAIN_LENGTH = 36
_PLAIN = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_ANY_FORM = re.compile(rf"(?:urn:uuid:)?{_PLAIN}|\{{{_PLAIN}\}}|[0-9a-f]{{32}}", re.IGNORECASE | re.ASCII)


def parse_uuid(text: str) -> UUID | None:
    """The UUID that `text` stands for, or None when it stands for none."""
    if _ANY_FORM.fullmatch(text) is None:
        return None
    return read_id(text if len(text) == PLAIN_LENGTH else text.lower().removeprefix("urn:uuid:").strip("{}"))
