"""The API in a process of its own, with routes beside its own that answer without touching the database.

`api` starts the process; `python -m benchmarks.api` is the process: `modeltrail serve`, and the constants.
"""

import asyncio
import os
import re
import sys
from base64 import b64encode
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from unittest.mock import patch

import aiohttp
from litestar import Router, get, post  # noqa: TID251 - the constant to compare with is no route of the API

from modeltrail.cli.ports import free_port
from modeltrail.cli.running import load_settings, run_until_stopped
from modeltrail.composition import running
from modeltrail.http.answers import Answer, json
from modeltrail.http.app import BASE_PATH, create_app
from modeltrail.http.application import Application
from modeltrail.http.bodies import ModelCreation
from modeltrail.http.body_reader import BodyReader
from modeltrail.http.requests import ApiRequest
from modeltrail.http.services import Services
from modeltrail.postgres.connect import DatabaseAddress

START_SECONDS = 20.0


class Api:
    """A running API process."""

    def __init__(self, port: int, pid: int) -> None:
        self.port = port
        self._pid = pid

    def peak_memory(self) -> float:
        """The most memory that the process held so far, in MB (of 1,000,000 bytes). Linux only; else nan."""
        try:
            status = Path(f"/proc/{self._pid}/status").read_text(encoding="ascii")
        except OSError:
            return float("nan")
        (kilobytes,) = re.findall(r"VmHWM:\s+(\d+) kB", status)
        return int(kilobytes) * 1024 / 1_000_000

    @staticmethod
    def get(path: str, project: object) -> bytes:
        """A request for `path`."""
        return f"GET {BASE_PATH}{path} HTTP/1.1\r\nHost: api\r\nProject-ID: {project}\r\n\r\n".encode()

    @staticmethod
    def post(path: str, project: object, body: bytes) -> bytes:
        """A request that sends JSON to `path`."""
        head = f"POST {BASE_PATH}{path} HTTP/1.1\r\nHost: api\r\nProject-ID: {project}\r\n"
        return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


@asynccontextmanager
async def api(address: DatabaseAddress) -> AsyncGenerator[Api, None]:
    """Start the API on `address`, and end it."""
    port = free_port("127.0.0.1", 0)
    environment = os.environ | {
        "SERVER_HOST": "127.0.0.1",
        "SERVER_PORT": str(port),
        "DATABASE_HOST": address.host,
        "DATABASE_PORT": str(address.port),
        "DATABASE_USER": address.user,
        "DATABASE_DBNAME": address.database,
        "LOGGER_LEVEL": "error",
        "MODELTRAIL_SECRET_KEYS": "bench:" + b64encode(bytes(32)).decode(),
    }
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "benchmarks.api", env=environment)
    try:
        await answers(port, "/healthz", START_SECONDS)
        yield Api(port, process.pid)
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


async def answers(port: int, path: str, seconds: float) -> None:
    """Wait until a server on this machine answers well. Raises TimeoutError after so many seconds."""
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session, asyncio.timeout(seconds):
        while True:
            try:
                async with session.get(path) as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientConnectionError:
                pass
            await asyncio.sleep(0.05)


@get("/constants/{model_id:str}")
async def constant(request: ApiRequest) -> Answer:
    """As many bytes as the query string says, behind the same reading of project and id as a model."""
    request.project_id()
    request.path_id("model_id", "model id")
    return json(200, _ready(request.scope["query_string"]))


@get("/constants")
async def constant_list(request: ApiRequest) -> Answer:
    """As many bytes as `bytes` says, behind the same reading of project and query as a list."""
    request.project_id()
    query = request.parsed_query()
    assert query.limit > 0
    assert query.offset >= 0
    return json(200, _ready(query.word("bytes").encode()))


@post("/constants")
async def constant_creation(request: ApiRequest) -> Answer:
    """As many bytes as the query string says, behind the same reading of the project and the body as a creation."""
    request.project_id()
    await request.read(_creation)
    return json(201, _ready(request.scope["query_string"]))


_creation = BodyReader(ModelCreation)
_made: dict[bytes, bytes] = {}


def _ready(size: bytes) -> bytes:
    if size not in _made:
        _made[size] = b'"%b"' % (b"x" * (int(size) - 2))
    return _made[size]


def _with_constants(services: Services) -> Application:
    app = create_app(services)
    app.register(Router(BASE_PATH, route_handlers=[constant, constant_list, constant_creation]))
    return app


if __name__ == "__main__":
    with patch.object(running, "create_app", _with_constants):
        run_until_stopped(running.run_api(load_settings()))
