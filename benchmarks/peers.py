"""Gets, searches and creations beside MLflow's tracking server: same PostgreSQL, same machine, as many models.

One API process of ours, and MLflow as it comes (four worker processes). Both take turns; each ratio is the median of
the rounds.
"""

import random
import statistics
from dataclasses import dataclass

from benchmarks.api import Api, api
from benchmarks.figures import Figure
from benchmarks.load import UNIQUE, measure
from benchmarks.mlflow import MLFLOW, MLflow, mlflow, name_of
from benchmarks.registry import Contents, filled
from benchmarks.requests import CREATION
from modeltrail.postgres.embedded import EmbeddedPostgres

ROUNDS = 3
SECONDS = 1.0
MLFLOW_SECONDS = 4.0  # it answers so few that a second of them says little
CONNECTIONS = 64
ASKED = 5_000  # different models
WANTED = 25.0


@dataclass(frozen=True)
class Job:
    """The same thing asked of both."""

    name: str
    ours: list[bytes]
    theirs: list[bytes]


async def run(server: EmbeddedPostgres) -> list[Figure]:
    """Fill both registries (two minutes), then give both the same jobs. One line when MLflow is not installed."""
    if not MLFLOW.exists():
        return [Figure("MLflow", "is not installed: make bench-peers")]
    contents = (registry := await filled(server, "bench_peers")).large
    async with api(registry.address) as ours, mlflow(server, contents) as theirs:
        return [await _compared(job, ours, theirs) for job in _jobs(contents, theirs)]


def _jobs(contents: Contents, theirs: MLflow) -> list[Job]:
    asked = random.Random(3).choices(range(len(contents.models)), k=ASKED)
    return [
        Job(
            "GET of a model",
            [Api.get(f"/models/{contents.models[number]}", contents.project) for number in asked],
            [theirs.get(name_of(contents, number)) for number in asked],
        ),
        Job(
            "search for 20 of 100,000 models",
            [Api.get(f"/models?limit=20&search={word}", contents.project) for word in contents.words],
            [theirs.search(word) for word in contents.words],
        ),
        Job(
            "creation of a model",
            [Api.post("/models", contents.project, CREATION)],
            [theirs.create(b'{"name":"%b","description":"Forecasts"}' % UNIQUE)],
        ),
    ]


async def _compared(job: Job, ours: Api, theirs: MLflow) -> Figure:
    rounds = []
    for _ in range(ROUNDS):
        mine = await measure(ours.port, CONNECTIONS, SECONDS, job.ours)
        rounds.append((mine.rate, (await measure(theirs.port, CONNECTIONS, MLFLOW_SECONDS, job.theirs)).rate))
    return Figure(
        job.name,
        f"{statistics.median(rate for rate, _ in rounds):,.0f}/s",
        f"{statistics.median(rate for _, rate in rounds):,.0f}/s of MLflow",
        statistics.median(mine / its for mine, its in rounds),
        WANTED,
    )
