"""The processes of a PostgreSQL server, found by the data they work on, not by what a file says of them."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

__all__ = ["await_condition", "kill_processes", "pid_file", "server_processes", "stop_processes"]


def pid_file(cluster: Path) -> list[str]:
    """Lines of postmaster.pid: the first is the process, the eighth the state (see pg_ctl's source)."""
    try:
        return [line.strip() for line in (cluster / "postmaster.pid").read_text().splitlines()]
    except FileNotFoundError:
        return []


def stop_processes(cluster: Path) -> None:
    """Stop every server process that works in the cluster, politely first.

    Raises TimeoutError when one outlives even SIGKILL (it hangs in the kernel, on a dead disk say).
    """
    for number, patience in ((signal.SIGINT, 10), (signal.SIGQUIT, 5), (signal.SIGKILL, 5)):
        processes = server_processes(cluster)
        for process in processes:
            # Interrupting the postmaster is enough; a process that lost it only reacts to the harder ones.
            if number is not signal.SIGINT or [str(process)] == pid_file(cluster)[:1]:
                with suppress(ProcessLookupError):
                    os.kill(process, number)
        if not processes or await_condition(lambda: not server_processes(cluster), patience):
            return
    raise TimeoutError(f"PostgreSQL in {cluster} does not stop (processes {server_processes(cluster)})")


def kill_processes(cluster: Path) -> None:
    """End every server process that works in the cluster at once, as a crash would."""
    for process in server_processes(cluster):
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def server_processes(cluster: Path) -> list[int]:
    """Processes of a server that works in this cluster: every one of them has it as working folder."""
    if not Path("/proc/self/cwd").exists():
        return _recorded_process(cluster)
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # gone meanwhile, or another account's
            if (process / "comm").read_text() == "postgres\n" and (process / "cwd").samefile(cluster):
                found.append(int(process.name))
    return found


def _recorded_process(cluster: Path) -> list[int]:
    """Without /proc (macOS): the process in the pid file, if it is a PostgreSQL."""
    recorded = pid_file(cluster)[:1]
    if not recorded:
        return []
    command = ["/bin/ps", "-o", "comm=", "-p", recorded[0]]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - a number
    return [int(recorded[0])] if answer.stdout.strip().endswith("postgres") else []


def await_condition(condition: Callable[[], bool], patience: float) -> bool:
    """Poll until the condition holds or `patience` seconds are over; returns whether it holds."""
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
