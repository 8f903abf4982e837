"""A single model beside its versions: what it shows of them is what they show of themselves, whatever happens."""

import random
from uuid import uuid4

import msgspec
import pytest

from modeltrail.projections.models import MODELS
from support.api import Json, Project, made
from support.database import Database
from support.fold import differences

STEPS = 60


async def test_a_default_that_was_never_the_latest_since_is_shown_all_the_same(project: Project) -> None:
    model = await project.model()
    first, *_ = [await project.version(model, f"v{number}") for number in range(3)]

    await project.patch(f"/model_versions/{first['id']}", {"is_default": True})
    await project.patch(f"/model_versions/{first['id']}", {"description": "The one to take"})

    shown = made(await project.get(f"/models/{model['id']}"), 200)
    assert shown["default_version"]["description"] == "The one to take"
    assert shown == await expected(project, model["id"], first["id"])


async def test_a_model_without_versions_shows_none(project: Project) -> None:
    model = await project.model()

    assert not {"latest_version", "default_version"} & made(await project.get(f"/models/{model['id']}"), 200).keys()


@pytest.mark.parametrize("seed", range(4))
async def test_a_model_shows_its_versions_as_they_are_whatever_happens(
    project: Project, database: Database, seed: int
) -> None:
    chance = random.Random(seed)
    model = await project.model()
    path = f"/models/{model['id']}"
    versions: list[str] = []
    default: str | None = None
    for number in range(STEPS):
        if not versions or chance.random() < 0.15:
            is_default = chance.random() < 0.3
            made_one = await project.version(model, f"v{number}", is_default=is_default, **someone(chance))
            versions.append(made_one["id"])
            default = made_one["id"] if is_default else default
        elif chance.random() < 0.1:
            answer = await project.patch(path, {"description": f"{number}"})
            assert (answer.content, answer.headers["etag"]) == await got(project, path)
        else:
            version = chance.choice(versions)
            change = chance.choice(CHANGES) | ({"description": f"{number}"} if chance.random() < 0.5 else {})
            made(await project.patch(f"/model_versions/{version}", change), 200)
            if "is_default" in change:
                default = version if change["is_default"] else None if default == version else default
        assert made(await project.get(path), 200) == await expected(project, model["id"], default)
    assert await differences(database, MODELS) == []


CHANGES: list[Json] = [
    {"is_default": True},
    {"is_default": True},
    {"is_default": False},
    {"status": "READY"},
    {"status": "FAILED"},
    {"state": "ARCHIVED"},
    {"state": "LIVE"},
    {"labels": {"team": "fraud"}},
    {"uri": "s3://models/other"},
    {},
]


def someone(chance: random.Random) -> Json:
    """Who made a version, if that is told."""
    return {"created_by_email": f"{uuid4().hex}@example.com"} if chance.random() < 0.5 else {}


async def got(project: Project, path: str) -> tuple[bytes, str]:
    """What GET answers, and under which revision."""
    answer = await project.get(path)
    return answer.content, answer.headers["etag"]


async def expected(project: Project, model: str, default: str | None) -> Json:
    """The model as a list shows it, with the newest of its versions and the default one as GET shows them."""
    (shown,) = made(await project.get("/models"), 200)["items"]
    assert shown["id"] == model
    newest = made(await project.get(f"/models/{model}/versions?limit=1"), 200)["items"][0]["id"]
    for name, version in (("latest_version", newest), ("default_version", default)):
        if version is not None:
            itself = made(await project.get(f"/model_versions/{version}"), 200)
            shown[name] = {field: value for field, value in itself.items() if not field.endswith("_email")}
    return msgspec.convert(shown, Json)
