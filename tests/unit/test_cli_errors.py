"""Whatever goes wrong, the person reads one sentence that says what to do, and never a traceback."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import click
import pytest

from modeltrail.cli import main as cli_main
from modeltrail.cli.children import Child, ChildCommand, Lifeline, run_to_end
from modeltrail.cli.dev_environment import write_dev_environment
from modeltrail.cli.dev_folder import DevFolder
from modeltrail.cli.dev_session import DevSession
from modeltrail.cli.errors import CommandError
from modeltrail.cli.main import run
from support.certificate import self_signed

STREAM = "11111111-1111-4111-8111-111111111111"
BEYOND = "9223372036854775808"  # what PostgreSQL's bigint holds
DATABASE_OF_NOBODY = {"DATABASE_HOST": "127.0.0.1", "DATABASE_PORT": "1"}


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty folder to work in, and no settings of whoever runs the tests."""
    for name in list(os.environ):
        if name.startswith(("DATABASE_", "SERVER_", "KSERVE_", "KUBERNETES_", "LOGGER_", "MODELTRAIL_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    # What runs the tests keeps its own.
    monkeypatch.setattr("modeltrail.logs.configure_logs", lambda _settings: None)


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Exit code and message of a command that must fail with one line on standard error."""
    code = run(arguments)
    captured = capsys.readouterr()
    assert captured.err.startswith("modeltrail: ")
    assert captured.err.count("\n") == 1
    assert captured.out == ""
    return code, captured.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--nope"], "No such option '--nope' (see: modeltrail --help)"),
        (["nope"], "No such command 'nope' (see: modeltrail --help)"),
        (["serve", "--nope"], "No such option '--nope' (see: modeltrail serve --help)"),
        (["dev", "--port", "http"], "http is not a whole number from 1 to 65535 (see: modeltrail dev --help)"),
        (["dev", "--port", "0"], "0 is not a whole number from 1 to 65535"),
        (["events", "--limit", "0"], "0 is not a whole number from 1 to 9223372036854775807"),
        (["events", "--after", BEYOND], f"{BEYOND} is not a whole number from 0 to 9223372036854775807"),
        (["events", "list", "--limit", BEYOND], f"{BEYOND} is not a whole number from 1 to 9223372036854775807"),
        (["events", "list", "--after", "-1"], "-1 is not a whole number from 0 to"),
        (["events", "show", BEYOND], f"{BEYOND} is not a whole number from 1 to 9223372036854775807"),
        (["events", "state", STREAM, "--at", BEYOND], f"{BEYOND} is not a whole number from 0 to 9223372036854775807"),
        (["events", "diff", STREAM, "--from", "1", "--to", BEYOND], f"{BEYOND} is not a whole number from 0 to"),
        (["events", "--stream", "iris"], "'iris' is not a valid UUID"),
        (["events", "--stream"], "Option '--stream' requires an argument (see: modeltrail events --help)"),
        (["events", "verify", "--public-key"], "requires an argument (see: modeltrail events verify --help)"),
        (["events", "--limit", "3", "list"], "no effect; put --limit after list (see: modeltrail events --help)"),
        (["events", "--json", "list"], "put --json after list"),
        (["events", "-f", "show", "3"], "--follow stands before show, where it has no effect; show has no --follow"),
        (["events", "--data", __file__], f"--data is '{__file__}', which is not a folder; name the folder that"),
        (["events", "--data", ""], "--data is empty; give a path (see: modeltrail events --help)"),
        (["dev", "--data", ""], "--data is empty; give a path (see: modeltrail dev --help)"),
        (["simulated-cluster", "--kubeconfig", ""], "--kubeconfig is empty; give a path"),
        (["events", "verify", "--export", ""], "--export is empty; give a path (see: modeltrail events verify --help)"),
        (["events", "verify", "--seal", ""], "--seal is empty; give a path"),
        (["events", "seal", "--key", ""], "--key is empty; give a path"),
        (["events", "new-seal-key", ""], "KEY_FILE is empty; give a path"),
        (["events", "import", ""], "FILE is empty; give a path"),
        (["events", "--data", "elsewhere"], "--data is 'elsewhere', where `modeltrail dev` has never run"),
        (["simulated-cluster", "--port", "70000"], "70000 is not a whole number from 0 to 65535"),
        (["simulated-cluster", "--port", "-1"], "-1 is not a whole number from 0 to 65535"),
        (["simulated-cluster", "--ready-after", "-1"], "-1 is not a number of seconds, such as 1.5"),
        (["simulated-cluster", "--slow-after", "nan"], "nan is not a number of seconds, such as 1.5"),
        (
            ["simulated-cluster", "--host", "foo.invalid"],
            "--host is 'foo.invalid', which is not a host name or address",
        ),
        (["simulated-cluster", "--data", "a/b/c"], "--data is 'a/b/c', and there is no folder 'a/b'; make it"),
        (["simulated-cluster", "--kubeconfig", "a/c"], "--kubeconfig is 'a/c', and there is no folder 'a'; make it"),
        (["demo", "--url", "localhost"], "--url is 'localhost'; it must be like http://127.0.0.1:8080"),
    ],
)
def test_wrong_use_is_told_in_a_sentence_with_exit_code_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    code, error = refusal(capsys, *arguments)

    assert message in error
    assert code == 2


@pytest.mark.parametrize("command", ["projections", "secrets"])
def test_a_group_without_a_command_shows_its_help_as_it_is(capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert run([command, "--help"]) == 0
    help_text = capsys.readouterr().out

    assert run([command]) == 2

    assert capsys.readouterr() == ("", help_text)


@pytest.mark.parametrize("command", ["serve", "worker", "migrate", "events", "dev", "demo"])
def test_a_bad_variable_is_named_by_every_command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("SERVER_PORT", "http")

    assert refusal(capsys, command) == (
        2,
        "modeltrail: SERVER_PORT is 'http'; it must be a whole number from 1 to 65535\n",
    )


def test_serve_names_a_taken_port_and_how_to_choose_another(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, taken_port: int
) -> None:
    monkeypatch.setenv("SERVER_HOST", "127.0.0.1")
    monkeypatch.setenv("SERVER_PORT", str(taken_port))

    code, error = refusal(capsys, "serve")

    assert code == 1
    assert error == (
        f"modeltrail: port {taken_port} on 127.0.0.1 is in use by another program; "
        "stop it, or set SERVER_PORT to another one\n"
    )


def test_dev_names_a_taken_port_before_it_starts_anything(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, taken_port: int
) -> None:
    code, error = refusal(capsys, "dev", "--data", "data", "--port", str(taken_port))

    assert code == 1
    assert f"port {taken_port} on 127.0.0.1 is in use" in error
    assert "--port" in error
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["dev.lock"]


def test_serve_refuses_a_host_that_is_not_here(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVER_HOST", "192.0.2.1")  # of the block kept for documentation

    code, error = refusal(capsys, "serve")

    assert code == 2
    assert "SERVER_HOST is '192.0.2.1', which is not an address of this machine" in error


def test_dev_says_who_holds_the_data_folder(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    other = DevFolder.take(tmp_path / "data", "API on port 8080")
    try:
        code, error = refusal(capsys, "dev", "--data", "data", "--port", "8081")
    finally:
        other.release()

    assert code == 1
    assert f"in use by another `modeltrail dev` (process {os.getpid()}, API on port 8080)" in error


def test_dev_says_that_the_data_folder_cannot_be_used(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    code, error = refusal(capsys, "dev", "--data", "file/data")

    assert code == 1
    assert f"the data folder {tmp_path}/file/data cannot be used (Not a directory)" in error
    assert "--data" in error


@pytest.mark.parametrize("command", ["worker", "migrate", "events"])
def test_an_unreachable_database_is_named_with_its_variables(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    for name, value in DATABASE_OF_NOBODY.items():
        monkeypatch.setenv(name, value)

    code, error = refusal(capsys, command)

    assert code == 1
    assert error == (
        "modeltrail: PostgreSQL at 127.0.0.1:1 cannot be reached (Connection refused); "
        "start it, or set DATABASE_HOST and DATABASE_PORT\n"
    )


@pytest.mark.parametrize("variable", ["PGSSLROOTCERT", "PGSSLCERT"])
def test_a_certificate_that_is_not_there_is_named_and_not_the_database(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str
) -> None:
    for name, value in {**DATABASE_OF_NOBODY, "DATABASE_SSLMODE": "verify-full"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PGSSLROOTCERT", str(self_signed(tmp_path)[1]))
    monkeypatch.setenv(variable, str(tmp_path / "nowhere.crt"))

    code, error = refusal(capsys, "migrate")

    assert code == 1
    assert error.startswith("modeltrail: PostgreSQL at 127.0.0.1:1 was not asked: ")
    assert f"{variable}={tmp_path / 'nowhere.crt'}" in error
    assert error.endswith(" cannot be read (No such file or directory)\n")


@pytest.mark.parametrize(("folder", "option"), [(".modeltrail", ""), ("my data", " --data 'my data'")])
@pytest.mark.parametrize("command", [["events"], ["projections", "list"], ["secrets", "status"]])
def test_the_database_of_a_dev_that_was_stopped_is_started_by_dev(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, command: list[str], folder: str, option: str
) -> None:
    (tmp_path / folder).mkdir()
    write_dev_environment(tmp_path / folder, {"DATABASE_HOST": str(tmp_path / "socket"), "DATABASE_PORT": "5432"})

    code, error = refusal(capsys, *command, *(["--data", folder] if option else []))

    assert (code, "DATABASE_HOST" in error) == (1, False)
    assert error.endswith(f" cannot be reached (No such file or directory); start it with: modeltrail dev{option}\n")


def test_demo_says_that_no_api_answers(capsys: pytest.CaptureFixture[str], taken_port: int) -> None:
    code, error = refusal(capsys, "demo", "--url", "http://127.0.0.1:1")

    assert code == 1
    assert "the API at http://127.0.0.1:1 does not answer (Connection refused); start it with `modeltrail dev`" in error


@pytest.fixture
def broken_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`modeltrail serve` with a bug, and a folder for temporary files."""

    @click.command
    def serve() -> None:
        raise LookupError("no\nsuch thing")

    module = SimpleNamespace(__name__="broken", serve=serve)
    monkeypatch.setattr(cli_main, "import_module", lambda _name: module)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


@pytest.mark.usefixtures("broken_command")
def test_a_bug_is_told_in_a_sentence_and_its_traceback_kept_in_a_file(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, error = refusal(capsys, "serve")

    (file,) = tmp_path.glob("modeltrail-*.traceback.txt")
    assert code == 1
    assert error == (
        f"modeltrail: something unexpected happened: LookupError: no such thing; "
        f"the traceback is in {file} (--debug shows it here)\n"
    )
    assert "Traceback" in file.read_text()


@pytest.mark.usefixtures("broken_command")
def test_debug_shows_the_traceback(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELTRAIL_DEBUG", "")  # so that it is as before after the test

    assert run(["--debug", "serve"]) == 1

    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_the_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 0
    help_text = capsys.readouterr().out
    assert run(["--help"]) == 0

    assert capsys.readouterr().out == help_text
    for command in ("dev", "demo", "events", "serve", "worker", "migrate", "simulated-cluster"):
        assert f"  {command} " in help_text
        assert run([command, "--help"]) == 0
        assert f"modeltrail {command} [OPTIONS]" in capsys.readouterr().out


def test_the_help_loads_nothing_heavy() -> None:
    """Loading them would take it from 0.2 s to a second."""
    code = (
        "import sys; from modeltrail.cli.main import run; run(['--help']);"
        "sys.exit(' '.join({'asyncio', 'asyncpg', 'aiohttp', 'structlog', 'litestar'} & sys.modules.keys()) or None)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (answer.returncode, answer.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="macOS has none")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_an_output_that_is_full_is_told_in_a_sentence(unbuffered: str) -> None:
    with Path("/dev/full").open("wb") as full:
        answer = subprocess.run(
            [sys.executable, "-m", "modeltrail", "secrets", "status", "--help"],
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
            stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip

    assert answer.stderr == (
        "modeltrail: standard output cannot be written (No space left on device); send it elsewhere\n"
    )
    assert answer.returncode == 1


def test_ctrl_c_while_the_command_is_still_loaded_ends_it_without_a_word() -> None:
    interrupted = (
        "import sys\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'modeltrail.cli.main':\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupting())\n"
        "from modeltrail.__main__ import main\n"
        "main()\n"
    )

    ended = subprocess.run([sys.executable, "-c", interrupted], capture_output=True, check=False)

    assert (ended.returncode, ended.stderr) == (130, b"")


def test_an_output_that_nobody_reads_is_no_fault_to_speak_of() -> None:
    reading_end, writing_end = os.pipe()
    os.close(reading_end)
    with os.fdopen(writing_end, "wb") as closed:
        answer = subprocess.run(
            [sys.executable, "-m", "modeltrail", "--help"],
            stdout=closed,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert (answer.returncode, answer.stderr) == (1, "")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_nothing_else_takes_the_place_of_a_standard_stream_that_is_closed(closed: str) -> None:
    code = (
        "import os, sys\n"
        "from modeltrail.__main__ import main\n"
        "sys.argv[1:] = ['--version']\n"
        "try: main()\n"
        "except SystemExit: sys.exit(os.open(os.devnull, os.O_RDONLY) < 3)"
    )
    command = ["sh", "-c", f'exec "$0" "$@" {closed}', sys.executable, "-c", code]

    assert subprocess.run(command, check=False).returncode == 0


async def test_a_child_with_wrong_settings_is_not_started_again(capsys: pytest.CaptureFixture[str]) -> None:
    lifeline = Lifeline()
    environment = {**os.environ, "SERVER_PORT": "http"}
    child = Child(ChildCommand(name="api", colour="cyan", arguments=["serve"], environment=environment), lifeline)

    with pytest.raises(CommandError) as given_up:
        await child.start()
    await child.stop()
    lifeline.close()

    assert str(given_up.value) == (
        "api cannot run with these settings: SERVER_PORT is 'http'; it must be a whole number from 1 to 65535"
    )
    out = capsys.readouterr().out
    assert "started again" not in out
    assert "SERVER_PORT" not in out  # it is told once


async def test_why_a_command_failed_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    lifeline = Lifeline()
    environment = {**os.environ, "SERVER_PORT": "http"}
    command = ChildCommand(name="migrate", colour="cyan", arguments=["migrate"], environment=environment)

    with pytest.raises(CommandError, match="`modeltrail migrate` failed: SERVER_PORT is 'http'"):
        await run_to_end(command, lifeline)
    lifeline.close()

    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("value", "is_told"), [("false", True), ("", False), ("true", False)])
def test_dev_says_that_it_simulates_a_cluster_although_none_is_wanted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, value: str, is_told: bool
) -> None:
    monkeypatch.setenv("KSERVE_ENABLED", value)

    async def run_nothing(_session: DevSession) -> None:
        pass

    monkeypatch.setattr(DevSession, "run", run_nothing)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    assert run(["dev", "--data", "data", "--port", str(port)]) == 0

    told = "KSERVE_ENABLED is false, and the simulated cluster runs all the same" in capsys.readouterr().out
    assert told == is_told


async def test_a_child_that_cannot_start_is_given_up_with_its_last_words(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modeltrail.cli.children._FIRST_DELAY", 0.001)
    lifeline = Lifeline()
    environment = {**os.environ, "DATABASE_HOST": "/nowhere"}
    child = Child(ChildCommand(name="api", colour="cyan", arguments=["migrate"], environment=environment), lifeline)

    with pytest.raises(CommandError) as given_up:
        await child.start()
    await child.stop()
    lifeline.close()

    assert str(given_up.value).startswith(
        "api ended with exit code 1, 5 times in a row, so everything is stopped; its last words: PostgreSQL at /nowhere"
    )
    assert "started again" in capsys.readouterr().out
