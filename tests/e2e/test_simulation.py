"""Deployments under everything that may happen to them at once, by chance: as a seed says.

`make simulate` tries more seeds, SIMULATION_SEEDS of them, and longer; SIMULATION_FIRST=17 SIMULATION_SEEDS=1 tries one
again. What happens is the same then; how long each thing takes, and so what it meets, is not.
"""

import asyncio
import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest

from modeltrail.postgres.embedded import EmbeddedPostgres
from modeltrail.simulated_cluster import SimulatedCluster, objects
from support.api import Caller, Json
from support.cluster import eventually, raw_api
from support.database import Database, migrate_as_the_command_does
from support.simulated_invariants import record_violations, scene
from support.simulated_steps import Moment, Step, moments
from support.simulation import NAMES, Modeltrail, Setting

FIRST = int(os.environ.get("SIMULATION_FIRST", "1"))
SEEDS = int(os.environ.get("SIMULATION_SEEDS", "2"))
ROUNDS = int(os.environ.get("SIMULATION_ROUNDS", "1"))
MOMENTS = 20  # in each round
PATIENCE = 60.0  # seconds


@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS))
async def test_what_is_shown_is_what_is_there_once_all_is_quiet(
    seed: int,
    embedded_server: EmbeddedPostgres,
    cluster: SimulatedCluster,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dice = random.Random(seed)
    setting = Setting.by_chance(dice)
    if setting.whole_seconds:
        monkeypatch.setattr(objects, "_moment", objects.now)
    await embedded_server.ensure_database("models")
    database = Database.from_dsn(embedded_server.dsn("models"))
    await migrate_as_the_command_does(database.dsn)
    async with raw_api(cluster, patience=3.0) as kubernetes:
        modeltrail = Modeltrail(embedded_server, database, cluster, kubernetes, tmp_path, setting)
        story = [f"seed {seed}: {setting}"]
        with told(story):
            async with modeltrail.running():
                for name in NAMES:
                    await Step("deploy", name, dice.getrandbits(32)).take(modeltrail)
                for _ in range(ROUNDS):
                    await happen(modeltrail, moments(dice, MOMENTS, setting.mode), story)
                    await settle(modeltrail)
                    story.append(f"{time.strftime('%X')} quiet")
                assert await record_violations(modeltrail) == []


@contextmanager
def told(story: list[str]) -> Iterator[None]:
    """A violation comes with all that led to it."""
    try:
        yield
    except Exception as error:
        error.add_note("\n".join(story))
        raise


async def happen(modeltrail: Modeltrail, what: list[Moment], story: list[str]) -> None:
    for moment in what:
        outcomes = await asyncio.gather(*(step.take(modeltrail) for step in moment.steps))
        story.append(f"{time.strftime('%X')} {'; at once '.join(outcomes)}")
        await asyncio.sleep(moment.pause)


async def has_synced(caller: Caller, service: Json) -> bool:
    return (await caller.post(f"/inference_services/{service['id']}/sync")).status_code == httpx.codes.OK


async def settle(modeltrail: Modeltrail) -> None:
    """Let all run, and wait until everything that must hold does, and goes on to."""
    await modeltrail.resume()
    deadline = asyncio.get_running_loop().time() + PATIENCE
    violations, position = ["nothing was looked at"], -1
    while True:
        try:
            now = await scene(modeltrail)
        except (httpx.TransportError, AssertionError) as error:
            violations = [repr(error)]  # it may have to come to itself
        else:
            violations = now.violations()
            if not violations and now.position == position:
                break
            position = now.position
        assert asyncio.get_running_loop().time() < deadline, "\n".join([*violations, f"at {position}"])
        await asyncio.sleep(0.3)
    for service in now.services:
        await eventually(partial(has_synced, modeltrail.caller, service), within=PATIENCE)
    assert (await scene(modeltrail)).position == position, "a look at the cluster found what nobody had told"
