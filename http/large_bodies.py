"""Room for large bodies: few at a time, as each takes several times its size while it is read, decided and written."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from litestar.types import HTTPScope

LARGE = 64 * 1024
AT_ONCE = 8
PATIENCE = 5.0  # seconds

# Other routes leave the body where it is, and one of them, a stream of events, is open for as long as the caller likes.
_READ_BODIES = frozenset(("POST", "PATCH"))


class NoRoomError(Exception):
    """Too many large bodies are under way."""


class LargeBodies:
    """Lets large bodies in, a few at a time and in the order they came. Small ones need no room."""

    def __init__(self) -> None:
        self._slots = asyncio.Semaphore(AT_ONCE)

    @asynccontextmanager
    async def room(self) -> AsyncIterator[None]:
        """Hold what a large body needs until the end of the block. Raises NoRoomError after some seconds."""
        try:
            async with asyncio.timeout(PATIENCE):
                await self._slots.acquire()
        except TimeoutError:
            raise NoRoomError from None
        try:
            yield
        finally:
            self._slots.release()


def may_be_large(scope: HTTPScope) -> bool:
    """Whether the request has a body to be read, which is announced as large or comes without an announced length."""
    if scope["method"] not in _READ_BODIES:
        return False
    for name, value in scope["headers"]:
        if name == b"content-length":
            return not value.isdigit() or len(value) > 18 or int(value) > LARGE
        if name == b"transfer-encoding":
            return True
    return False
