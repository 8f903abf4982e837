"""The processes that `modeltrail dev` starts: their output is shown, and one that dies is started again."""

import asyncio
import os
import shlex
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import click

from modeltrail.cli.errors import CommandError
from modeltrail.cli.lifeline import LIFELINE_VARIABLE

__all__ = ["Child", "ChildCommand", "Lifeline", "run_to_end", "say"]

_STOP_PATIENCE = 5.0  # seconds between asking a child to stop and killing it
_SETTLED_AFTER = 10.0  # seconds of life after which a death is no sign of a child that cannot start
_QUICK_DEATHS_ALLOWED = 5
_WRONG_SETTINGS = 2  # the exit code that no new try will change
_FIRST_DELAY = 0.25  # seconds; doubles with each quick death
_SENTENCE = "modeltrail: "  # begins that in which a command says why it cannot go on
_NAME_WIDTH = 8


def say(name: str, colour: str, text: str, *, bold: bool = False) -> None:
    """Print one line with the short name of who says it in front; when nobody reads any more, ask to stop."""
    try:
        click.echo(
            f"{click.style(f'{name:>{_NAME_WIDTH}} |', fg=colour)} {click.style(text, bold=True) if bold else text}"
        )
    except BrokenPipeError:  # `modeltrail dev | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        signal.raise_signal(signal.SIGTERM)


class _Words:
    """What a process says, shown line by line; but why it cannot go on only when `show_rest` asks for it.

    Whoever ends everything for that reason quotes it, and a person need not read it twice.
    """

    def __init__(self, name: str, colour: str) -> None:
        self._name = name
        self._colour = colour
        self._kept: str | None = None
        self.last = ""
        """The last line, without that it comes from us."""

    def add(self, line: str) -> None:
        self.show_rest()
        self.last = line.removeprefix(_SENTENCE)
        if line.startswith(_SENTENCE):
            self._kept = line
        else:
            say(self._name, self._colour, line)

    def show_rest(self) -> None:
        if self._kept is not None:
            say(self._name, self._colour, self._kept)
            self._kept = None


class Lifeline:
    """The pipe that tells children that this process is gone; see `modeltrail.cli.lifeline`."""

    def __init__(self) -> None:
        # Neither end is inherited unless it is passed on by name, so nobody else holds the writing end.
        self.reading_end, self._writing_end = os.pipe()

    def close(self) -> None:
        os.close(self._writing_end)
        os.close(self.reading_end)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildCommand:
    """A `modeltrail` command to keep running."""

    name: str
    colour: str
    arguments: Sequence[str]
    environment: Mapping[str, str]


class Child:
    """A command that is kept running until it is stopped."""

    def __init__(self, command: ChildCommand, lifeline: Lifeline) -> None:
        self._command = command
        self._lifeline = lifeline
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = asyncio.Event()
        self._words = _Words(command.name, command.colour)
        self._keeper: asyncio.Task[None] | None = None
        self.listening = asyncio.Event()
        """Set once it has printed a line that tells where it listens."""

    def start(self) -> asyncio.Task[None]:
        """Start it; the task ends when it was stopped, or with a CommandError when it dies again and again."""
        self._keeper = asyncio.create_task(self._keep(), name=self._command.name)
        return self._keeper

    async def stop(self) -> None:
        """Ask it to stop, and make it if it does not."""
        self._stopping.set()
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            try:
                await asyncio.wait_for(self._process.wait(), _STOP_PATIENCE)
            except TimeoutError:
                self._say(f"does not stop within {_STOP_PATIENCE:g} s and is killed")
                self.kill()
        if self._keeper is not None:
            await asyncio.wait({self._keeper})

    def kill(self) -> None:
        """End it and all that it started, at once."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def _keep(self) -> None:
        loop = asyncio.get_running_loop()
        quick_deaths = 0
        while not self._stopping.is_set():
            began = loop.time()
            ending = await self._live_once()
            if self._stopping.is_set():
                self._words.show_rest()
                return
            if self._process is not None and self._process.returncode == _WRONG_SETTINGS:
                raise CommandError(f"{self._command.name} cannot run with these settings: {self._last_said()}")
            quick_deaths = quick_deaths + 1 if loop.time() - began < _SETTLED_AFTER else 0
            if quick_deaths >= _QUICK_DEATHS_ALLOWED:
                raise CommandError(
                    f"{self._command.name} {ending}, {quick_deaths} times in a row, so everything is stopped; "
                    f"its last words: {self._last_said()}"
                )
            self._words.show_rest()
            delay = _FIRST_DELAY * 2**quick_deaths
            self._say(f"{ending} unexpectedly; it is started again in {delay:g} s")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), delay)

    async def _live_once(self) -> str:
        """Run one process to its end and return how it ended."""
        self._process = await _spawn(self._command, self._lifeline)
        if self._stopping.is_set():  # while it was being made
            self._process.terminate()
        self._say(f"started (process {self._process.pid})")
        output = asyncio.create_task(_show(self._process, self._say_line))
        try:
            code = await self._process.wait()
            # What it started itself may hold its port, and the other end of its output.
            self.kill()
            await output
        finally:
            output.cancel()
        return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"

    def _last_said(self) -> str:
        return self._words.last or "nothing"

    def _say_line(self, line: str) -> None:
        self._words.add(line)
        if " listening on " in line:
            self.listening.set()

    def _say(self, text: str) -> None:
        say("dev", "white", f"{self._command.name} {text}", bold=True)


async def run_to_end(command: ChildCommand, lifeline: Lifeline) -> None:
    """Run a command that ends by itself, showing its output. Raises CommandError when it fails."""
    words = _Words(command.name, command.colour)
    process = await _spawn(command, lifeline)
    try:
        await _show(process, words.add)
        code = await process.wait()
    except asyncio.CancelledError:
        process.terminate()
        await process.wait()
        raise
    if code != 0:
        reason = words.last or f"exit code {code}"
        raise CommandError(f"`modeltrail {shlex.join(command.arguments)}` failed: {reason}")
    words.show_rest()


async def _spawn(command: ChildCommand, lifeline: Lifeline) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "modeltrail",
        *command.arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**command.environment, LIFELINE_VARIABLE: str(lifeline.reading_end), "PYTHONUNBUFFERED": "1"},
        pass_fds=(lifeline.reading_end,),
        # A session of its own: Ctrl-C is for `dev`, and its whole group can be killed.
        start_new_session=True,
    )


async def _show(process: asyncio.subprocess.Process, show_line: Callable[[str], None]) -> None:
    assert process.stdout is not None  # noqa: S101 _spawn asks for it
    rest = b""
    # Not readline(), which refuses long lines.
    while chunk := await process.stdout.read(65536):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            show_line(line.decode(errors="replace").rstrip())
    if rest:
        show_line(rest.decode(errors="replace").rstrip())
