"""Going through the pages of a list while rows come, go and change."""

import itertools
import random

from support.api import Json, Project, made

SIZE = 60
LIMIT = 7


async def pages(project: Project, query: str) -> list[list[Json]]:
    """All pages, one after the other, as `next_offset` leads."""
    found: list[list[Json]] = []
    offset = 0
    while True:
        page = made(await project.get(f"/models?limit={LIMIT}&offset={offset}&{query}"), 200)
        if not page["items"]:
            assert page["next_offset"] == offset
            return found
        found.append(page["items"])
        offset = page["next_offset"]


async def test_pages_never_overlap_and_miss_nothing_though_most_values_are_equal(project: Project) -> None:
    for number in range(SIZE):
        await project.model(f"model {number}", model_type=f"type {number % 3}", labels={"n": str(number)})

    for sort_by in ("created_at", "updated_at", "model_type", "state", "version_count", "description", "name"):
        for order in ("asc", "desc"):
            items = [item for page in await pages(project, f"sort_by={sort_by}&order={order}") for item in page]
            assert len({item["id"] for item in items}) == len(items) == SIZE
            values = [item[sort_by] for item in items]
            assert values == sorted(values, reverse=order == "desc")
            for before, after in itertools.pairwise(items):
                if before[sort_by] == after[sort_by] and sort_by not in (
                    "created_at",
                    "updated_at",
                ):  # finer than shown
                    assert (before["id"] < after["id"]) == (order == "asc")


async def test_rows_that_come_at_the_end_neither_hide_nor_repeat_what_is_there(project: Project) -> None:
    there = [(await project.model(f"model {number}"))["id"] for number in range(SIZE)]
    seen: list[str] = []
    offset = 0
    while True:
        page = made(await project.get(f"/models?limit={LIMIT}&offset={offset}&order=asc"), 200)
        if offset >= SIZE:
            break
        seen += [item["id"] for item in page["items"]]
        offset = page["next_offset"]
        await project.model(f"later {offset}")
        await project.patch(f"/models/{there[offset % SIZE]}", {"description": f"changed at {offset}"})

    assert seen[:SIZE] == there


async def test_rows_that_come_at_the_front_may_repeat_what_was_seen_and_hide_nothing(project: Project) -> None:
    there = [(await project.model(f"model {number}"))["id"] for number in range(SIZE)][::-1]
    seen: list[str] = []
    while True:
        page = made(await project.get(f"/models?limit={LIMIT}&offset={len(seen)}"), 200)
        if not page["items"]:
            break
        seen += [item["id"] for item in page["items"]]
        if len(seen) < SIZE:
            await project.model(f"later {len(seen)}")

    # An offset counts from the front: what comes there moves all else back by one, onto the next page.
    assert list(dict.fromkeys(seen)) == there
    assert len(seen) > SIZE


async def test_rows_that_go_from_behind_hide_nothing(project: Project) -> None:
    there = [(await project.model(f"model {number}"))["id"] for number in range(SIZE)]
    for model in there:
        await project.patch(f"/models/{model}", {"state": "ARCHIVED"})
    seen: list[str] = []
    left = list(there)
    while True:
        page = made(await project.get(f"/models?limit={LIMIT}&offset={len(seen)}&order=asc"), 200)
        assert page["total"] == len(left)
        if not page["items"]:
            break
        seen += [item["id"] for item in page["items"]]
        if len(left) - len(seen) > LIMIT:
            made(await project.delete(f"/models/{left.pop()}"), 200)

    # Behind, because what goes from the front moves as many onto pages that were seen: pages by offset cannot tell.
    assert seen == left


async def test_a_total_is_exact_whatever_came_and_went(project: Project) -> None:
    chance = random.Random(5)
    live: list[str] = []
    archived: list[str] = []
    for step in range(120):
        match chance.choice(("create", "create", "archive", "restore", "delete")):
            case "create":
                live.append((await project.model(f"model {step}"))["id"])
            case "archive" if live:
                archived.append(live.pop(chance.randrange(len(live))))
                made(await project.patch(f"/models/{archived[-1]}", {"state": "ARCHIVED"}), 200)
            case "restore" if archived:
                live.append(archived.pop(chance.randrange(len(archived))))
                made(await project.patch(f"/models/{live[-1]}", {"state": "LIVE"}), 200)
            case "delete" if archived:
                made(await project.delete(f"/models/{archived.pop(chance.randrange(len(archived)))}"), 200)
            case _:
                continue
        queries = ("/models?limit=1", "/models?state=LIVE", "/models?state=ARCHIVED&limit=1", "/models?search=model")
        totals = [made(await project.get(query), 200)["total"] for query in queries]
        assert totals == [len(live) + len(archived), len(live), len(archived), len(live) + len(archived)]
