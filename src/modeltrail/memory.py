"""How the long-running processes use Python's garbage collector."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

YOUNGEST = 10_000


def settle() -> None:
    """Take what start-up made out of the collector's sight, and let it run less often.

    A request makes some hundred short-lived objects and no cycles; the default looks through them every 700.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNGEST, 20, 50)


@contextmanager
def without_collection() -> Iterator[None]:
    """For a command that makes many rows, which hold no cycles, and keeps them for a while.

    The collector looks through all of them again and again, and finds nothing: a fifth of a rebuild's time.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
