"""Shadow tables: what they are filled with, how they are finished, and how they take the place of the old ones."""

import pytest

from modeltrail.eventlog.keys import KeyRing
from modeltrail.postgres.embedded import EmbeddedPostgres
from modeltrail.projections.catalogue import ALL
from modeltrail.projections.models import MODELS
from modeltrail.projections.one_rebuild import only_rebuild
from modeltrail.projections.rebuild import SQL, Rebuild
from support.cluster import eventually
from support.command_line import KEY, modeltrail
from support.committing import connect_to, connected
from support.database import Database
from support.fold import differences
from support.registry import registry

# At a page in a tenth of a second, it would take a minute.
SLOWLY_VACUUMED = (
    """
    INSERT INTO models (id, project_id, revision, position, created_at, updated_at, name, state,
                        model_type, live_services, body)
    SELECT gen_random_uuid(), gen_random_uuid(), 1, n, now(), now(), n, 'LIVE', 'LLM', '[]',
           to_json(repeat('x', 1000))
    FROM generate_series(1, 5000) AS n
    """,
    "UPDATE models SET state = 'ARCHIVED'",
    """
    ALTER TABLE models SET (
        autovacuum_vacuum_threshold = 1, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_cost_delay = 100,
        autovacuum_vacuum_cost_limit = 1
    )
    """,
    "ALTER SYSTEM SET autovacuum_naptime = '1s'",
    "ALTER SYSTEM SET autovacuum = on",
    "SELECT pg_reload_conf()",
)
RING = KeyRing([KEY])


async def test_a_rebuild_that_was_stopped_with_half_of_its_indexes_begins_anew(database: Database) -> None:
    async with registry(database) as world:
        await world.deploy()
        async with only_rebuild(connect_to(database), RING, ALL) as rebuild:
            with pytest.raises(InterruptedError):
                await rebuild.build(Interruption(rebuild), resume=False)
        async with connected(database) as connection:
            assert await connection.fetchval("SELECT filled FROM projection_rebuild") is False
            assert await connection.fetchval(SQL.is_any_finished) is True
        await world.deploy()

    async with only_rebuild(connect_to(database), RING, ALL) as rebuild:
        await rebuild.build(lambda _done, _of: None, resume=True)
        await rebuild.swap(lambda _done, _of: None)

    assert await differences(database, *ALL) == []


async def test_tables_that_are_filled_have_the_indexes_that_rows_are_found_by(database: Database) -> None:
    async with only_rebuild(connect_to(database), RING, [MODELS]) as rebuild:
        await rebuild._begin()
    async with connected(database) as connection:
        statement = "SELECT indexname FROM pg_indexes WHERE schemaname = 'modeltrail_rebuild' ORDER BY 1"
        names = [row["indexname"] for row in await connection.fetch(statement)]

    assert names == ["models_owner_idx", "models_parent_idx", "models_pkey"]


class Interruption:
    """Stops a rebuild between the commits of the two connections that finish its tables."""

    def __init__(self, rebuild: Rebuild) -> None:
        self._move_to = rebuild._move_to
        rebuild._move_to = self.move_to  # type: ignore[method-assign] # as a kill would: nothing else stands between

        self._rebuild = rebuild

    def __call__(self, done: int, of: int) -> None:
        """Progress."""

    async def move_to(self, position: int) -> None:
        if self._rebuild._filled:
            raise InterruptedError
        await self._move_to(position)


async def test_a_swap_does_not_wait_for_an_autovacuum_to_end(
    embedded_server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    await embedded_server.ensure_database("vacuumed")
    database = Database.from_dsn(embedded_server.dsn("vacuumed"))
    assert (await modeltrail(database, "migrate"))[0] == 0
    async with connected(database) as connection:
        for statement in SLOWLY_VACUUMED:
            await connection.execute(statement)

        async def is_vacuumed() -> bool:
            found: bool = await connection.fetchval(
                "SELECT EXISTS (SELECT FROM pg_stat_progress_vacuum WHERE relid = 'models'::regclass)"
            )
            return found

        await eventually(is_vacuumed, 30.0)
        monkeypatch.setattr("modeltrail.projections.rebuild.SWAPS", 1)
        async with only_rebuild(connect_to(database), RING, [MODELS]) as rebuild:
            await rebuild.build(lambda _done, _of: None, resume=False)
            assert await is_vacuumed()
            await rebuild.swap(lambda _done, _of: None)

        assert await connection.fetchval("SELECT count(*) FROM models") == 0
