"""One run of `modeltrail dev`: what it starts, in which order, and how it stops."""

import asyncio
import shlex
import shutil
import sys
from collections.abc import Coroutine, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import click

from modeltrail.cli.children import Child, ChildCommand, Lifeline, run_to_end, say
from modeltrail.cli.dev_environment import DEFAULT_DATA_FOLDER, write_dev_environment
from modeltrail.cli.dev_folder import DevFolder
from modeltrail.cli.errors import CommandError
from modeltrail.cli.own_database import OwnDatabase
from modeltrail.cli.ports import free_port
from modeltrail.secret_keys import KEYS_FILE_VARIABLE, KEYS_VARIABLE
from modeltrail.settings import Settings

__all__ = ["DevSession"]

_CLUSTER_PORT = 8001
_READY_AFTER = "1.0"  # seconds that the simulated cluster takes to make a service ready
_START_PATIENCE = 60.0  # seconds

_T = TypeVar("_T")


class DevSession:
    """Starts PostgreSQL, the simulated cluster, the API and the worker; stops them in reverse order."""

    def __init__(self, folder: DevFolder, settings: Settings, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._environment = {name: value for name, value in environment.items() if name != KEYS_VARIABLE}
        self._uses_simulation = not settings.kserve.enabled
        host = settings.server.host
        reachable = "127.0.0.1" if host in {"0.0.0.0", "::"} else host  # noqa: S104 compared, not bound
        self._url = f"http://{f'[{reachable}]' if ':' in reachable else reachable}:{settings.server.port}"
        self._children: list[Child] = []
        self._keepers: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Run until cancelled. Raises CommandError or EmbeddedPostgresError when it cannot go on."""
        async with AsyncExitStack() as stack:
            stack.callback(_say, "stopped; the data stays in " + str(self._folder.path))
            lifeline = Lifeline()
            stack.callback(lifeline.close)
            database = OwnDatabase(self._folder.database)
            stack.push_async_callback(database.stop)
            _say("starting PostgreSQL")
            self._keepers.add(await database.start())
            self._environment |= database.environment()
            self._environment[KEYS_FILE_VARIABLE] = str(self._folder.secret_keys())
            cluster_url = await self._start_cluster(stack, lifeline) if self._uses_simulation else None
            self._leave_environment()
            await self._or_failure(run_to_end(self._command("migrate", "green", "migrate"), lifeline))
            await self._start(stack, lifeline, "api", "cyan", "serve")
            await self._or_failure(self._await_api())
            await self._start(stack, lifeline, "worker", "magenta", "worker")
            self._welcome(cluster_url, database.psql())
            stack.callback(_say, "stopping (Ctrl-C again to kill)")
            await self._or_failure(asyncio.Event().wait())

    def kill(self) -> None:
        """End all children at once; the database is told by its own watchdog."""
        for child in self._children:
            child.kill()

    async def _start_cluster(self, stack: AsyncExitStack, lifeline: Lifeline) -> str:
        port = free_port("127.0.0.1", _CLUSTER_PORT)
        self._environment |= {"KSERVE_ENABLED": "true", "KUBERNETES_KUBECONFIG": str(self._folder.kubeconfig)}
        for elsewhere in ("KUBERNETES_IN_CLUSTER", "KUBERNETES_CONTEXT"):
            self._environment.pop(elsewhere, None)
        cluster = await self._start(
            stack,
            lifeline,
            "cluster",
            "yellow",
            "simulated-cluster",
            f"--port={port}",
            f"--data={self._folder.simulated_cluster}",
            f"--kubeconfig={self._folder.kubeconfig}",
            f"--ready-after={_READY_AFTER}",
        )
        await self._or_failure(cluster.listening.wait())
        return f"http://127.0.0.1:{port}"

    async def _start(self, stack: AsyncExitStack, lifeline: Lifeline, name: str, colour: str, *arguments: str) -> Child:
        child = Child(self._command(name, colour, *arguments), lifeline)
        self._children.append(child)
        stack.push_async_callback(child.stop)
        self._keepers.add(child.start())
        return child

    def _command(self, name: str, colour: str, *arguments: str) -> ChildCommand:
        return ChildCommand(name=name, colour=colour, arguments=arguments, environment=self._environment)

    async def _await_api(self) -> None:
        deadline = asyncio.get_running_loop().time() + _START_PATIENCE
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
            while not await _is_healthy(session, self._url):
                if asyncio.get_running_loop().time() > deadline:
                    raise CommandError(f"the API did not answer at {self._url} within {_START_PATIENCE:g} s")
                await asyncio.sleep(0.1)

    async def _or_failure(self, work: Coroutine[Any, Any, _T]) -> _T:  # Any: nothing is sent to it
        """Do `work` unless something that was started gives up first; then raise why."""
        task = asyncio.create_task(work)
        try:
            await asyncio.wait({task, *self._keepers}, return_when=asyncio.FIRST_COMPLETED)
            for keeper in self._keepers:
                if keeper.done():
                    keeper.result()
            return await task
        finally:
            task.cancel()

    def _leave_environment(self) -> None:
        ours = ("DATABASE_", "KSERVE_", "KUBERNETES_", "SERVER_", KEYS_FILE_VARIABLE)
        chosen = {name: value for name, value in sorted(self._environment.items()) if name.startswith(ours)}
        write_dev_environment(self._folder.path, {**chosen, "MODELTRAIL_URL": self._url})

    def _welcome(self, cluster_url: str | None, psql: str) -> None:
        api = f"{self._url}/api/v1/model-registry"
        lines = [
            ("API", api),
            ("Cluster", f"{cluster_url} (simulated)" if cluster_url else "as KUBERNETES_ variables say"),
            ("Data", str(self._folder.path)),
            ("SQL", psql),
            ("Try", f"{_program()} demo{_data_option(self._folder.path)}"),
            ("", f"curl -H 'Project-ID: 11111111-1111-4111-8111-111111111111' {api}/models"),
            ("Stop", "Ctrl-C"),
        ]
        click.echo()
        click.secho("modeltrail is running.", bold=True)
        for name, text in lines:
            click.echo(f"  {click.style(f'{name:<8}', dim=True)} {text}")
        click.echo()


def _program() -> str:
    """How this program is called in another terminal in the same folder."""
    beside = Path(sys.executable).with_name("modeltrail")
    if not beside.exists():
        return f"{shlex.quote(sys.executable)} -m modeltrail"
    found = shutil.which("modeltrail")
    return "modeltrail" if found and Path(found).samefile(beside) else shlex.quote(_from_here(beside))


def _data_option(folder: Path) -> str:
    return "" if folder == DEFAULT_DATA_FOLDER.absolute() else f" --data {shlex.quote(_from_here(folder))}"


def _from_here(path: Path) -> str:
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _say(text: str) -> None:
    say("dev", "white", text, bold=True)


async def _is_healthy(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(f"{url}/healthz") as answer:
            return answer.status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False
