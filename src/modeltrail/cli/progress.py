"""How far a long command has come: a bar on standard error, and nothing where that is no terminal."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

__all__ = ["progress"]


@contextmanager
def progress(label: str) -> Iterator[Callable[[int, int], None]]:
    """A function that is told how much is done, and how much there is to do; the bar lasts as long as the block."""
    if not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    began = time.monotonic()

    def rate(done: int | None) -> str | None:
        return f"{done / max(time.monotonic() - began, 0.001):,.0f}/s" if done else None

    with click.progressbar(
        length=1, label=label, file=sys.stderr, show_pos=True, show_eta=True, item_show_func=rate
    ) as bar:

        def tell(done: int, total: int) -> None:
            bar.length = total
            bar.update(done - bar.pos, done)

        yield tell
