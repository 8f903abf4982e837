"""Events as they are appended: a response that goes on until the caller leaves, as server-sent events.

The format is https://html.spec.whatwg.org/multipage/server-sent-events.html: an `id`, and one line of JSON as `data`.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager

import msgspec
from asyncpg import Connection
from litestar.types import HTTPResponseStartEvent, Receive, Scope, Send

from modeltrail.eventlog.bell import Bell
from modeltrail.eventlog.reader import ShownEvent
from modeltrail.http.answers import AsItIs, body_event, send_in_pieces
from modeltrail.http.errors import BusyError, report_broken_off

MEDIA_TYPE = "text/event-stream"
AT_ONCE = 100  # events that are read in one go
BYTES_AT_ONCE = 256 * 1024  # the same, but for the last of them
LARGEST = 200  # streams per process
QUIET_SECONDS = 15.0  # after which a comment shows both sides that the other is there

Read = Callable[[int], Awaitable[Sequence[ShownEvent]]]
"""Up to AT_ONCE events after a position, oldest first, that begin within BYTES_AT_ONCE."""

_encode = msgspec.json.Encoder().encode


class EventStreams:
    """All streams of a process."""

    def __init__(self, connect: Callable[[], Awaitable[Connection]]) -> None:
        """`connect` opens the connection over which all of them hear of new events."""
        self._bell = Bell(connect)
        self._open = 0
        self._closed = False

    def close(self) -> None:
        """End all of them, and those that are still to come once they have sent what there is."""
        self._closed = True
        self._bell.ring()

    async def chunks(self, read: Read, after: int, until: int | None) -> AsyncGenerator[bytes, None]:
        """The events after position `after`, up to `until`; without that, also all that are still to come.

        The first piece comes once the log was read, whether or not there was an event. Instead of it, raises BusyError
        when there are as many streams as can be.
        """
        with self._counted(), self._bell.heard() as news:
            events = await read(after)
            # An id without data is no event, but where a caller who sees none before it breaks takes it up again.
            yield b"retry: 2000\nid: %d\n\n" % after + _written(events)
            while events or until is None:
                if events:
                    after = events[-1].position
                elif self._closed:
                    return
                elif not await _heard(news):
                    yield b": nothing new\n\n"
                news.clear()
                events = await read(after)
                if events:
                    yield _written(events)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        if self._open >= LARGEST:
            raise BusyError("too many streams of events are open here; try again")
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1


def _written(events: Sequence[ShownEvent]) -> bytes:
    return b"".join(b"id: %d\ndata: %b\n\n" % (each.position, _encode(each)) for each in events)


async def _heard(news: asyncio.Event) -> bool:
    try:
        async with asyncio.timeout(QUIET_SECONDS):
            return await news.wait()
    except TimeoutError:
        return False


class StreamedEvents(AsItIs[bytes]):
    """An answer that is sent piece by piece until there are no more, or the caller has left.

    A failure before the first piece is answered like that of any other request. After it the log tells why, and the
    connection breaks, as an answer that ended well would seem whole: who asks again goes on where it was, or is told.
    """

    def __init__(self, chunks: AsyncGenerator[bytes, None]) -> None:
        self._chunks = chunks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        sending = asyncio.create_task(self._send(scope, send))
        leaving = asyncio.create_task(_left(receive))
        try:
            await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
            if not sending.done():
                sending.cancel()
            await asyncio.wait((sending, leaving))
        if not sending.cancelled():
            sending.result()

    async def _send(self, scope: Scope, send: Send) -> None:
        async with aclosing(self._chunks) as chunks:
            first = await anext(chunks)
            await _begin(send)
            await send_in_pieces(send, first)
            async for chunk in _reported(chunks, scope):
                await send_in_pieces(send, chunk)
        await send(body_event(b"", more=False))


async def _reported(chunks: AsyncGenerator[bytes, None], scope: Scope) -> AsyncGenerator[bytes, None]:
    try:
        async for chunk in chunks:
            yield chunk
    except Exception as failure:
        report_broken_off(scope, failure)  # nobody else does: no status can tell it any more
        raise


async def _begin(send: Send) -> None:
    start: HTTPResponseStartEvent = {
        "type": "http.response.start",
        "status": 200,
        "headers": [
            (b"content-type", b"text/event-stream; charset=utf-8"),
            (b"cache-control", b"no-store"),
            (b"x-accel-buffering", b"no"),  # nginx would keep events back until it has enough of them
        ],
    }
    await send(start)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
