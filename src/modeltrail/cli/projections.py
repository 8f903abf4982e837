"""`modeltrail projections`: shows the read tables, checks them against the log, and builds them anew."""

import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click
import msgspec

from modeltrail.cli.core import load_core
from modeltrail.cli.database import check_schema
from modeltrail.cli.dev_environment import with_dev_environment
from modeltrail.cli.errors import FAILED, MISUSED, CommandError
from modeltrail.cli.event_table import print_table, printable
from modeltrail.cli.groups import Group
from modeltrail.cli.options import data_option, json_option
from modeltrail.cli.progress import progress
from modeltrail.cli.question import is_wanted
from modeltrail.cli.rebuilding import run_rebuilding
from modeltrail.cli.running import load_settings
from modeltrail.settings import Settings

if TYPE_CHECKING:
    from modeltrail.projections.comparison import Difference

__all__ = ["projections"]

T = TypeVar("T")
SHOWN = 100  # as in projections.comparison, which would bring asyncpg along
RESUME = "modeltrail projections rebuild --resume"


@click.group(cls=Group)
def projections() -> None:
    """Show the read tables, check them against the log, and build them anew while the service runs."""


names_argument = click.argument("names", nargs=-1, metavar="[NAME]...")
all_option = click.option("--all", "everything", is_flag=True, help="All of them.")


@projections.command("list")
@data_option
@json_option
def list_(*, data: Path | None, as_json: bool) -> None:
    """Show each projection: its version, how far it is behind the log, its rows, and when it was last built anew."""
    from modeltrail.projections.projection_status import list_statuses  # noqa: PLC0415 it brings asyncpg along

    settings = load_settings(with_dev_environment(data))

    async def run() -> list[object]:
        async with load_core().open_auditor(settings) as auditor:
            return [*await list_statuses(auditor.connection)]

    found = _run(settings, run)
    if as_json:
        click.echo(msgspec.json.encode(found))
        return
    head = ("NAME", "VERSION", "MODE", "POSITION", "LAG", "ROWS", "REBUILT")
    print_table([head, *(_line(msgspec.to_builtins(each)) for each in found)])


def _line(each: dict[str, object]) -> tuple[str, ...]:
    version = str(each["version"])
    if each["version"] != each["code_version"]:
        version += f" (code: {each['code_version']})"
    rebuilt = "never" if each["rebuilt_at"] is None else f"{str(each['rebuilt_at'])[:19]} at {each['rebuilt_position']}"
    lag = f"{each['lag_events']} events, {each['lag_seconds']:.1f} s"
    if each["failure"] is not None:
        lag += f", stopped before {each['failed_position']}: {printable(str(each['failure']))}"
    return (str(each["name"]), version, str(each["mode"]), str(each["position"]), lag, str(each["rows"]), rebuilt)


@projections.command
@names_argument
@all_option
@data_option
@json_option
def verify(*, names: tuple[str, ...], everything: bool, data: Path | None, as_json: bool) -> int:
    """Fold the log anew and compare it with the read tables, all or those named, row by row. Changes nothing.

    Exit code 1 when they differ: `modeltrail projections rebuild` mends that. Reads and writes go on.
    """
    if names:
        _require_names(names, everything=everything)
    settings = load_settings(with_dev_environment(data))
    with progress("verifying") as tell:
        found = _run(settings, lambda: load_core().verify_projections(settings, names, tell))
    if as_json:
        click.echo(msgspec.json.encode(found))
    else:
        _print_differences(found.first)
        click.echo(f"{found.rows} rows at position {found.position}, {found.differences} differences")
    return FAILED if found.differences else 0


