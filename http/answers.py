"""Answers: bytes with a status, sent as they are."""

from typing import Any, Self, TypeVar

import msgspec
from litestar import Response
from litestar.types import HTTPResponseBodyEvent, HTTPResponseStartEvent, Receive, Scope, Send

from modeltrail.projections.documents import Document

Header = tuple[bytes, bytes]

JSON: Header = (b"content-type", b"application/json; charset=utf-8")


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

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's names
        """Send it."""
        start: HTTPResponseStartEvent = {
            "type": "http.response.start",
            "status": self.status,
            "headers": self.raw_headers,
        }
        body: HTTPResponseBodyEvent = {"type": "http.response.body", "body": self.body, "more_body": False}
        await send(start)
        await send(body)


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
