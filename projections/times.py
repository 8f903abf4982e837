"""How times stand in answers. They come as UTC, and msgspec writes that in a tenth of the time of `isoformat`."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta, to_builtins

WholeSeconds = Annotated[str, Meta(extra_json_schema={"format": "date-time", "examples": ["2026-02-10T08:15:30Z"]})]
Microseconds = Annotated[
    str, Meta(extra_json_schema={"format": "date-time", "examples": ["2026-02-10T08:15:30.123456Z"]})
]


def to_seconds(moment: datetime) -> str:
    """RFC 3339, UTC, whole seconds: `2026-02-10T08:15:30Z`. The registry's form."""
    return to_microseconds(moment)[:19] + "Z"


def to_microseconds(moment: datetime) -> str:
    """RFC 3339, UTC, up to microseconds. Serving's form."""
    written: str = to_builtins(moment)
    return written
