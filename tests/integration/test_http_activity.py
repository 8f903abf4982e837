"""GET /activity: what happened in a project, counted day by day."""

import asyncpg
import pytest

from support.api import Api, Json, Project, made, refusal
from support.database import Database
from support.following import bring_forward

# Ten days ago in the log's own words: what happened then is told apart from what happens now.
AGE = """
SET session_replication_role = replica;
UPDATE stored_events SET recorded_at = recorded_at - interval '10 days'
"""


async def days(project: Project, more: str = "") -> list[Json]:
    items: list[Json] = made(await project.get(f"/activity{more}"), 200)["items"]
    return items


async def test_a_day_tells_how_often_each_thing_happened(project: Project, database: Database) -> None:
    model = await project.model("iris")
    await project.model("other")
    await project.ready_version(model)
    service = await project.deployed(model, await project.environment())
    await project.confirm(service)
    await project.delete(f"/inference_services/{service['id']}/undeploy")
    await bring_forward(database)

    (day,) = await days(project)

    assert {name: count for name, count in day.items() if isinstance(count, int) and count} == {
        "events": await project.events(),
        "models_registered": 2,
        "versions_registered": 1,
        "versions_ready": 1,
        "environments_created": 1,
        "services_created": 1,
        "deployments_requested": 1,
        "deployments_live": 1,
        "undeployments_requested": 1,
    }
    assert day["project_id"] == str(project.id)
    assert day["day"] == day["created_at"][:10] == day["updated_at"][:10]
    assert day["created_at"] < day["updated_at"]


async def test_days_are_apart_and_the_newest_is_first(
    project: Project, database: Database, connection: asyncpg.Connection
) -> None:
    await project.model("then")
    await connection.execute(AGE)
    await project.model("now")
    await project.model("now too")
    await bring_forward(database)

    newest, oldest = await days(project)
    assert (newest["models_registered"], oldest["models_registered"]) == (2, 1)
    assert newest["day"] > oldest["day"]
    assert await days(project, "?limit=1&offset=1") == [oldest]
    assert await days(project, "?sort_by=day&order=asc") == [oldest, newest]
    assert await days(project, "?sort_by=models_registered&order=desc") == [newest, oldest]


async def test_it_says_up_to_where_it_counts(project: Project, database: Database) -> None:
    before = made(await project.get("/activity"), 200)
    await project.model("one")
    late = made(await project.get("/activity"), 200)
    await bring_forward(database)
    level = made(await project.get("/activity"), 200)

    assert [*before] == ["items", "total", "page_size", "next_offset", "position", "behind"]
    assert (before["items"], before["position"], before["behind"]) == ([], 0, 0)
    assert (late["items"], late["position"], late["behind"]) == ([], 0, 1)
    assert (level["total"], level["position"], level["behind"]) == (1, 1, 0)


async def test_projects_are_counted_apart(api: Api, database: Database) -> None:
    one, other = api.project(), api.project()
    await one.model("a")
    await other.model("b")
    await other.model("c")
    await bring_forward(database)

    assert [day["events"] for day in await days(one)] == [1]
    assert [day["events"] for day in await days(other, f"?project={other.id}")] == [2]
    assert refusal(await one.get(f"/activity?project={other.id}")) == (
        400,
        "invalid project: must be that of the Project-ID header",
    )


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("?project=x", "invalid project"),
        ("?sort_by=body", "invalid sort_by"),
        ("?offset=-1", "invalid offset: must not be negative"),
    ],
)
async def test_what_cannot_be_asked_is_refused(project: Project, query: str, says: str) -> None:
    assert refusal(await project.get(f"/activity{query}")) == (400, says)


async def test_it_counts_what_had_happened_then(project: Project, database: Database) -> None:
    await project.model("one")
    await bring_forward(database)
    then = made(await project.get("/activity"), 200)
    await project.model("two")
    await bring_forward(database)

    assert made(await project.get(f"/activity?at={then['position']}"), 200) == then
    assert made(await project.get("/activity"), 200) != then
