"""Room for large answers, so that those who read slowly, or not at all, do not fill the memory with them."""

from collections.abc import Iterator
from contextlib import contextmanager

from modeltrail.http.errors import BusyError

MOST = 256 * 1024 * 1024  # bytes


class LargeAnswers:
    """All large answers of a process that are on their way: MOST bytes of them, or a single one of any size."""

    def __init__(self) -> None:
        self._bytes = 0

    @contextmanager
    def room(self, size: int) -> Iterator[None]:
        """Hold what an answer of `size` bytes needs until the end of the block. Raises BusyError when there is none.

        Nobody waits for it: those who did would have their answers in memory, too.
        """
        if self._bytes and self._bytes + size > MOST:
            raise BusyError("too many large answers are under way; ask for less, or try again")
        self._bytes += size
        try:
            yield
        finally:
            self._bytes -= size
