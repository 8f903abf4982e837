"""Runs all benchmarks but the one that takes a peer, or those named: `python -m benchmarks [committer latency ...]`."""

import asyncio
import os
import platform
import sys
import time
from collections.abc import Awaitable, Callable

import uvloop

from benchmarks import (
    committer,
    deployments,
    following,
    latency,
    past,
    peers,
    projections,
    requests,
    snapshots,
    verification,
)
from benchmarks.database import checkpoint, clear, run_in, server
from benchmarks.figures import Figure
from modeltrail.memory import settle
from modeltrail.postgres.embedded import EmbeddedPostgres

# Takes an installed MLflow and as long as all others: `make bench-peers`.
APART = "peers"
BENCHMARKS: dict[str, Callable[[EmbeddedPostgres], Awaitable[list[Figure]]]] = {
    "committer": committer.run,
    "latency": latency.run,
    "requests": requests.run,
    APART: peers.run,
    "verify": verification.run,
    "projections": projections.run,
    "following": following.run,
    "past": past.run,
    "snapshots": snapshots.run,
    "deployments": deployments.run,
}


async def main(names: list[str]) -> int:
    """Run and print. Exit code 2 for a name that is none."""
    unknown = sorted(set(names) - BENCHMARKS.keys())
    if unknown:
        print(f"no benchmark is called {', '.join(unknown)}; there are: {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}", flush=True)
    settle()  # as the API and the worker do
    with server() as running:
        await run_in(running)
        for name in names or [each for each in BENCHMARKS if each != APART]:
            print(f"\n{name}: running ...", flush=True)
            await clear(running)
            await checkpoint(running)
            began = time.monotonic()
            figures = await BENCHMARKS[name](running)
            print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)
            for figure in figures:
                print(figure.line(), flush=True)
    return 0


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.exit(runner.run(main(sys.argv[1:])))
