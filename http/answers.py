"""Answers: bytes with a status, sent as they are."""

from typing import TYPE_CHECKING, Any, Self, TypeVar

import msgspec
from litestar import Response
from litestar.types import HTTPResponseBodyEvent, HTTPResponseStartEvent, Receive, Scope, Send

from modeltrail.projections.documents import Document

if TYPE_CHECKING:
    from modeltrail.http.large_answers import LargeAnswers

Header = tuple[bytes, bytes]

JSON: Header = (b"content-type", b"application/json; charset=utf-8")

# The server takes 32 pieces of an answer before it waits for a caller who reads slowly, or not at all.
LARGEST_PIECE = 16 * 1024
LARGE = 32 * LARGEST_PIECE

T = TypeVar("T")


class Error(msgspec.Struct, frozen=True):
    """What is wrong, with which part of the request, and what to do."""

    error: str


class AsItIs(Response[T]):
    """A response that is sent without litestar's rendering, which costs more than all of ours."""

    def to_asgi_response(self, *_args: Any, **_options: Any) -> Self:  # type: ignore[override] # noqa: ANN401
        """Itself: litestar wants an ASGI application, and this is one."""
        return self


class Sent(AsItIs[T]):
    """A status and bytes."""

    def __init__(self, status: int, body: bytes, *headers: Header) -> None:
        self.status = status
        self.body = body
        self.raw_headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's name
        """Send it. Raises BusyError when it is large and others are, too."""
        start: HTTPResponseStartEvent = {
            "type": "http.response.start",
            "status": self.status,
            "headers": self.raw_headers,
        }
        if len(self.body) <= LARGE:
            await send(start)
            await send(body_event(self.body, more=False))
            return
        large_answers: LargeAnswers = scope["litestar_app"].state.large_answers
        with large_answers.room(len(self.body)):
            await send(start)
            await send_in_pieces(send, self.body)
            await send(body_event(b"", more=False))


async def send_in_pieces(send: Send, body: bytes) -> None:
    """Send a part of an answer no faster than the caller takes it. More is to come after it."""
    for begin in range(0, len(body), LARGEST_PIECE):
        await send(body_event(body[begin : begin + LARGEST_PIECE], more=True))


def body_event(body: bytes, *, more: bool) -> HTTPResponseBodyEvent:
    """The message that sends a piece."""
    return {"type": "http.response.body", "body": body, "more_body": more}


Answer = Sent[bytes]
NoContent = Sent[None]


def json(status: int, body: bytes, *headers: Header) -> Answer:
    """An answer with this JSON."""
    return Answer(status, body, JSON, (b"content-length", b"%d" % len(body)), *headers)


def error(status: int, message: str, *headers: Header) -> Answer:
    """An answer that says what is wrong."""
    return json(status, msgspec.json.encode(Error(message)), *headers)


def resource(status: int, document: Document) -> Answer:
    """A single resource, with its revision as ETag."""
    return json(status, document.body, etag(document))


def created(document: Document) -> Answer:
    """A new resource."""
    return resource(201, document)


def shown(document: Document) -> Answer:
    """A resource that was there before."""
    return resource(200, document)


def not_modified(document: Document) -> Answer:
    """The caller has this revision already."""
    return Answer(304, b"", etag(document))


def no_content() -> NoContent:
    """Done, and nothing to say."""
    return NoContent(204, b"")


def etag(document: Document) -> Header:
    """The header that names the document's revision."""
    return (b"etag", b'"%d"' % document.revision)
