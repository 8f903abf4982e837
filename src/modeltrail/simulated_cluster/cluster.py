"""The simulated cluster as a whole: its objects, its controller and its server, started and stopped."""

import asyncio
import logging
import os
import socket
from dataclasses import dataclass, field
from pathlib import Path
from ssl import SSLContext
from types import TracebackType
from typing import Self

from aiohttp import web

from modeltrail.simulated_cluster.admin import Admin
from modeltrail.simulated_cluster.controller import Controller, Timing
from modeltrail.simulated_cluster.faults import Faults, Requests
from modeltrail.simulated_cluster.journal import DataFile
from modeltrail.simulated_cluster.objects import Objects
from modeltrail.simulated_cluster.server import Server
from modeltrail.simulated_cluster.store import Store

_log = logging.getLogger("modeltrail.simulated_cluster")


class PortInUseError(Exception):
    """The address cannot be listened on, mostly because somebody else does; the message names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a simulated cluster behaves; `port` 0 picks a free one, `data` None keeps nothing.

    `history` is the number of changes that a watch can be resumed over; `bookmark_every` is in seconds. `token_file`
    holds the bearer token to demand and may change at any time, as that of a pod does; with `tls` it speaks HTTPS.
    """

    host: str = "127.0.0.1"
    port: int = 0
    data: Path | None = None
    token: str | None = None
    token_file: Path | None = None
    tls: SSLContext | None = None
    strict_namespaces: bool = False
    history: int = 10_000
    bookmark_every: float = 30.0
    timing: Timing = field(default_factory=Timing)

    def demanded_token(self) -> str | None:
        """The bearer token that is right at this moment; None when none is needed."""
        return self.token_file.read_text(encoding="utf-8").strip() if self.token_file else self.token


class SimulatedCluster:
    """An async context manager that serves while it is entered; then `url` says where."""

    def __init__(self, options: Options | None = None) -> None:
        self.options = options or Options()
        self.store = Store(history=self.options.history)
        self._admin = Admin(self.store)
        self._url = ""

    @property
    def url(self) -> str:
        return self._url

    @property
    def faults(self) -> Faults:
        return self._admin.faults

    @property
    def requests(self) -> Requests:
        return self._admin.requests

    def drop_watches(self) -> None:
        """Reset every open watch."""
        self._server.drop_watches()

    async def __aenter__(self) -> Self:
        options = self.options
        # The port comes before the data file: a second cluster by mistake must not touch the first one's.
        listener = _listener(options.host, options.port)
        try:
            self._file = DataFile(options.data, self.store) if options.data else None
        except BaseException:
            listener.close()
            raise
        objects = Objects(self.store, strict_namespaces=options.strict_namespaces)
        self._server = Server(
            self.store, objects, self._admin, token=options.demanded_token, bookmark_every=options.bookmark_every
        )
        # Cancelling handlers ends watches and hung requests when their client goes away.
        self._runner = web.AppRunner(
            self._server.application(), handler_cancellation=True, access_log=None, shutdown_timeout=1.0
        )
        await self._runner.setup()
        await web.SockSite(self._runner, listener, ssl_context=options.tls).start()
        host = f"[{options.host}]" if ":" in options.host else options.host
        self._url = f"http{'s' if options.tls else ''}://{host}:{listener.getsockname()[1]}"
        controller = Controller(self.store, objects, options.timing)
        self._controller = asyncio.create_task(controller.run(), name="simulated-kserve")
        _log.info("simulated cluster listening on %s", self._url)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._controller.cancel()
        await asyncio.gather(self._controller, return_exceptions=True)
        await self._runner.cleanup()
        if self._file:
            self._file.close()
        _log.info("simulated cluster stopped")


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        raise PortInUseError(f"{host}:{port} cannot be listened on: {why}") from error
