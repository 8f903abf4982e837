"""Old shapes of events, brought up to date when they are read. What is stored is never rewritten."""

from collections.abc import Callable
from typing import Any

import msgspec

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]  # Any: JSON of a shape that no class describes any more

UPCASTERS: dict[str, Upcaster] = {}
"""By the tag that was stored. Each takes a payload to the next shape, under that shape's tag in `type`."""


def upcast(topic: str, state: bytes) -> bytes:
    """The payload in today's shape. Costs one look-up for an event that is up to date."""
    if topic not in UPCASTERS:
        return state
    payload = msgspec.json.decode(state, type=dict[str, Any])
    while (upcaster := UPCASTERS.get(payload["type"])) is not None:
        payload = upcaster(payload)
    return msgspec.json.encode(payload)
