"""The API behind its real server, on bytes that no HTTP library would send."""

import asyncio
import resource
import socket
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from modeltrail.http.app import BASE_PATH
from modeltrail.server import OTHER_FILES
from support.api import running_services
from support.cluster import eventually
from support.committing import connected
from support.database import Database
from support.server import HOST, served

IDLE = 1_500


@pytest.fixture
async def port(database: Database, unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    """Where the API listens; it gives up on a request's head after a second."""
    monkeypatch.setattr("modeltrail.server.HEADER_SECONDS", 1)
    async with running_services(database) as services, served(services, unused_tcp_port):
        yield unused_tcp_port


async def exchange(port: int, method: str, target: bytes, *headers: bytes) -> tuple[int, bytes, bytes]:
    """Status, head and body of the answer to one request."""
    head = [method.encode() + b" " + target + b" HTTP/1.1", b"Host: x", b"Connection: close"]
    given = b"Project-ID: " + str(uuid4()).encode()
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        writer.write(b"\r\n".join([*head, given, *headers, b"", b""]))
        async with asyncio.timeout(30):
            answer = await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()
    first, _, body = answer.partition(b"\r\n\r\n")
    return int(first.split(b" ", 2)[1]), first, body


@pytest.mark.parametrize("sent", [b"", b"GET / HT"], ids=["nothing", "half a line"])
async def test_a_connection_that_sends_no_request_is_closed(port: int, sent: bytes) -> None:
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(sent)

    async with asyncio.timeout(30):
        await reader.read()

    assert reader.at_eof()
    writer.close()
    await writer.wait_closed()


async def test_idle_connections_keep_nobody_out(database: Database, unused_tcp_port: int) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if before[1] != resource.RLIM_INFINITY and before[1] < 2 * IDLE + OTHER_FILES:
        pytest.skip("the system lets a process open too few files")
    async with running_services(database) as services, served(services, unused_tcp_port):
        idle = [socket.create_connection((HOST, unused_tcp_port)) for _ in range(IDLE)]
        try:
            async with asyncio.timeout(10):
                status, _, body = await exchange(unused_tcp_port, "GET", b"/livez")
        finally:
            for each in idle:
                each.close()
            resource.setrlimit(resource.RLIMIT_NOFILE, before)

    assert (status, body) == (200, b'{"status":"ok"}')


@pytest.mark.parametrize("method", ["OPTIONS", "HEAD", "PUT"])
async def test_a_wrong_method_is_told_the_right_ones(port: int, method: str) -> None:
    status, head, body = await exchange(port, method, f"{BASE_PATH}/models".encode())

    assert status == 405
    assert b"\r\nallow: GET, POST\r\n" in head
    assert body == (b"" if method == "HEAD" else b'{"error":"method not allowed"}')


@pytest.mark.parametrize(
    ("target", "headers", "status"),
    [
        (b"/models/\xff", [], 400),
        (b"/models?search=\xff", [], 400),
        (b"/models?search=" + b"a" * 70_000, [], 414),
        (b"/models", [b"A%d: b" % number for number in range(200)], 431),
    ],
    ids=["path", "query", "long", "headers"],
)
async def test_what_the_server_itself_refuses_is_a_4xx_and_the_next_request_is_served(
    port: int, target: bytes, headers: list[bytes], status: int
) -> None:
    refused, _, _ = await exchange(port, "GET", BASE_PATH.encode() + target, *headers)

    assert refused == status
    assert (await exchange(port, "GET", f"{BASE_PATH}/models".encode()))[0] == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "answer"),
    [
        ("GET", "/models", 200, b'{"items":[],"total":0,"page_size":20,"next_offset":0}'),
        ("GET", "/models/x", 400, b'{"error":"invalid model id"}'),
        ("GET", "/nowhere", 404, b'{"error":"not found"}'),
        ("PUT", "/models", 405, b'{"error":"method not allowed"}'),
    ],
)
async def test_who_asks_for_a_websocket_is_answered_over_http(
    port: int, method: str, path: str, status: int, answer: bytes
) -> None:
    upgrade = (
        b"Connection: Upgrade",
        b"Upgrade: websocket",
        b"Sec-WebSocket-Version: 13",
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        b"X-Request-ID: the-socket",
    )

    found, head, body = await exchange(port, method, f"{BASE_PATH}{path}".encode(), *upgrade)

    assert (found, body) == (status, answer)
    assert b"\r\nx-request-id: the-socket\r\n" in head + b"\r\n"


async def test_escaped_bytes_that_are_no_text_are_refused_with_a_sentence(port: int) -> None:
    status, _, body = await exchange(port, "GET", f"{BASE_PATH}/models/%ff".encode())

    assert (status, body) == (400, b'{"error":"invalid model id"}')


async def test_a_request_that_outlasts_the_stop_is_answered_and_leaves_no_error_behind(
    database: Database, unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modeltrail.server.STOP_SECONDS", 0.1)
    errors: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
    async with running_services(database) as services, connected(database) as other:
        async with other.transaction(), served(services, unused_tcp_port) as server:
            await other.execute("LOCK TABLE models")
            asked = asyncio.create_task(exchange(unused_tcp_port, "GET", f"{BASE_PATH}/models".encode()))

            async def waits() -> bool:
                return bool(await other.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"))

            await eventually(waits)
            (serving,) = (task for task in asyncio.all_tasks() if task.get_name() == "server")
            server.cancel()
            await asyncio.wait({server})
        status, _, _ = await asked
        await asyncio.wait({serving}, timeout=30)

    assert (status, serving.cancelled(), errors) == (200, False, [])
