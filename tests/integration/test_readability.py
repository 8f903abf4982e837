"""Whether today's code reads the whole log: `modeltrail events check`, and snapshots of an old shape."""

import json

import pytest

from modeltrail.domain.decider import REGISTERED_MODEL
from modeltrail.eventlog.streams import load_streams
from support.command_line import modeltrail
from support.committing import connected
from support.database import Database
from support.registry import registry

SNAPSHOT = "INSERT INTO snapshots (stream, version, shape, state) VALUES ($1, 1, $2, $3)"


async def test_what_cannot_be_read_is_named(database: Database) -> None:
    async with registry(database) as world:
        await world.deploy()
    code, out, err = await modeltrail(database, "events", "check")
    assert (code, err, out.endswith("events, 0 of them cannot be read\n")) == (0, "", True)
    async with connected(database) as connection:
        await connection.execute("SET session_replication_role = replica")
        await connection.execute(
            "UPDATE stored_events SET topic = 'model.gone', state = '{}' WHERE notification_id = 2"
        )
        await connection.execute("UPDATE stored_events SET actor = '{\"other\":1}' WHERE notification_id = 4")

    code, out, _ = await modeltrail(database, "events", "check", "--json")

    result = json.loads(out)
    assert (code, result["unreadable"]) == (1, 2)
    assert [(each["position"], each["type"] == "model.gone") for each in result["first"]] == [(2, True), (4, False)]


@pytest.mark.parametrize("shape", [REGISTERED_MODEL.shape - 1, REGISTERED_MODEL.shape])
async def test_a_snapshot_that_is_not_of_todays_shape_is_ignored(database: Database, shape: int) -> None:
    """The second one says that it is, and is not."""
    async with registry(database) as world:
        model, _ = await world.ready_version()
    async with connected(database) as connection:
        before = await load_streams(connection, {model: REGISTERED_MODEL})
        await connection.execute(SNAPSHOT, model, shape, b'{"type":"model","of":"long ago"}')

        assert await load_streams(connection, {model: REGISTERED_MODEL}) == before
