"""Worker processes frozen, doubled and killed in the middle of many deployments and undeployments.

`make soak` raises the numbers: FIRE_DEPLOYMENTS and FIRE_KILLS.
"""

import asyncio
import os
import random
import signal
from collections import Counter
from functools import partial
from pathlib import Path

import asyncpg

from modeltrail.domain.ids import ServiceId
from modeltrail.projections.catalogue import ASYNC
from modeltrail.simulated_cluster import SimulatedCluster
from modeltrail.workers.manifest import SERVICE_ID
from support.cluster import eventually, raw_api
from support.database import Database
from support.fold import differences
from support.registry import Registry
from support.worker_process import PATIENCE, WorkerProcess

DEPLOYMENTS = int(os.environ.get("FIRE_DEPLOYMENTS", "40"))
KILLS = int(os.environ.get("FIRE_KILLS", "5"))
STANDS_BY = "standing by: another worker keeps the projection up"
OUTCOMES = {"DeploymentRequested": {"DeploymentSucceeded", "DeploymentFailed"}, "UndeploymentRequested": {"Undeployed"}}


async def has_logged(process: WorkerProcess, words: str) -> bool:
    return process.has_logged(words)


async def is_settled(connection: asyncpg.Connection) -> bool:
    """Whether nothing that was asked waits for its answer."""
    return not await connection.fetchval("SELECT EXISTS (SELECT FROM deployment_tasks)")


async def position(connection: asyncpg.Connection) -> int:
    return int(await connection.fetchval("SELECT coalesce(max(position), 0) FROM subscriptions"))


async def check(world: Registry, cluster: SimulatedCluster, connection: asyncpg.Connection) -> None:
    """Desired and actual agree, no deployment has two objects, and every request has exactly one outcome."""
    wanted = await connection.fetch(
        "SELECT id::text, current_state FROM inference_services WHERE desired_state = 'DEPLOYED'"
    )
    assert {row["current_state"] for row in wanted} <= {"DEPLOYED"}
    async with raw_api(cluster) as api:
        listed = await api.send("GET", "/apis/serving.kserve.io/v1beta1/inferenceservices")
    objects = Counter(item["metadata"]["labels"][SERVICE_ID] for item in listed.body["items"])
    assert objects == Counter(row["id"] for row in wanted)
    await every_request_has_one_outcome(world)


async def every_request_has_one_outcome(world: Registry) -> None:
    waiting: dict[object, tuple[str, int]] = {}
    for recorded in await world.events():
        name = type(recorded.event).__name__
        asked, answers = waiting.get(recorded.stream, ("", 0))
        if name in OUTCOMES:
            # One that another has replaced needs no answer any more.
            assert asked != "UndeploymentRequested" or answers == 1
            waiting[recorded.stream] = (name, 0)
        elif name in OUTCOMES.get(asked, ()):
            waiting[recorded.stream] = (asked, answers + 1)
    assert {answers for _, answers in waiting.values()} == {1}


