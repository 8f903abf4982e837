"""What all lists have in common: pages, order and filters."""

# asyncpg's functions carry no annotations.
# mypy: allow-untyped-calls

import asyncio
import re
from uuid import uuid4

import pytest

from modeltrail.projections.list_reader import Asked
from modeltrail.projections.lists import ENVIRONMENT_LIST, MODEL_LIST, SERVICE_LIST, VERSION_LIST, Listing, Slice
from support.api import Api, Json, Project, made, refusal

MANY = """
INSERT INTO models (id, project_id, revision, position, created_at, updated_at, name, state, model_type, live_services,
                    body)
SELECT md5(n::text)::uuid, CASE WHEN n % 2 = 0 THEN $1::uuid ELSE gen_random_uuid() END, 1, n,
       timestamptz '2026-01-01' + n * interval '1 second', now(), 'model-' || n, 'LIVE', 'CUSTOMTRAIN', '[]', '{}'
FROM generate_series(1, 6000) AS n
"""


@pytest.fixture
async def five(project: Project) -> list[Json]:
    """Five models, newest first."""
    made_in_order = [await project.model(f"m{number}") for number in range(5)]
    return made_in_order[::-1]


async def names(project: Project, query: str) -> list[str]:
    return [item["name"] for item in made(await project.get(f"/models?{query}"), 200)["items"]]


async def test_an_empty_list_is_a_list(project: Project) -> None:
    for path in ("/models", "/model_versions", "/serving_environments", "/inference_services"):
        response = await project.get(path)
        assert response.text == '{"items":[],"total":0,"page_size":20,"next_offset":0}'
        assert response.headers["content-type"] == "application/json; charset=utf-8"


async def test_the_newest_come_first(project: Project, five: list[Json]) -> None:
    answer = made(await project.get("/models"), 200)

    assert answer == {"items": five, "total": 5, "page_size": 20, "next_offset": 5}


async def test_pages_are_cut_as_they_always_were(project: Project, five: list[Json]) -> None:
    for query, returned, page_size, next_offset in (
        ("limit=2", 2, 2, 2),
        ("limit=2&offset=3", 2, 2, 5),
        ("limit=2&offset=4", 1, 2, 5),
        ("offset=7", 0, 20, 7),
        ("limit=0", 5, 0, 5),
        ("limit=-3", 5, -3, 5),
        ("limit=ten", 5, 0, 5),
        ("limit=", 5, 0, 5),
        ("limit=%2B2", 2, 2, 2),
        ("limit=2.5", 5, 0, 5),
        ("limit=1_0", 5, 0, 5),
        ("limit=%D9%A2", 5, 0, 5),
        ("limit=500", 5, 500, 5),
        ("limit=99999999999999999999", 5, 2**63 - 1, 5),
        ("limit=00000000000000000000000002", 2, 2, 2),
        ("offset=x", 5, 20, 5),
        ("offset=", 5, 20, 5),
        ("offset=99999999999999999999", 0, 20, 2**63 - 1),
        ("limit=1&limit=3&offset=2&offset=0", 1, 1, 3),
    ):
        answer = made(await project.get(f"/models?{query}"), 200)
        assert (len(answer["items"]), answer["page_size"], answer["next_offset"]) == (returned, page_size, next_offset)
        assert answer["total"] == len(five)


async def test_a_page_holds_a_hundred_at_most_and_twenty_by_default(api: Api, project: Project) -> None:
    await api.pool.execute(MANY, project.id)

    for query, returned in (("", 20), ("limit=0", 20), ("limit=100", 100), ("limit=101", 100), ("limit=-1", 20)):
        answer = made(await project.get(f"/models?{query}"), 200)
        assert (len(answer["items"]), answer["total"]) == (returned, 3000)


async def test_a_negative_offset_is_refused(project: Project) -> None:
    for offset in (-1, -(10**30)):
        assert refusal(await project.get(f"/models?offset={offset}")) == (400, "invalid offset: must not be negative")


async def test_only_asc_is_ascending(project: Project, five: list[Json]) -> None:
    assert await names(project, "sort_by=name&order=asc") == ["m0", "m1", "m2", "m3", "m4"]
    for order in ("", "&order=desc", "&order=ASC", "&order=", "&order=x", "&order=desc&order=asc"):
        assert await names(project, f"sort_by=name{order}") == ["m4", "m3", "m2", "m1", "m0"]


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_equals_are_in_the_order_of_their_ids(project: Project, five: list[Json], order: str) -> None:
    pages = [
        made(await project.get(f"/models?sort_by=state&order={order}&limit=2&offset={offset}"), 200)["items"]
        for offset in (0, 2, 4)
    ]

    found = [item["id"] for page in pages for item in page]
    assert found == sorted((model["id"] for model in five), reverse=order == "desc")


