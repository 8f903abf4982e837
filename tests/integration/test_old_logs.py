"""A log that yesterday's code has written: today's reads it, shows it and builds its tables from it, and leaves it as
it is. The samples are exports, made with the code of their day."""

import json
from collections import Counter
from pathlib import Path
from uuid import UUID

import pytest

from support.api import Project, made, running_api
from support.command_line import modeltrail
from support.database import Database

LOGS = sorted((Path(__file__).parents[1] / "golden" / "logs").glob("*.jsonl"))
WITHOUT_DEFAULTS = next(log for log in LOGS if log.stem == "environments-without-defaults")


@pytest.mark.parametrize("log", LOGS, ids=lambda log: log.stem)
async def test_it_is_imported_verified_checked_and_exported_as_it_was(
    database: Database, tmp_path: Path, log: Path
) -> None:
    code, _, err = await modeltrail(database, "events", "import", str(log))
    assert code == 0, err
    for command in (["events", "verify"], ["events", "check"], ["projections", "verify"]):
        code, out, err = await modeltrail(database, *command)
        assert code == 0, out + err
    again = tmp_path / "again.jsonl"
    code, _, err = await modeltrail(database, "events", "export", str(again))
    assert code == 0, err
    assert bytes_of(again) == bytes_of(log)


def bytes_of(file: Path) -> bytes:
    return file.read_bytes()


async def test_environments_of_then_have_no_defaults_and_can_get_some(database: Database) -> None:
    code, _, err = await modeltrail(database, "events", "import", str(WITHOUT_DEFAULTS))
    assert code == 0, err
    lines = [json.loads(line) for line in WITHOUT_DEFAULTS.read_text().splitlines()]
    assert Counter(line["type"] for line in lines)["serving_environment.created"] == 2

    async with running_api(database) as api:
        project = Project(api.client, api.services)
        project.id = UUID(lines[0]["projectid"])
        (environment,) = made(await project.get("/serving_environments"), 200)["items"]
        assert (environment["name"], "defaults" in environment) == ("preview", False)
        before = lines[9]["id"]  # the second was deleted only then
        then = made(await project.get(f"/serving_environments?sort_by=name&order=asc&at={before}"), 200)
        assert [each["name"] for each in then["items"]] == ["live", "preview"]
        alone = made(await project.get(f"/serving_environments/{environment['id']}?at={before}"), 200)
        assert alone["name"] == "preview"

        path = f"/serving_environments/{environment['id']}"
        after = made(await project.patch(path, {"defaults": {"min_replicas": 2}}), 200)
        assert after["defaults"] == {"min_replicas": 2}
        await project.environment("new", defaults={"min_replicas": 1})

        created = made(await project.get("/events?type=serving_environment.created&order=asc"), 200)["items"]
        assert [each["type"] for each in created] == [
            "serving_environment.created",
            "serving_environment.created",
            "serving_environment.created@2",
        ]
    code, out, _ = await modeltrail(database, "events", "list", "--type", "serving_environment.created", "--json")
    assert (code, len(out.splitlines())) == (0, 3)
