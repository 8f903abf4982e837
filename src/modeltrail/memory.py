"""How the long-running processes use Python's garbage collector."""

import gc

YOUNGEST = 10_000


def settle() -> None:
    """Take what start-up made out of the collector's sight, and let it run less often.

    A request makes some hundred short-lived objects and no cycles; the default looks through them every 700.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNGEST, 20, 50)