@projections.command
@names_argument
@all_option
@click.option("--resume", is_flag=True, help="Go on with a rebuild that was stopped.")
@click.option("--verify", "compare", is_flag=True, help="Show first what would change, and swap only if told to.")
@click.option("--swap", is_flag=True, help="With --verify: swap without asking.")
@data_option
def rebuild(
    *, names: tuple[str, ...], everything: bool, resume: bool, compare: bool, swap: bool, data: Path | None
) -> int:
    """Build read tables anew from the log, and swap them in, while reads and writes go on.

    It can be stopped at any time, and goes on with --resume, which takes the names from what was stopped.
    """
    if names or everything or not resume:
        _require_names(names, everything=everything)
    if swap and not compare:
        raise click.UsageError("--swap goes with --verify: without that, the tables are swapped anyway")
    settings = load_settings(with_dev_environment(data))
    go_on = f"{RESUME} --verify" if compare else RESUME  # without it, the tables would be swapped unseen
    if resume:
        names = _stopped(settings, names, everything=everything)
        if not names:
            click.echo("there is nothing to go on with: no rebuild was stopped")
            return 0
    confirm = partial(_may_swap, without_asking=swap, go_on=go_on) if compare else None
    core = load_core()  # before the clock starts: it says how fast tables are built, not how fast Python loads
    began = time.monotonic()
    with progress("rebuilding") as show:
        reached = _Reached(show, go_on, is_anywhere=resume)
        try:
            done = _run(
                settings,
                lambda: core.rebuild_projections(settings, names, reached.tell, confirm, resume=resume),
                reached.remedy,
            )
        except (KeyboardInterrupt, click.Abort):
            click.echo(f"modeltrail: stopped, and nothing was swapped; {reached.remedy()}", err=True)
            raise
    if done is None:
        click.echo(f"nothing was swapped; go on with: {go_on}")
        return 0
    seconds = time.monotonic() - began
    click.echo(
        f"rebuilt {', '.join(done.names)} as of position {done.position}: {done.events} events in {seconds:.1f} s"
        f" ({done.events / seconds:,.0f}/s)"
    )
    return 0


class _Reached:
    """How far a rebuild has come: there is something to go on with as soon as it says so for the first time."""

    def __init__(self, show: Callable[[int, int], None], go_on: str, *, is_anywhere: bool) -> None:
        self._show = show
        self._go_on = go_on
        self._is_anywhere = is_anywhere

    def tell(self, done: int, total: int) -> None:
        self._is_anywhere = True
        self._show(done, total)

    def remedy(self) -> str:
        """What to do when it was stopped."""
        return f"go on with: {self._go_on}" if self._is_anywhere else "run it again"


def _require_names(names: tuple[str, ...], *, everything: bool) -> None:
    if bool(names) == everything:
        raise click.UsageError("name projections, or take --all (modeltrail projections list shows them)")


def _may_swap(found: "Sequence[Difference]", *, without_asking: bool, go_on: str) -> bool:
    """Whether the rebuilt tables are to take the place of the read tables, whose differences are shown first."""
    _print_differences(found)
    click.echo(f"{'at least ' if len(found) >= SHOWN else ''}{len(found)} differences")
    return without_asking or is_wanted(
        "swap the rebuilt tables in?",
        without_answer=f"nobody answered, and nothing was swapped; answer y, or use --swap: {go_on}",
    )


def _stopped(settings: Settings, names: tuple[str, ...], *, everything: bool) -> tuple[str, ...]:
    """What the rebuild that was stopped is of; empty when there is none. Raises CommandError for other `names`."""
    stopped = _run(settings, lambda: load_core().stopped_rebuild(settings))
    if stopped and (names or everything):
        _require_stopped(names, stopped)
    return tuple(stopped)


def _require_stopped(names: tuple[str, ...], stopped: Sequence[str]) -> None:
    """Raise CommandError unless `names`, of which none are all, are those of the rebuild that was stopped."""
    from modeltrail.projections.catalogue import ALL  # noqa: PLC0415 it brings asyncpg along

    if set(names or [projection.name for projection in ALL]) != set(stopped):
        raise CommandError(
            f"the rebuild that was stopped is of {', '.join(stopped)}, and not of {', '.join(names) or 'all'}; leave"
            " the names out to go on with it, or leave out --resume to begin anew",
            exit_code=MISUSED,
        )


def _run(settings: Settings, work: Callable[[], Awaitable[T]], remedy: Callable[[], str] | None = None) -> T:
    async def checked() -> T:
        await check_schema(settings.database)
        return await work()

    return run_rebuilding(checked(), settings.database, remedy=remedy)


def _print_differences(found: "Sequence[Difference]") -> None:
    for each in found:
        where = f"{each.table}.{each.column}" if each.column else each.table
        click.echo(printable(f"{where} of {each.id}: found {each.found}, expected {each.expected}"))
