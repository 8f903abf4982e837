"""The HTTP server: granian inside our own event loop, so that one process is all there is to start, stop or kill.

granian because it measured 1.6 times uvicorn with this application; see docs/adr.
"""

import asyncio
import os
import resource
import socket
import sys
from collections.abc import Callable
from typing import Any

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server
from litestar import Litestar

STOP_SECONDS = 5.0
BACKLOG = 1024
# Idle ones count, too; whoever comes after that waits until one is closed, those who ask after our health included.
MOST_CONNECTIONS = 10_000
OTHER_FILES = 256  # what else is open: connections to the database, most of all
HEADER_SECONDS = 30
STALLED_SECONDS = 60.0


async def serve(
    app: Litestar,
    host: str,
    port: int,
    on_stop: Callable[[], None],
    *,
    stalled_seconds: float = STALLED_SECONDS,
) -> None:
    """Serve `app` until cancelled, then let requests under way end; `on_stop` ends those that would go on for ever.

    A caller who takes nothing of what is there to be sent for `stalled_seconds`, or is gone without a word, is cut off.
    """
    server = Server(
        app,
        address=host,
        port=port,
        interface=Interfaces.ASGI,
        backlog=BACKLOG,
        backpressure=_most_connections(),
        log_enabled=False,
        # Not `auto`, which waits for ever for the first bytes of a connection to tell HTTP/1 from HTTP/2.
        http=HTTPModes.http1,
        # No route has one, and the request to open one is answered like any other, not by the server with an empty 403.
        websockets=False,
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_SECONDS * 1000),
    )
    server.on_startup(lambda: _cut_off_stalled(server, stalled_seconds))
    serving = asyncio.create_task(server.serve(), name="server")
    try:
        await asyncio.shield(serving)
    finally:
        on_stop()
        server.stop()
        # Not cancelled when it takes longer: the server cannot be, and would log a traceback when it ends after that.
        ended, _ = await asyncio.wait((serving,), timeout=STOP_SECONDS)
        for each in ended:
            each.result()


def _cut_off_stalled(server: Server, seconds: float) -> None:
    """Have the kernel end connections over which nothing was taken for so long: granian has no limit for that.

    Those that are accepted have it from the socket that listens; see TCP_USER_TIMEOUT in tcp(7). Only Linux knows it.
    """
    # Any: granian declares what it keeps here as nothing but None
    spec: Any = getattr(server, "_ssp", None)  # it gives its socket to nobody
    if sys.platform != "linux" or spec is None:  # another release of granian may keep it elsewhere: serve all the same
        return
    holder = spec.build()
    with socket.socket(fileno=os.dup(holder.get_fd())) as listening:
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(seconds * 1000))
    server._ssp, server._shd = None, holder  # noqa: SLF001 as it does itself on other systems


def _most_connections() -> int:
    """How many connections can be open at a time.

    Raises the soft limit of open files to that where the hard one allows it, as Go programs do by themselves: many
    systems begin with 1,024.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_CONNECTIONS + OTHER_FILES
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
        except (OSError, ValueError):  # macOS has a lower limit of its own
            allowed = soft
    return max(allowed - OTHER_FILES, allowed // 2)
