"""The event log as the API shows it: lists, single events, and a stream that goes on."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

import httpx
import pytest
from structlog.testing import capture_logs

from modeltrail.commands import models
from modeltrail.domain.ids import ModelId, ProjectId
from modeltrail.domain.registered_model_messages import RegisterModel
from modeltrail.eventlog.record import Context
from modeltrail.http.app import BASE_PATH
from modeltrail.http.services import Services
from modeltrail.postgres.ids import new_id
from support.api import ARTIFACT, Api, Json, Project, client_of, made, refusal, running_services
from support.database import Database
from support.server import HOST, served


async def types(project: Project, query: str = "order=asc&limit=100") -> list[str]:
    items = made(await project.get(f"/events?{query}"), 200)["items"]
    return [each["type"] for each in items]


async def test_the_newest_events_come_first_and_pages_join(project: Project) -> None:
    model = await project.model()
    for number in range(5):
        await project.patch(f"/models/{model['id']}", {"description": f"{number}"})
    everything = made(await project.get("/events?limit=100"), 200)["items"]
    positions = [each["position"] for each in everything]
    assert positions == sorted(positions, reverse=True)
    assert len(positions) == 6
    seen: list[int] = []
    page = made(await project.get("/events?limit=4"), 200)
    while page["items"]:
        seen += [each["position"] for each in page["items"]]
        page = made(await project.get(f"/events?limit=4&before={page['next_before']}"), 200)
    assert seen == positions


async def test_the_oldest_come_first_when_asked_and_pages_join(project: Project) -> None:
    model = await project.model()
    for number in range(5):
        await project.patch(f"/models/{model['id']}", {"description": f"{number}"})
    seen: list[int] = []
    page = made(await project.get("/events?order=asc&limit=4"), 200)
    while page["items"]:
        seen += [each["position"] for each in page["items"]]
        page = made(await project.get(f"/events?order=asc&limit=4&after={page['next_after']}"), 200)
    assert seen == sorted(seen)
    assert len(seen) == 6


async def test_an_event_says_who_did_what_when_in_which_request(project: Project) -> None:
    model = await project.model()
    asked = {"X_User_Email": "ada@example.com", "X_Request_ID": "the-rename"}
    await project.patch(f"/models/{model['id']}", {"name": "rose"}, **asked)
    (event,) = made(await project.get("/events?type=registered_model.renamed"), 200)["items"]
    assert event["data"]["name"] == "rose"
    assert {key: event[key] for key in ("stream", "stream_version", "actor", "request_id", "project_id")} == {
        "stream": model["id"],
        "stream_version": 2,
        "actor": "ada@example.com",
        "request_id": "the-rename",
        "project_id": str(project.id),
    }
    assert event["recorded_at"].endswith("Z")


async def test_filters_are_all_to_fit(project: Project) -> None:
    model, other = await project.model("one"), await project.model("two")
    version = await project.ready_version(model)
    environment = await project.environment()
    service = await project.deployed(model, environment)
    ada = {"X_User_Email": "ada@example.com", "X_Request_ID": "by-ada"}
    await project.patch(f"/models/{other['id']}", {"name": "three"}, **ada)
    assert await types(project, f"stream={other['id']}&order=asc") == [
        "registered_model.registered",
        "registered_model.renamed",
    ]
    of_model = made(await project.get(f"/events?model={model['id']}&limit=100"), 200)["items"]
    assert {each["stream"] for each in of_model} == {model["id"], version["id"], service["id"]}
    for query in ("actor=ada@example.com", "actor=ADA@example.com", "request_id=by-ada"):
        assert await types(project, query) == ["registered_model.renamed"]
    assert await types(project, f"actor=ada@example.com&stream={model['id']}") == []
    assert await types(project, "actor=nobody@example.com") == []
    assert await types(project, "type=no.such") == []
    assert await types(project, f"model={uuid4()}") == []


async def test_many_who_ask_about_a_model_at_once_do_not_wait_for_each_other_for_ever(project: Project) -> None:
    model = await project.model()
    of_model, times = f"model={model['id']}", "since=2026-01-01T00:00:00Z&until=2999-01-01T00:00:00Z"
    paths = (f"/events?{of_model}&{times}", "/events?actor=ada@example.com", f"/events/stream?follow=false&{of_model}")
    async with asyncio.timeout(30):
        for path in paths:
            answers = await asyncio.gather(*(project.get(path) for _ in range(20)))
            assert {each.status_code for each in answers} == {200}


async def test_times_bound_a_list(project: Project) -> None:
    await project.model("one")
    between = made(await project.get("/events"), 200)["items"][0]["recorded_at"]
    await project.model("two")
    assert len(await types(project, f"until={between}")) == 0
    assert len(await types(project, f"since={between}")) == 2
    assert len(await types(project, f"since={between}&limit=1")) == 1
    assert await types(project, "since=2999-01-01T00:00:00Z") == []


async def test_a_list_of_the_past_ends_there(project: Project) -> None:
    model = await project.model("one")
    (first,) = made(await project.get("/events"), 200)["items"]
    await project.patch(f"/models/{model['id']}", {"name": "two"})
    assert await types(project, f"at={first['position']}") == ["registered_model.registered"]
    assert await types(project, f"at={first['position']}&before=1000") == ["registered_model.registered"]
    newest = made(await project.get("/events"), 200)["items"][0]["position"]
    assert refusal(await project.get(f"/events/{newest}?at={first['position']}"))[0] == 404


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("stream=x", "invalid stream"),
        ("model=x", "invalid model"),
        ("after=-1", "invalid after: must not be negative"),
        ("before=-1", "invalid before: must not be negative"),
        ("since=yesterday", "invalid since: not a time such as 2026-03-03T14:05:00Z"),
        ("until=2026-03-03", "invalid until: not a time such as 2026-03-03T14:05:00Z"),
        ("since=2026-03-03T14:05:00Z%00x", "invalid since: not a time such as 2026-03-03T14:05:00Z"),
        ("until=2026-03-03T14:05:00Z%00x", "invalid until: not a time such as 2026-03-03T14:05:00Z"),
        ("since=yesterday&actor=nobody@example.com", "invalid since: not a time such as 2026-03-03T14:05:00Z"),
        (f"stream={UUID(int=1)}&model={UUID(int=1)}", "stream and model are both given; name one of them"),
        ("type=%00", "invalid type: must be Unicode text without U+0000"),
        ("actor=%00", "invalid actor: must be Unicode text without U+0000"),
    ],
)
async def test_a_filter_that_is_none_is_refused(project: Project, query: str, message: str) -> None:
    assert refusal(await project.get(f"/events?{query}")) == (400, message)


@pytest.mark.parametrize("name", ["after", "before"])
@pytest.mark.parametrize("value", ["abc", "1_0", "1.5", "%001", "1%00", "%C2%B2", "%D9%A3", "1%20", "-"])
async def test_what_cannot_bound_a_list_is_refused(project: Project, name: str, value: str) -> None:
    for path in ("/events", "/events/stream") if name == "after" else ("/events",):
        assert refusal(await project.get(f"{path}?{name}={value}")) == (
            400,
            f"invalid {name}: not a position of the log, which is a number",
        )


async def test_positions_may_be_empty_or_larger_than_any(project: Project) -> None:
    await project.model()
    for query in ("after=", "before=", f"before={'9' * 30}", "after=0"):
        assert await types(project, query) == ["registered_model.registered"], query
    for query in (f"after={'9' * 30}", "before=0"):
        assert await types(project, query) == [], query


async def test_one_event_comes_with_all_that_its_request_made(project: Project) -> None:
    model = await project.model()
    body = {"name": "v1", "is_default": True, **ARTIFACT}
    made(await project.post(f"/models/{model['id']}/versions", body, X_Request_ID="the-version"))
    (registered,) = made(await project.get("/events?type=model_version.registered"), 200)["items"]
    shown = made(await project.get(f"/events/{registered['position']}"), 200)
    assert shown["event"] == registered
    assert [each["type"] for each in shown["related"]] == [
        "model_version.registered",
        "registered_model.default_version_changed",
    ]
    assert shown["more_related"] is False


async def test_an_event_says_when_its_request_made_more_than_are_shown(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modeltrail.eventlog.reader.RELATED", 1)
    for name in ("one", "two", "three"):
        made(await project.post("/models", {"name": name}, X_Request_ID="the-night"))
    third, second, first = (each["position"] for each in made(await project.get("/events"), 200)["items"])

    async def shown(position: int, at: int = third) -> tuple[list[int], bool]:
        answer = made(await project.get(f"/events/{position}?at={at}"), 200)
        return [each["position"] for each in answer["related"]], answer["more_related"]

    assert await shown(first) == ([first, second], True)
    assert await shown(third) == ([first, third], True)
    assert await shown(first, at=second) == ([first, second], False)


async def test_an_event_says_when_it_caused_more_than_are_shown(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    await project.model()
    (cause,) = (each["position"] for each in made(await project.get("/events"), 200)["items"])
    owner = ProjectId(project.id)
    for name in ("one", "two"):
        wish = RegisterModel(model_id=ModelId(new_id()), project_id=owner, name=name)
        context = Context(owner, new_id(), "", causation_id=cause)
        await project.services.committer.submit(models.Register(wish), context)
    whole = made(await project.get(f"/events/{cause}"), 200)
    assert (len(whole["related"]), whole["more_related"]) == (3, False)
    monkeypatch.setattr("modeltrail.eventlog.reader.RELATED", 1)

    cut = made(await project.get(f"/events/{cause}"), 200)

    assert (cut["related"], cut["more_related"]) == (whole["related"][:2], True)


@pytest.mark.parametrize("position", ["0", "999999", "9" * 40])
async def test_a_position_without_event_is_not_found(project: Project, position: str) -> None:
    assert refusal(await project.get(f"/events/{position}")) == (404, "event not found")


@pytest.mark.parametrize("position", ["x", "-1", "1.0", "%20", "٣"])
async def test_what_is_no_position_is_refused(project: Project, position: str) -> None:
    assert refusal(await project.get(f"/events/{position}"))[0] == 400


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
    assert refusal(await project.get("/events/stream", Last_Event_ID="x"))[0] == 400


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
            made(await live.project.post("/models", {"name": "one"}, **ada))
            assert (await anext(events))["data"]["name"] == "one"
            await services.pool.execute("UPDATE person_keys SET key_id = 'newer'")
            made(await live.project.post("/models", {"name": "two"}, **ada))
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


async def test_no_address_stands_in_what_an_event_holds(api: Api) -> None:
    project = api.project()
    await project.model("iris", owner_email="grace@example.com")
    answer = await project.get("/events")
    assert "grace" not in answer.text
