"""Every list by every field that it can be sorted by, in both orders, over pages; values differ and repeat."""

import itertools
from typing import Any

import pytest

from support.api import Json, Project, made
from support.committing import connected
from support.database import Database
from support.following import bring_forward
from support.routes import OPERATIONS, Route, sortable_by

LISTS = sorted(route for route in OPERATIONS if sortable_by(route))
LIMIT = 3
SEVERAL = 7  # more than two pages
# Over several days, for what is counted by the day.
SPREAD = f"""
SET session_replication_role = replica;
UPDATE stored_events
SET recorded_at = timestamptz '2026-03-01 12:00Z' + notification_id % {SEVERAL} * interval '1 day'
                  + notification_id * interval '1 microsecond'
"""


async def several_of_everything(project: Project) -> str:
    """Resources whose fields differ and repeat; the id of the model that has all versions."""
    home = await project.model("home", owner_email="home@example.org")
    await project.ready_version(home, "ready", is_default=True)
    environment = await project.environment("home")
    for number in range(SEVERAL - 1):
        third, name = str(number % 3), f"n{(number * 5) % 7}"
        model = await project.model(
            name, description=third, model_type=f"t{third}", owner_email=f"{third}@example.org",
            labels={"team": third}, tags={"frameworks": [third]},
            **({"parent_model_id": home["id"]} if number % 2 else {}),
        )  # fmt: skip
        changes = {"model_size": (number - 2) * 5, "state": "ARCHIVED" if number % 2 else "LIVE"}
        await project.patch(f"/models/{model['id']}", changes)
        version = await project.ready_version(
            home, name, description=third, artifact_type=third, container_image=third, model_catalog_name=third,
            labels={"team": third},
            created_by_email=f"{third}@example.org", updated_by_email="one@example.org",
            **({"prebuilt_container_id": home["id"]} if number % 2 else {}),
        )  # fmt: skip
        if number % 2:
            await project.patch(f"/model_versions/{version['id']}", {"state": "ARCHIVED", "status": "FAILED"})
        elsewhere = await project.environment(name, description=third, **({"external_id": third} if number % 2 else {}))
        service = await project.deployed(
            home, elsewhere if number % 2 else environment, name=name, labels={"team": third}
        )
        if number % 3:
            await project.confirm(service)
    await project.deployed(home, environment, name="last")
    home_id: str = home["id"]
    return home_id


async def sorted_by(project: Project, path: str, field: str, order: str) -> list[Json]:
    """All items, page by page."""
    items: list[Json] = []
    while True:
        query = f"limit={LIMIT}&offset={len(items)}&sort_by={field}&order={order}"
        page = made(await project.get(f"{path}?{query}"), 200)
        assert page["total"] == SEVERAL
        if not page["items"]:
            return items
        items += page["items"]


def in_order(value: Any) -> Any:
    """What PostgreSQL compares of objects: how many keys they have, then keys and values."""
    return (len(value), sorted(value.items())) if isinstance(value, dict) else value


@pytest.mark.parametrize("route", LISTS, ids=" ".join)
async def test_a_list_is_in_order_of_every_field_over_all_its_pages(
    project: Project, route: Route, database: Database
) -> None:
    home = await several_of_everything(project)
    async with connected(database) as connection:
        await connection.execute(SPREAD)
    await bring_forward(database)
    path = route[1].format(model_id=home)

    for field in sortable_by(route):
        up, down = [await sorted_by(project, path, field, order) for order in ("asc", "desc")]

        assert up == down[::-1]
        assert len({item["id"] for item in up}) == len(up) == SEVERAL
        # What is left out when empty counts as empty; what is null has its place at one end.
        values = [item.get(field, "") for item in up]
        known = [value for value in values if value is not None]
        assert known == sorted(known, key=in_order), field
        assert known in (values[: len(known)], values[len(values) - len(known) :]), field
        for before, after in itertools.pairwise(up):
            if before.get(field) == after.get(field) and not field.endswith(
                "_at"
            ):  # times are finer than they are shown
                assert before["id"] < after["id"], field
