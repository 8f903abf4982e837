"""Requests a second of one API process on a full registry, beside constants that the same process serves.

Load generator, API and PostgreSQL share this machine's cores, so a rate says little and a ratio much. Ours and the
constant take turns, and each ratio is the median of the rounds.
"""

import random
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.api import Api, api
from benchmarks.database import checkpoint
from benchmarks.figures import Figure
from benchmarks.load import UNIQUE, Measurement, measure
from benchmarks.registry import Contents, Registry, filled
from modeltrail.postgres.embedded import EmbeddedPostgres

ROUNDS = 3
SECONDS = 1.0  # so that all benchmarks together stay under five minutes
MANY = 20_000  # different ids asked for
MEGABYTES = 120
CREATION = b'{"name":"%b","description":"Forecasts","model_type":"LLM","labels":{"team":"pricing"}}' % UNIQUE

MakeRequests = Callable[[int], list[bytes]]


@dataclass(frozen=True)
class Case:
    """One route under load; `constant` makes the requests for so many bytes without a database."""

    name: str
    connections: int
    requests: Sequence[bytes]
    constant: MakeRequests
    wanted: float | None


async def run(server: EmbeddedPostgres) -> list[Figure]:
    """Fill a registry (a minute), then measure one route after the other."""
    registry = await filled(server, "bench_requests")
    await checkpoint(server)
    async with api(registry.address) as running:
        lists = [*_lists(registry.large, "100,000"), *_lists(registry.small, "1,000")]
        figures = [await _compared(running, case) for case in (*_reads(registry.large), *lists)]
        figures += await _same_at_any_size(running, registry)
        figures += [await _compared(running, case) for case in _writes(registry.large)]
        memory = running.peak_memory()
    return [
        *figures,
        Figure(
            "memory of the API process",
            f"peak {memory:.0f} MB",
            f"the aim of {MEGABYTES} MB (higher is better)",
            MEGABYTES / memory,
            1.0,
        ),
    ]


def _reads(contents: Contents) -> list[Case]:
    chance = random.Random(3)
    models = [Api.get(f"/models/{id_}", contents.project) for id_ in chance.choices(contents.models, k=MANY)]
    versions = [
        Api.get(f"/model_versions/{id_}", contents.project) for id_ in chance.choices(contents.versions, k=MANY)
    ]

    def constant(size: int) -> list[bytes]:
        return [
            Api.get(f"/constants/{id_}?{size}", contents.project) for id_ in chance.choices(contents.models, k=MANY)
        ]

    return [
        Case(f"GET {name}, {connections} connections", connections, requests, constant, 0.6)
        for name, requests in (("/models/{id}", models), ("/model_versions/{id}", versions))
        for connections in (16, 64)
    ]


def _lists(contents: Contents, size: str) -> list[Case]:
    plain = [Api.get("/models?limit=20", contents.project)]

    def constant(size: int) -> list[bytes]:
        return [Api.get(f"/constants?limit=20&bytes={size}", contents.project)]

    return [
        Case(f"GET /models?limit=20 of {size}", 32, plain, constant, 0.25),
        Case(f"GET /models?search= of {size}", 32, _searches(contents), constant, 0.25),
    ]


def _searches(contents: Contents) -> list[bytes]:
    return [Api.get(f"/models?limit=20&search={word}", contents.project) for word in contents.words]


async def _same_at_any_size(running: Api, registry: Registry) -> list[Figure]:
    """How a list of the large project compares with the same list of the small one."""
    figures = []
    # As many different searches in both, because equal ones that wait together share a query.
    searches: dict[str, Callable[[Contents], Sequence[bytes]]] = {
        "limit=20": lambda contents: _lists(contents, "")[0].requests,
        "search=": lambda contents: _searches(contents)[: len(registry.small.words)],
    }
    for name, of in searches.items():
        rounds = []
        for _ in range(ROUNDS):
            large = await measure(running.port, 32, SECONDS, list(of(registry.large)))
            small = await measure(running.port, 32, SECONDS, list(of(registry.small)))
            rounds.append((large.rate / small.rate, large, small))
        ratio, large, small = sorted(rounds, key=lambda each: each[0])[len(rounds) // 2]
        figures.append(
            Figure(
                f"GET /models?{name}, large to small",
                f"{large.rate:,.0f}/s of 100,000",
                f"{small.rate:,.0f}/s of 1,000",
                ratio,
                0.8,
            )
        )
    return figures


def _writes(contents: Contents) -> list[Case]:
    creations = [Api.post("/models", contents.project, CREATION)]

    def constant(size: int) -> list[bytes]:
        return [Api.post(f"/constants?{size}", contents.project, CREATION)]

    return [
        Case(f"POST /models, {connections} connections", connections, creations, constant, wanted)
        for connections, wanted in ((32, 0.4), (128, 0.6))
    ]


async def _compared(running: Api, case: Case) -> Figure:
    warm = await measure(running.port, case.connections, 0.5, list(case.requests))
    constant = case.constant(warm.body)
    rounds: list[tuple[Measurement, Measurement]] = []
    for _ in range(ROUNDS):
        ours = await measure(running.port, case.connections, SECONDS, list(case.requests))
        rounds.append((ours, await measure(running.port, case.connections, SECONDS, constant)))
    return Figure(
        case.name,
        f"{statistics.median(ours.rate for ours, _ in rounds):,.0f}/s,"
        f" p99 {statistics.median(ours.p99 for ours, _ in rounds):.1f} ms",
        f"{statistics.median(theirs.rate for _, theirs in rounds):,.0f}/s, {warm.body:,} ready bytes",
        statistics.median(ours.rate / theirs.rate for ours, theirs in rounds),
        case.wanted,
    )
