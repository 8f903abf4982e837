"""Callers who ask for much and then read nothing: they are cut off, and what was kept for them is free."""

import asyncio
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from uuid import UUID

import httpx
import pytest

from modeltrail.http.app import BASE_PATH
from support.api import Project, client_of, refusal, running_services
from support.cluster import eventually
from support.database import Database
from support.server import HOST, served

cuts_off = pytest.mark.skipif(sys.platform != "linux", reason="only Linux's kernel can be told to do so")

STALLED_SECONDS = 0.5


@contextmanager
def caller_who_reads_nothing(port: int, project: UUID, path: str) -> Iterator[socket.socket]:
    with socket.socket() as caller:
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        caller.connect((HOST, port))
        caller.sendall(f"GET {BASE_PATH}{path} HTTP/1.1\r\nHost: x\r\nProject-ID: {project}\r\n\r\n".encode())
        caller.setblocking(False)
        yield caller


def connections_of(port: int) -> int:
    """How many of the server's connections are there, as the kernel sees it."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    established = "01"
    return sum(line[1].endswith(f":{port:04X}") and line[3] == established for line in lines)


async def fat_models(project: Project) -> None:
    """9 MB of them; the sockets take some 4."""
    for number in range(10):
        await project.model(f"model {number}", description="x" * 900_000)


@cuts_off
async def test_a_list_that_nobody_reads_is_given_up(database: Database, unused_tcp_port: int) -> None:
    async with (
        running_services(database) as services,
        served(services, unused_tcp_port, stalled_seconds=STALLED_SECONDS),
        client_of(services) as api,
    ):
        project = api.project()
        await fat_models(project)
        with caller_who_reads_nothing(unused_tcp_port, project.id, "/models?limit=100"):

            async def connections_are(number: int) -> bool:
                return connections_of(unused_tcp_port) == number

            assert await eventually(partial(connections_are, 1))
            assert await eventually(partial(connections_are, 0))


@cuts_off
async def test_a_stream_that_nobody_reads_makes_room(
    database: Database, unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modeltrail.http.event_stream.LARGEST", 1)
    async with (
        running_services(database) as services,
        served(services, unused_tcp_port, stalled_seconds=STALLED_SECONDS),
        client_of(services) as api,
    ):
        project = api.project()
        await fat_models(project)
        with caller_who_reads_nothing(unused_tcp_port, project.id, "/events/stream?after=0") as caller:
            assert await asyncio.get_running_loop().sock_recv(caller, 12) == b"HTTP/1.1 200"
            url = f"http://{HOST}:{unused_tcp_port}{BASE_PATH}/events/stream?after=10&follow=false"
            async with httpx.AsyncClient(headers={"Project-ID": str(project.id)}, timeout=30) as client:

                async def has_room() -> bool:
                    return (await client.get(url)).status_code == 200

                assert await eventually(has_room)


async def test_large_answers_that_nobody_reads_leave_the_memory_to_others(
    database: Database, unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modeltrail.http.large_answers.MOST", 12_000_000)
    async with running_services(database) as services, served(services, unused_tcp_port), client_of(services) as api:
        project = api.project()
        await fat_models(project)
        url = f"http://{HOST}:{unused_tcp_port}{BASE_PATH}/models"
        async with httpx.AsyncClient(headers={"Project-ID": str(project.id)}, timeout=30) as client:

            async def all_of_them() -> httpx.Response:
                return await client.get(url, params={"limit": 100})

            async def is_whole() -> bool:
                answer = await all_of_them()
                return answer.status_code == 200 and len(answer.json()["items"]) == 10

            with caller_who_reads_nothing(unused_tcp_port, project.id, "/models?limit=100") as caller:
                assert await asyncio.get_running_loop().sock_recv(caller, 12) == b"HTTP/1.1 200"
                message = "too many large answers are under way; ask for less, or try again"
                assert refusal(await all_of_them()) == (503, message)
                assert (await client.get(url, params={"limit": 1, "search": "nobody"})).status_code == 200
            assert await eventually(is_whole)
