"""What a stream amounted to at a position or time, and what changed between two."""

import json
from datetime import UTC, datetime

import pytest

from modeltrail.eventlog.log import lock_log
from modeltrail.projections import past
from support.api import Api
from support.command_line import modeltrail
from support.committing import connected, read_rows
from support.database import Database


async def test_a_past_state_and_what_changed_since(api: Api, database: Database) -> None:
    project = api.project()
    model = await project.model("iris", description="first")
    await project.model("other")
    await project.patch(f"/models/{model['id']}", {"description": "second"})
    rows = await read_rows(database)
    then = rows[1]["recorded_at"].isoformat()

    for at in ("1", "2", then):
        code, out, err = await modeltrail(database, "events", "state", model["id"], "--at", at)
        assert (code, err) == (0, "")
        found = json.loads(out)
        assert (found["version"], found["position"], found["state"]["description"]) == (1, 1, "first")
    code, out, _ = await modeltrail(database, "events", "diff", model["id"], "--from", then, "--to", "3")
    assert (code, out) == (0, 'description: "first" -> "second"\n')
    code, out, _ = await modeltrail(database, "events", "diff", model["id"], "--from", "0", "--to", "1", "--json")
    assert json.loads(out)["name"] == {"from": None, "to": "iris"}
    code, _, err = await modeltrail(database, "events", "state", model["id"], "--at", "0")
    assert (code, "had no event then" in err) == (1, True)


async def test_a_moment_that_is_still_to_come_is_refused(api: Api, database: Database) -> None:
    model = await api.project().model("iris")

    for arguments, words in (
        (("state", "--at", "2"), "--at is 2, and the log ends at position 1; name"),
        (
            ("state", "--at", "2999-01-01T00:00:00Z"),
            "--at is 2999-01-01T00:00:00+00:00, and that time is still to come",
        ),
        (("diff", "--from", "0", "--to", "2"), "--to is 2, and the log ends at position 1; name"),
        (("diff", "--from", "3", "--to", "1"), "--from is 3, and the log ends at position 1; name"),
    ):
        code, out, err = await modeltrail(database, "events", *arguments, model["id"])
        assert (code, out, err.count("\n")) == (1, "", 1)
        assert words in err


async def test_a_moment_of_which_much_is_still_being_written_can_be_asked_for_again(
    api: Api, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(past, "LOOKS", 2)
    model = await api.project().model("iris")
    now = datetime.now(UTC).isoformat()
    async with connected(database) as other:
        await lock_log(other, held=False)

        code, out, err = await modeltrail(database, "events", "state", model["id"], "--at", now)

    assert (code, out) == (1, "")
    assert err.endswith("and what happened then is still being written; try again\n")
