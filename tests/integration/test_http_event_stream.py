"""The event log as a stream that goes on with what happens, and is taken up again where it broke."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from uuid import uuid4

import httpx
import pytest
from asyncpg import Record
from structlog.testing import capture_logs

from modeltrail.eventlog.reader import LogReader, ShownEvent
from modeltrail.http.app import BASE_PATH
from modeltrail.http.errors import BusyError
from modeltrail.http.large_bodies import AT_ONCE, LARGE
from modeltrail.http.services import Services
from support.api import Json, Project, client_of, made, refusal, running_services
from support.cluster import eventually
from support.database import Database
from support.server import HOST, served


class Live:
    """The API behind its real server, where a stream can be read while it goes on."""

    def __init__(self, project: Project, url: str) -> None:
        self.project = project
        self.url = url

    @asynccontextmanager
    async def stream(self, query: str = "", **headers: str) -> AsyncIterator[AsyncIterator[Json]]:
        """The events of a stream, as they come."""
        named = {"Project-ID": str(self.project.id)} | {name.replace("_", "-"): each for name, each in headers.items()}
        async with (
            httpx.AsyncClient(base_url=self.url, timeout=30) as client,
            client.stream("GET", f"{BASE_PATH}/events/stream?{query}", headers=named) as answer,
        ):
            assert answer.status_code == 200, await answer.aread()
            assert answer.headers["content-type"].startswith("text/event-stream")
            yield self._events(answer)

    async def _events(self, answer: httpx.Response) -> AsyncIterator[Json]:
        id_ = ""
        async for line in answer.aiter_lines():
            if line.startswith("id: "):
                id_ = line[4:]
            if line.startswith("data: "):
                event = json.loads(line[6:])
                assert str(event["position"]) == id_
                yield event


@pytest.fixture
async def services(database: Database) -> AsyncIterator[Services]:
    async with running_services(database) as running:
        yield running


@pytest.fixture
async def live(services: Services, unused_tcp_port: int) -> AsyncIterator[Live]:
    async with served(services, unused_tcp_port), client_of(services) as api:
        yield Live(api.project(), f"http://{HOST}:{unused_tcp_port}")


async def test_a_stream_goes_on_with_what_happens(live: Live) -> None:
    await live.project.model("before")
    async with live.stream() as events, asyncio.timeout(30):
        await live.project.model("after")
        assert (await anext(events))["data"]["name"] == "after"
        await live.project.model("later")
        assert (await anext(events))["data"]["name"] == "later"


async def test_a_quiet_stream_leaves_the_log_alone(live: Live, services: Services) -> None:
    reads: list[int] = []

    async def read(after: int) -> list[ShownEvent]:
        reads.append(after)
        await asyncio.sleep(0)
        return []

    stream = services.streams.chunks(read, 0, None)
    await anext(stream)
    going_on = asyncio.create_task(anext(stream))

    async def has_looked_again() -> bool:
        return len(reads) > 1

    await live.project.model()
    await eventually(has_looked_again)
    for _ in range(100):
        await services.pool.fetchval("SELECT 1")

    assert len(reads) < 5  # the bell may ring once more than there was news
    going_on.cancel()
    await asyncio.wait((going_on,))


async def test_a_broken_stream_is_taken_up_where_it_was(live: Live) -> None:
    for number in range(250):
        await live.project.model(f"model {number}")
    seen: list[int] = []
    headers: dict[str, str] = {}
    while len(seen) < 250:
        async with live.stream("after=0", **headers) as events, asyncio.timeout(30):
            seen += [(await anext(events))["position"] for _ in range(min(70, 250 - len(seen)))]
        headers = {"Last_Event_ID": str(seen[-1])}
    assert seen == sorted(set(seen))
    assert len(seen) == 250


async def test_a_stream_that_breaks_before_its_first_event_is_taken_up_where_it_began(live: Live) -> None:
    await live.project.model("before")
    headers = {"Project-ID": str(live.project.id)}
    async with (
        httpx.AsyncClient(base_url=live.url, headers=headers) as client,
        client.stream("GET", f"{BASE_PATH}/events/stream") as answer,
        asyncio.timeout(30),
    ):
        lines = answer.aiter_lines()
        begun = [await anext(lines) for _ in range(3)]
    await live.project.model("while nobody was connected")

    assert begun == ["retry: 2000", "id: 1", ""]
    async with live.stream(Last_Event_ID="1") as events, asyncio.timeout(30):
        assert (await anext(events))["data"]["name"] == "while nobody was connected"


async def test_a_stream_ends_where_it_was_told_to(live: Live) -> None:
    for number in range(3):
        await live.project.model(f"model {number}")
    async with live.stream("after=0&follow=false") as events, asyncio.timeout(30):
        positions = [each["position"] async for each in events]
    assert len(positions) == 3
    async with live.stream(f"after=0&at={positions[1]}") as events, asyncio.timeout(30):
        assert [each["position"] async for each in events] == positions[:2]


async def test_a_stream_of_a_model_shows_versions_that_come_later(live: Live) -> None:
    model, other = await live.project.model("one"), await live.project.model("two")
    async with live.stream(f"model={model['id']}") as events, asyncio.timeout(30):
        await live.project.version(other)
        version = await live.project.version(model)
        assert (await anext(events))["stream"] == version["id"]


@pytest.mark.parametrize(("after", "called"), [("after=99", "after"), ("", "Last-Event-ID")])
async def test_a_stream_from_beyond_the_log_is_refused(project: Project, after: str, called: str) -> None:
    headers = {} if after else {"Last_Event_ID": "99"}
    answer = await project.get(f"/events/stream?{after}", **headers)
    assert refusal(answer) == (400, f"invalid {called}: the log ends at position 0")


async def test_what_is_no_last_event_id_is_refused(project: Project) -> None:
    answer = await project.get("/events/stream", Last_Event_ID="x")
    assert refusal(answer) == (400, "invalid Last-Event-ID: it is a number of the log, from 1 on")


async def test_streams_that_were_left_make_room(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modeltrail.http.event_stream.LARGEST", 1)
    headers = {"Project-ID": str(live.project.id)}
    async with httpx.AsyncClient(base_url=live.url, headers=headers) as client, asyncio.timeout(30):
        async with live.stream() as events:
            await live.project.model("one")
            await anext(events)
            refused = await client.get(f"{BASE_PATH}/events/stream?follow=false")
            assert refusal(refused) == (503, "too many streams of events are open here; try again")
        while (await client.get(f"{BASE_PATH}/events/stream?follow=false")).status_code != 200:  # noqa: ASYNC110 see below
            await asyncio.sleep(0.01)  # the server does not tell when it has noticed


async def test_of_two_who_find_room_for_one_stream_one_has_it(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modeltrail.http.event_stream.LARGEST", 1)

    async def read(_after: int) -> list[ShownEvent]:
        await asyncio.sleep(0)
        return []

    first, second = (services.streams.chunks(read, 0, None) for _ in range(2))
    await anext(first)

    with pytest.raises(BusyError):
        await anext(second)
    await first.aclose()
    third = services.streams.chunks(read, 0, None)
    await anext(third)
    await third.aclose()


async def test_a_caller_who_does_not_read_is_not_read_for(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(40):
        await live.project.model(f"model {number}", description="x" * 400_000)  # 16 MB; the sockets take some 4
    positions: list[int] = []
    show = LogReader._show  # all that is read goes through it

    async def noted(reader: LogReader, rows: Collection[Record]) -> list[ShownEvent]:
        shown = await show(reader, rows)
        positions.extend(each.position for each in shown)
        return shown

    monkeypatch.setattr(LogReader, "_show", noted)
    caller = socket.socket()
    caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    caller.connect((HOST, httpx.URL(live.url).port))
    path = f"{BASE_PATH}/events/stream?after=0"
    caller.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nProject-ID: {live.project.id}\r\n\r\n".encode())

    async def has_come_to_rest() -> bool:
        read = len(positions)
        await asyncio.sleep(0.5)
        return 0 < read == len(positions)

    await eventually(has_come_to_rest)
    caller.close()

    assert len(positions) < 30


async def test_streams_whose_request_may_have_a_large_body_leave_room_for_those_who_send_one(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modeltrail.http.large_bodies.PATIENCE", 0.05)
    async with AsyncExitStack() as streams, asyncio.timeout(30):
        for _ in range(AT_ONCE):
            await streams.enter_async_context(live.stream(Transfer_Encoding="chunked"))

        async with httpx.AsyncClient(base_url=live.url, headers={"Project-ID": str(live.project.id)}) as client:
            answer = await client.post(f"{BASE_PATH}/models", content=b'{"name": "large"}' + b" " * LARGE)
        assert made(answer)["name"] == "large"


async def test_a_stream_goes_on_after_the_database_has_lost_its_connections(live: Live, services: Services) -> None:
    async with live.stream("after=0") as events, asyncio.timeout(60):
        await live.project.model("one")
        assert (await anext(events))["data"]["name"] == "one"
        await services.pool.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND application_name IN ('modeltrail reader', 'modeltrail event streams')"
        )
        await live.project.model("two")
        try:
            shown = (await anext(events))["data"]["name"]
        except httpx.RemoteProtocolError:
            shown = "ended"  # as it may: the caller asks again
    if shown == "ended":
        async with live.stream("", Last_Event_ID="1") as events, asyncio.timeout(30):
            shown = (await anext(events))["data"]["name"]
    assert shown == "two"


async def test_a_stream_that_cannot_begin_for_want_of_a_key_says_so(live: Live, services: Services) -> None:
    ada = {"X_User_Email": "ada@example.com"}
    made(await live.project.post("/models", {"name": "one"}, **ada))
    await services.pool.execute("UPDATE person_keys SET key_id = 'newer'")
    headers = {"Project-ID": str(live.project.id)}
    async with httpx.AsyncClient(base_url=live.url, headers=headers) as client, asyncio.timeout(30):
        refused = await client.get(f"{BASE_PATH}/events/stream?after=0")
    assert refusal(refused) == refusal(await live.project.get("/events"))
    assert refused.status_code == 503


async def test_a_stream_that_breaks_off_for_want_of_a_key_leaves_word_in_the_log(
    live: Live, services: Services
) -> None:
    ada = {"X_User_Email": "ada@example.com"}
    with capture_logs() as logs:
        async with live.stream("after=0", X_Request_ID="the-stream") as events, asyncio.timeout(30):
            for name in ("one", "two"):  # this process has her key at hand from the second time on
                made(await live.project.post("/models", {"name": name}, **ada))
                assert (await anext(events))["data"]["name"] == name
            await services.pool.execute("UPDATE person_keys SET key_id = 'newer'")
            made(await live.project.post("/models", {"name": "three"}, **ada))
            with pytest.raises(httpx.RemoteProtocolError):  # as it should: it is not the whole answer
                await anext(events)
    (line,) = (each for each in logs if each["event"].startswith("an answer breaks off"))
    assert (line["log_level"], line["request_id"]) == ("error", "the-stream")
    assert line["route"].endswith("/events/stream")
    assert "ada" not in str(logs)


async def test_a_stream_takes_no_connection_from_those_who_read(database: Database, unused_tcp_port: int) -> None:
    async with (
        running_services(database, connections=1) as services,
        served(services, unused_tcp_port),
        client_of(services) as api,
    ):
        live = Live(api.project(), f"http://{HOST}:{unused_tcp_port}")
        async with live.stream("after=0") as events, asyncio.timeout(30):
            model = await live.project.model("one")
            await anext(events)
            assert (await live.project.get(f"/models/{model['id']}")).status_code == 200
            await live.project.model("two")
            assert (await anext(events))["data"]["name"] == "two"


async def test_the_server_stops_though_streams_are_open(services: Services, unused_tcp_port: int) -> None:
    async with served(services, unused_tcp_port) as server, asyncio.timeout(30):
        reader, writer = await asyncio.open_connection(HOST, unused_tcp_port)
        writer.write(
            b"GET %b/events/stream HTTP/1.1\r\nHost: x\r\nProject-ID: %b\r\n\r\n"
            % (BASE_PATH.encode(), str(uuid4()).encode())
        )
        await reader.readuntil(b"retry: 2000")
        server.cancel()
        await asyncio.wait({server})
        rest = await reader.read()
        writer.close()
    assert rest.endswith(b"0\r\n\r\n"), "the stream ended as a whole response does"