async def test_workers_killed_at_random_moments_leave_nothing_undone_and_nothing_done_twice(
    world: Registry, cluster: SimulatedCluster, database: Database, connection: asyncpg.Connection, tmp_path: Path
) -> None:
    moments = random.Random(20)
    process = WorkerProcess(database, cluster, tmp_path)
    services: list[ServiceId] = []
    positions = [0]
    for kill in range(KILLS):
        async with process.running() as running:
            await eventually(partial(process.has_begun, kill + 1), within=PATIENCE)
            share = range(len(services), DEPLOYMENTS * (kill + 1) // KILLS)
            new = await asyncio.gather(*(world.deploy(name=f"iris-{number}") for number in share))
            gone = moments.sample(services, len(services) // 4)
            await asyncio.gather(*map(world.undeploy, gone))
            services = [each for each in services if each not in gone] + new
            await asyncio.sleep(moments.uniform(0, 0.5))  # the moment is what is random here
            running.send_signal(signal.SIGKILL)
            await running.wait()
        positions.append(await position(connection))
    async with process.running():
        await eventually(partial(is_settled, connection), within=PATIENCE)
    await check(world, cluster, connection)
    assert positions == sorted(positions)


async def test_a_frozen_worker_that_wakes_after_another_took_over_does_no_harm(
    world: Registry, cluster: SimulatedCluster, database: Database, connection: asyncpg.Connection, tmp_path: Path
) -> None:
    first = WorkerProcess(database, cluster, tmp_path, "first.log")
    second = WorkerProcess(database, cluster, tmp_path, "second.log")

    async with first.running() as frozen:
        await eventually(partial(first.has_begun, 1), within=PATIENCE)
        services = await asyncio.gather(*(world.deploy(name=f"iris-{number}") for number in range(10)))
        frozen.send_signal(signal.SIGSTOP)
        async with second.running():
            await eventually(partial(second.has_begun, 1), within=PATIENCE)
            await asyncio.gather(*map(world.undeploy, services[:5]))
            await eventually(partial(is_settled, connection), within=PATIENCE)
            before = await position(connection)
            frozen.send_signal(signal.SIGCONT)
            await eventually(partial(has_logged, first, "standing by"), within=PATIENCE)
            await asyncio.gather(*(world.deploy(name=f"rose-{number}") for number in range(5)))
            await eventually(partial(is_settled, connection), within=PATIENCE)
            await check(world, cluster, connection)
            assert await position(connection) >= before


async def are_caught_up(connection: asyncpg.Connection) -> bool:
    """Whether the projections that follow the log have all of it."""
    return bool(
        await connection.fetchval(
            "SELECT bool_and(position = (SELECT max(notification_id) FROM stored_events)) FROM projections"
            " WHERE position IS NOT NULL"
        )
    )


async def test_a_frozen_worker_that_wakes_counts_no_event_twice(
    world: Registry, cluster: SimulatedCluster, database: Database, connection: asyncpg.Connection, tmp_path: Path
) -> None:
    first = WorkerProcess(database, cluster, tmp_path, "first.log")
    second = WorkerProcess(database, cluster, tmp_path, "second.log")
    # What PostgreSQL does itself to a session that stands still for a minute.
    cut_off = (
        "SELECT count(pg_terminate_backend(pid)) FROM pg_locks JOIN pg_stat_activity USING (pid)"
        " WHERE locktype = 'advisory' AND granted AND application_name = 'modeltrail projections'"
    )

    async with first.running() as frozen:
        await eventually(partial(first.has_begun, 1), within=PATIENCE)
        await world.deploy(name="iris")
        await eventually(partial(are_caught_up, connection), within=PATIENCE)
        frozen.send_signal(signal.SIGSTOP)
        async with second.running():
            await eventually(partial(has_logged, second, STANDS_BY), within=PATIENCE)
            await asyncio.gather(*(world.deploy(name=f"rose-{number}") for number in range(10)))
            assert not await are_caught_up(connection)
            assert await connection.fetchval(cut_off) == len(ASYNC)
            await eventually(partial(are_caught_up, connection), within=PATIENCE)
            frozen.send_signal(signal.SIGCONT)
            await eventually(partial(has_logged, first, STANDS_BY), within=PATIENCE)
            await asyncio.gather(*(world.deploy(name=f"aster-{number}") for number in range(10)))
            await eventually(partial(is_settled, connection), within=PATIENCE)
            await eventually(partial(are_caught_up, connection), within=PATIENCE)

    assert await differences(database, *ASYNC) == []


async def test_two_workers_started_at_once_answer_each_request_once(
    world: Registry, cluster: SimulatedCluster, database: Database, connection: asyncpg.Connection, tmp_path: Path
) -> None:
    await asyncio.gather(*(world.deploy(name=f"iris-{number}") for number in range(20)))
    first = WorkerProcess(database, cluster, tmp_path, "first.log")
    second = WorkerProcess(database, cluster, tmp_path, "second.log")
    async with first.running(), second.running():
        await eventually(partial(is_settled, connection), within=PATIENCE)
        await check(world, cluster, connection)
    assert len(cluster.requests.all("apply")) == 20
