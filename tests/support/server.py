"""The API behind its real server, in this process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from modeltrail.http.app import create_app
from modeltrail.http.services import Services
from modeltrail.server import STALLED_SECONDS, serve

HOST = "127.0.0.1"


@asynccontextmanager
async def served(
    services: Services, port: int, *, stalled_seconds: float = STALLED_SECONDS
) -> AsyncIterator[asyncio.Task[None]]:
    """The running server, once it listens."""
    serving = serve(create_app(services), HOST, port, services.streams.close, stalled_seconds=stalled_seconds)
    server = asyncio.create_task(serving)
    try:
        async with asyncio.timeout(30):
            while not await _listens(port):  # noqa: ASYNC110 the server does not tell
                await asyncio.sleep(0.01)
        yield server
    finally:
        server.cancel()
        await asyncio.wait({server})


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(HOST, port)
    except ConnectionRefusedError:
        return False
    writer.close()
    await writer.wait_closed()
    return True
