"""The HTTP server: granian inside our own event loop, so that one process is all there is to start, stop or kill.

granian because it measured 1.6 times uvicorn with this application; see docs/adr.
"""

import asyncio
import contextlib

from granian.constants import Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server
from litestar import Litestar

STOP_SECONDS = 5.0
BACKLOG = 1024


async def serve(app: Litestar, host: str, port: int) -> None:
    """Serve `app` until cancelled, then let requests under way end."""
    server = Server(
        app,
        address=host,
        port=port,
        interface=Interfaces.ASGI,
        backlog=BACKLOG,
        log_enabled=False,
        http1_settings=HTTP1Settings(header_read_timeout=30_000),
    )
    serving = asyncio.create_task(server.serve())
    try:
        await asyncio.shield(serving)
    finally:
        server.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                await serving
