"""`modeltrail dev` and `modeltrail demo`, as a person at a terminal meets them."""

import http.client
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

pytestmark = pytest.mark.slow

PROJECT = "11111111-1111-4111-8111-111111111111"
PATIENCE = 90.0  # seconds; a loaded machine is slow
STOPS_WITHIN = 20.0  # seconds

T = TypeVar("T")


def eventually(what: str, look: Callable[[], T | None], *, patience: float = PATIENCE) -> T:
    """The first answer of `look` that is neither None nor False."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.05)
    raise AssertionError(f"not within {patience:g} s: {what}")


def environment() -> dict[str, str]:
    """That of whoever runs the tests, without settings of modeltrail."""
    ours = ("DATABASE_", "SERVER_", "KSERVE_", "KUBERNETES_", "LOGGER_", "MODELTRAIL_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


class Dev:
    """One `modeltrail dev` in the background."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self._output = folder / f"output-{time.monotonic_ns()}"
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "modeltrail", "dev", "--data", "data", "--port", str(port)],
                cwd=folder,
                env=environment(),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def output(self) -> str:
        return self._output.read_text()

    def await_ready(self) -> None:
        def is_running() -> bool:
            assert self.process.poll() is None, self.output()
            return "modeltrail is running." in self.output() and "worker started" in self.output()

        eventually("everything is running", is_running)

    def children(self, name: str) -> list[int]:
        """Process ids of that child, the newest last."""
        return [int(number) for number in re.findall(rf"{name} started \(process (\d+)\)", self.output())]

    def is_healthy(self) -> bool:
        try:
            return self.get("/healthz")[0] == 200
        except OSError:
            return False

    def get(self, path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", path, headers={"Project-ID": PROJECT})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def model_names(self) -> set[str]:
        status, body = self.get("/api/v1/model-registry/models?limit=100")
        assert status == 200
        return {item["name"] for item in json.loads(body)["items"]}

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Another modeltrail command, from a second terminal."""
        return self._run(sys.executable, "-m", "modeltrail", *arguments)

    def run_what_it_shows(self) -> subprocess.CompletedProcess[str]:
        """The command that it says to try."""
        (shown,) = re.findall(r"^ *Try +(.+)$", self.output(), re.MULTILINE)
        return self._run(*shlex.split(shown))

    def _run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.folder,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )

    def interrupt(self) -> int:
        """Ctrl-C; returns the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(STOPS_WITHIN)

    def interrupt_in_a_terminal(self) -> int:
        """Ctrl-C as a terminal sends it: to all that was started there; returns the exit code."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(STOPS_WITHIN)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the account which runs PostgreSQL can reach, which pytest's own is not for root's."""
    path = Path(tempfile.mkdtemp(prefix="modeltrail-e2e-", dir="/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def start(folder: Path) -> Iterator[Callable[[], Dev]]:
    """Starts `modeltrail dev`, each time in the same folder and on the same port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    started: list[Dev] = []

    def start() -> Dev:
        started.append(Dev(folder, port))
        return started[-1]

    yield start
    for dev in started:
        if dev.process.poll() is None:
            dev.interrupt()


def test_from_nothing_to_a_deployed_model_and_back_again(start: Callable[[], Dev]) -> None:
    dev = start()
    dev.await_ready()
    assert dev.is_healthy()

    demo = dev.run_what_it_shows()

    assert (demo.returncode, demo.stderr) == (0, "")
    last_line = demo.stdout.rstrip().splitlines()[-1]
    assert re.fullmatch(r"iris-\S+ is DEPLOYED at http\S+", last_line)
    _, _, trail = demo.stdout.partition("# What the log has kept of it")
    for tag in ("registered_model.", "model_version.", "inference_service."):
        assert tag in trail
    assert "demo@example.com" in trail

    again = dev.run("demo", "--data", "data")
    assert again.returncode == 0, again.stderr

    listed = dev.run("events", "--data", "data", "--json", "--limit", "1000")
    assert listed.returncode == 0, listed.stderr
    positions = [json.loads(line)["position"] for line in listed.stdout.splitlines()]
    assert len(positions) >= 10
    assert positions == sorted(positions)

    models = dev.model_names()
    assert len(models) == 2
    assert dev.interrupt() == 0
    assert "Traceback" not in dev.output()

    next_run = start()
    next_run.await_ready()
    assert next_run.model_names() == models
    assert next_run.interrupt() == 0


def test_ctrl_c_while_the_database_is_made_leaves_no_trace_of_it(start: Callable[[], Dev], folder: Path) -> None:
    dev = start()
    eventually("initdb is at work", (folder / "data" / "postgres" / "cluster.new" / "base").exists)

    assert dev.interrupt_in_a_terminal() == 0

    assert "Traceback" not in dev.output()
    assert dev.output().splitlines()[-1].endswith(f"stopped; the data stays in {folder / 'data'}")


def test_a_killed_child_is_started_again(start: Callable[[], Dev]) -> None:
    dev = start()
    dev.await_ready()

    for name in ("api", "worker", "cluster"):
        os.kill(dev.children(name)[-1], signal.SIGKILL)
    for name in ("api", "worker", "cluster"):
        await_second(dev, name)
    eventually("the API answers again", dev.is_healthy)

    assert "api was ended by SIGKILL unexpectedly; it is started again" in dev.output()
    assert dev.interrupt() == 0


def test_nothing_outlives_a_killed_dev(start: Callable[[], Dev]) -> None:
    dev = start()
    dev.await_ready()
    children = [dev.children(name)[-1] for name in ("cluster", "api", "worker")]

    dev.process.kill()
    dev.process.wait(STOPS_WITHIN)

    eventually("no child is left", lambda: not any(is_alive(child) for child in children), patience=STOPS_WITHIN)
    next_run = start()
    next_run.await_ready()
    assert next_run.interrupt() == 0


def test_a_second_dev_says_who_holds_the_data_folder(start: Callable[[], Dev]) -> None:
    dev = start()
    dev.await_ready()

    second = start()

    assert second.process.wait(STOPS_WITHIN) == 1
    assert second.output().count("\n") == 1
    assert f"in use by another `modeltrail dev` (process {dev.process.pid}, API on port {dev.port})" in second.output()
    assert dev.interrupt() == 0


def await_second(dev: Dev, name: str) -> None:
    eventually(f"{name} is started again", lambda: len(dev.children(name)) == 2)


def is_alive(process: int) -> bool:
    """Whether it runs; one that has ended and waits for its parent to notice does not."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(process)], capture_output=True, text=True, check=False)
    return state.stdout.strip() != "" and not state.stdout.startswith("Z")
