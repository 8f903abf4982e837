"""How times stand in answers."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta

WholeSeconds = Annotated[str, Meta(extra_json_schema={"format": "date-time", "examples": ["2026-02-10T08:15:30Z"]})]
Microseconds = Annotated[
    str, Meta(extra_json_schema={"format": "date-time", "examples": ["2026-02-10T08:15:30.123456Z"]})
]


def to_seconds(moment: datetime) -> str:
    """RFC 3339, UTC, whole seconds: `2026-02-10T08:15:30Z`. The registry's form."""
    return moment.isoformat()[:19] + "Z"


def to_microseconds(moment: datetime) -> str:
    """RFC 3339, UTC, up to microseconds. Serving's form."""
    return moment.isoformat().removesuffix("+00:00") + "Z"
