"""The ASGI application: litestar, with a request id on everything that it answers."""

from time import perf_counter
from typing import Any, cast

from litestar import Litestar
from litestar.enums import ScopeType
from litestar.types import HTTPScope, LifeSpanReceive, LifeSpanScope, LifeSpanSend, Message, Receive, Scope, Send

from modeltrail.http.answers import error
from modeltrail.http.large_answers import LargeAnswers
from modeltrail.http.large_bodies import LargeBodies, NoRoomError, may_be_large
from modeltrail.http.measures import Measures
from modeltrail.http.request_ids import kept_id_of, request_id_of
from modeltrail.http.services import Services

# litestar answers OPTIONS by itself, with 204. As a method that no route has, it is refused with 405 and `Allow`.
_NO_METHOD = "NONE"


class Application(Litestar):
    """A subclass, because litestar runs its middleware only behind a known route, not for a 404 or 405."""

    def work_with(self, services: Services) -> None:
        """Serve from now on with these, as if it had never served with others. To be called before it serves at all."""
        # Not Litestar(state=...), which copies what it is given.
        self.state.services = services
        self.state.measures = self._measures = Measures()
        self.state.large_answers = LargeAnswers()
        self._large_bodies = LargeBodies()

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
        began = perf_counter()
        request_id = request_id_of(first_header(cast("HTTPScope", scope), b"x-request-id"))
        extended = cast("dict[str, Any]", scope)  # Any: ASGI leaves room for keys of one's own
        extended["request_id"] = kept_id_of(request_id)
        if extended["method"] == "OPTIONS":
            extended["method"] = _NO_METHOD
        header = (b"x-request-id", request_id.encode())
        send_on = cast("Send", send)

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], header]
                took = perf_counter() - began
                self._measures.count(extended["method"], extended.get("path_template"), message["status"], took)
            await send_on(message)

        if not may_be_large(cast("HTTPScope", scope)):
            await super().__call__(scope, receive, send_with_id)
            return
        try:
            async with self._large_bodies.room():
                await super().__call__(scope, receive, send_with_id)
        except NoRoomError:
            refusal = error(503, "too many large requests are under way; try again", (b"retry-after", b"1"))
            await refusal(cast("HTTPScope", scope), cast("Receive", receive), send_with_id)


def first_header(scope: HTTPScope, name: bytes) -> bytes | None:
    """The first value of a header, as Go's Header.Get gives it. `name` in lower case."""
    for each, value in scope["headers"]:
        if each == name:
            return value
    return None
