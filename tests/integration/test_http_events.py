"""The event log as the API shows it: lists, single events, and a stream that goes on."""

import asyncio
from uuid import UUID, uuid4

import pytest

from modeltrail.commands import models
from modeltrail.domain.ids import ModelId, ProjectId
from modeltrail.domain.registered_model_messages import RegisterModel
from modeltrail.eventlog.record import Context
from modeltrail.postgres.ids import new_id
from support.api import ARTIFACT, Api, Project, made, refusal


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


async def test_no_address_stands_in_what_an_event_holds(api: Api) -> None:
    project = api.project()
    await project.model("iris", owner_email="grace@example.com")
    answer = await project.get("/events")
    assert "grace" not in answer.text