async def test_numbers_are_sorted_as_numbers(project: Project, five: list[Json]) -> None:
    for model, size in zip(five, (9, 10, 100, 2, -1), strict=True):
        await project.patch(f"/models/{model['id']}", {"model_size": size})

    found = made(await project.get("/models?sort_by=model_size&order=asc"), 200)["items"]

    assert [item["model_size"] for item in found] == [-1, 2, 9, 10, 100]


async def test_a_text_that_is_left_out_sorts_as_empty(project: Project) -> None:
    await project.model("b", owner_email="z@example.org")
    await project.model("a")

    assert await names(project, "sort_by=owner_email&order=asc") == ["a", "b"]


@pytest.mark.parametrize(
    ("path", "listing", "fields"),
    [
        ("/models", MODEL_LIST, 15),
        ("/model_versions", VERSION_LIST, 20),
        ("/serving_environments", ENVIRONMENT_LIST, 7),
        ("/inference_services", SERVICE_LIST, 15),
    ],
)
async def test_every_scalar_of_an_item_can_be_sorted_by(
    project: Project, path: str, listing: Listing, fields: int
) -> None:
    model, environment = await project.model(owner_email="a@example.org"), await project.environment(external_id="x")
    await project.ready_version(model, created_by_email="a@example.org", updated_by_email="a@example.org")
    await project.confirm(await project.deployed(model, environment))
    (item,) = made(await project.get(path), 200)["items"]
    scalars = [name for name, value in item.items() if not isinstance(value, list | dict)]

    for name in scalars:
        assert made(await project.get(f"{path}?sort_by={name}&order=asc"), 200)["items"] == [item]
    # All but `last_error`, which only a failure brings.
    assert len(scalars) == fields


async def test_an_unknown_field_to_sort_by_is_refused(project: Project) -> None:
    for field in ("latest_version", "revision", "body", "id;--", "NAME", "%00", "1"):
        assert refusal(await project.get(f"/models?sort_by={field}")) == (400, "invalid sort_by")


async def test_models_are_filtered_by_state_and_type(project: Project) -> None:
    await project.model("a", model_type="LLM")
    archived = await project.model("b", model_type="LLM")
    await project.model("c")
    await project.patch(f"/models/{archived['id']}", {"state": "ARCHIVED"})

    assert await names(project, "model_type=LLM") == ["b", "a"]
    assert await names(project, "model_type=LLM&state=LIVE") == ["a"]
    assert await names(project, "state=&model_type=") == ["c", "b", "a"]
    assert await names(project, "state=live") == []
    assert await names(project, "colour=blue&state=ARCHIVED&state=LIVE") == ["b"]


async def test_a_search_is_for_a_part_of_the_name_in_any_case(project: Project) -> None:
    for name in ("My IRIS", "100%", "a_b", "back\\slash", "ПРИВЕТ", "Straße"):
        await project.model(name)

    for search, found in {
        "iris": ["My IRIS"],
        "y%20i": ["My IRIS"],
        "%25": ["100%"],
        "_": ["a_b"],
        "%5C": ["back\\slash"],
        "'": [],
        "B": ["back\\slash", "a_b"],
        "привет": ["ПРИВЕТ"],
        "STRASSE": ["Straße"],
    }.items():
        answer = made(await project.get(f"/models?search={search}"), 200)
        assert [item["name"] for item in answer["items"]] == found
        assert answer["total"] == len(found)


async def test_text_that_no_database_holds_is_refused_in_a_query(project: Project) -> None:
    for path in ("/models?search=", "/models?state=", "/model?name=", "/model_version?externalId="):
        name = path.partition("?")[2].rstrip("=")
        for value in ("%00", "a%00b", "%ff", "%ED%A0%80"):
            refused = refusal(await project.get(path + value))
            assert refused == (400, f"invalid {name}: must be Unicode text without U+0000")


async def test_a_total_follows_every_change(project: Project, five: list[Json]) -> None:
    async def total(query: str) -> object:
        return made(await project.get(f"/models?limit=1&{query}"), 200)["total"]

    long = "L" * 5000
    await project.model("long", model_type=long)
    await project.patch(f"/models/{five[0]['id']}", {"state": "ARCHIVED"})
    await project.patch(f"/models/{five[1]['id']}", {"state": "ARCHIVED", "model_type": "LLM"})
    await project.patch(f"/models/{five[2]['id']}", {"description": "counts as before"})
    assert [await total(query) for query in ("", "state=LIVE", "state=ARCHIVED", "model_type=LLM")] == [6, 4, 2, 1]
    assert [await total(f"model_type={long}"), await total(f"model_type={long}L"), await total("search=m")] == [1, 0, 5]


