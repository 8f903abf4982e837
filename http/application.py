"""The ASGI application: litestar, with a request id on everything that it answers."""

from typing import Any, cast

from litestar import Litestar
from litestar.enums import ScopeType
from litestar.types import HTTPScope, LifeSpanReceive, LifeSpanScope, LifeSpanSend, Message, Receive, Scope, Send

from modeltrail.http.request_ids import request_id_of


class Application(Litestar):
    """A subclass, because litestar runs its middleware only behind a known route, not for a 404 or 405."""

    async def __call__(
        self,
        scope: Scope | LifeSpanScope,
        receive: Receive | LifeSpanReceive,
        send: Send | LifeSpanSend,
    ) -> None:
        """Serve one connection."""
        if scope["type"] != ScopeType.HTTP:
            await super().__call__(scope, receive, send)
            return
        request_id = request_id_of(first_header(cast("HTTPScope", scope), b"x-request-id"))
        extended = cast("dict[str, Any]", scope)  # Any: ASGI leaves room for keys of one's own
        extended["request_id"] = request_id
        header = (b"x-request-id", request_id.encode())
        send_on = cast("Send", send)

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], header]
            await send_on(message)

        await super().__call__(scope, receive, send_with_id)


def first_header(scope: HTTPScope, name: bytes) -> bytes | None:
    """The first value of a header, as Go's Header.Get gives it. `name` in lower case."""
    for each, value in scope["headers"]:
        if each == name:
            return value
    return None