async def test_a_total_is_of_one_project(api: Api, project: Project) -> None:
    await api.pool.execute(MANY, project.id)
    await api.pool.execute("DELETE FROM models WHERE project_id = $1 AND position <= 100", project.id)

    assert made(await project.get("/models"), 200)["total"] == 2950

    await api.pool.execute("TRUNCATE models")
    assert made(await project.get("/models"), 200)["total"] == 0


@pytest.mark.parametrize("filters", [{}, {"state": "LIVE"}, {"state": "LIVE", "model_type": "CUSTOMTRAIN"}])
async def test_a_total_reads_no_models(api: Api, project: Project, filters: dict[str, object]) -> None:
    await api.pool.execute(MANY, project.id)

    plan = await explain(api, *alone(MODEL_LIST.page_query({"project_id": project.id, **filters}, Slice(20, 0))))

    # Once for the page, and not again for the total.
    assert len(re.findall(r"(?:on|using \S+ on) models\b", plan)) == 1


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
@pytest.mark.parametrize(
    ("of_large_project", "part", "index"),
    [
        (True, "del-4242", "models_search_idx"),
        (True, "42", "models_created_idx"),  # the index of parts knows none so short
        (False, "del-4242", "models_created_idx"),  # five names are looked through sooner than those of all projects
    ],
)
async def test_a_search_takes_the_index_that_fits(
    api: Api, project: Project, five: list[Json], of_large_project: bool, part: str, index: str, mode: str
) -> None:
    large = uuid4()
    # With rows as small as these, it is as fast to look through some 10,000 of them: it takes a millisecond.
    await api.pool.execute(MANY.replace("6000", "30000"), large)
    await api.pool.execute("ANALYZE models")
    of = large if of_large_project else project.id

    statement, *values = alone(MODEL_LIST.page_query({"project_id": of}, Slice(20, 0), part))
    async with api.pool.acquire() as connection:
        await connection.execute(f"SET plan_cache_mode = {mode}")
        plan = await connection.fetch(f"EXPLAIN (ANALYZE, COSTS OFF) {statement}", *values)
        await connection.execute("RESET plan_cache_mode")

    executed = "\n".join(row[0] for row in plan if "never executed" not in row[0])
    assert set(re.findall(r"models_\w+_idx", executed)) == {index}
    assert "Seq Scan on models" not in executed


@pytest.mark.parametrize("analyzed", [True, False])
@pytest.mark.parametrize("ascending", [True, False])
async def test_the_usual_order_comes_from_the_index(
    api: Api, project: Project, ascending: bool, analyzed: bool
) -> None:
    await api.pool.execute(MANY, project.id)
    if analyzed:
        await api.pool.execute("ANALYZE models")

    query = MODEL_LIST.page_query({"project_id": project.id}, Slice(20, 0, ascending=ascending))
    plan = await explain(api, *alone(query))

    assert "models_created_idx" in plan
    assert "Sort" not in plan


async def test_a_lookup_by_name_comes_from_the_unique_index(api: Api, project: Project) -> None:
    await api.pool.execute(MANY, project.id)

    statement, values = MODEL_LIST.newest_query({"project_id": project.id, "name": "model-40"})
    plan = await explain(api, statement, *values)

    assert "models_name_key" in plan


async def test_pages_that_are_asked_for_at_once_are_answered_each_its_own(api: Api, project: Project) -> None:
    other = api.project()
    mine = [(await project.model(f"model {number}"))["name"] for number in range(6)]
    theirs = [(await other.model(f"model {number}"))["name"] for number in range(3)]
    queries = [f"limit=1&offset={number}&order=asc" for number in range(6)] + ["search=3", "search=%25", "limit=100"]

    pages = await asyncio.gather(
        *(project.get(f"/models?{query}") for query in queries), *(other.get(f"/models?{query}") for query in queries)
    )

    names = [[item["name"] for item in made(page, 200)["items"]] for page in pages]
    assert names[:9] == [*([name] for name in mine), ["model 3"], [], mine[::-1]]
    assert names[9:] == [*([name] for name in theirs), [], [], [], [], [], theirs[::-1]]
    assert [made(page, 200)["total"] for page in pages] == [6] * 6 + [1, 0, 6] + [3] * 6 + [0, 0, 3]


def alone(query: tuple[str, Asked]) -> tuple[object, ...]:
    """The statement and its arguments when it is asked for one page."""
    statement, asked = query
    return (statement, *([value] for value in asked))


async def explain(api: Api, statement: object, *values: object) -> str:
    return "\n".join(row[0] for row in await api.pool.fetch(f"EXPLAIN {statement}", *values))
