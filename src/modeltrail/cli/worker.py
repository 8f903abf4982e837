"""`modeltrail worker`: runs the deploy worker, and looks after the tasks that it has set aside."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import click
import msgspec

from modeltrail.cli.core import load_core
from modeltrail.cli.database import check_schema, explained
from modeltrail.cli.dev_environment import with_dev_environment
from modeltrail.cli.errors import CommandError
from modeltrail.cli.event_table import print_table, printable
from modeltrail.cli.groups import Group
from modeltrail.cli.options import data_option, json_option
from modeltrail.cli.running import load_settings, run_until_stopped

if TYPE_CHECKING:
    from modeltrail.commands.parked_tasks import Wish
    from modeltrail.domain.ids import DeploymentId

__all__ = ["worker"]

_HEAD = ("TASK", "WANTED", "NAME", "NAMESPACE", "SINCE", "TRIES", "CAUSE")
_LONGEST_REASON = 1_000  # characters

task_argument = click.argument("task", type=click.UUID, metavar="ID")
operator_option = click.option(
    "--by", "operator", required=True, envvar="MODELTRAIL_OPERATOR", metavar="ADDRESS",
    help="Who decides this, for the log. [env: MODELTRAIL_OPERATOR]",
)  # fmt: skip


@click.group(cls=Group, invoke_without_command=True)
@click.pass_context
def worker(context: click.Context) -> None:
    """Run the deploy worker and the projections that follow the log.

    It brings to the cluster what the event log asks for, and reports back; with KSERVE_ENABLED=false it only keeps the
    projections up. Any number may run at once. A task at which it fails ten times in a row through a fault of its own
    is parked; the commands below are for those.
    """
    if context.invoked_subcommand is not None:
        return
    settings = load_settings()

    async def service() -> None:
        await check_schema(settings.database)
        await load_core().run_worker(settings)

    with explained(settings.database):
        run_until_stopped(service())


@worker.command
@data_option
@json_option
def parked(*, data: Path | None, as_json: bool) -> None:
    """Show the tasks that were set aside, and at what the worker failed. Others are not held up by them."""
    settings = load_settings(with_dev_environment(data))
    with explained(settings.database):
        asyncio.run(check_schema(settings.database))
        found = [msgspec.to_builtins(each) for each in asyncio.run(load_core().parked_tasks(settings))]
    if as_json:
        click.echo(json.dumps(found))
        return
    if not found:
        click.echo("nothing is parked")
        return
    rows = [
        (each["id"], each["wanted"], each["name"], each["namespace"], each["since"][:19], each["tries"], each["cause"])
        for each in found
    ]
    print_table([_HEAD, *(tuple(printable(str(value)) for value in row) for row in rows)])


@worker.command
@task_argument
@operator_option
@click.option("--reason", default="", help="Why, for the log.")
@data_option
def retry(*, task: UUID, operator: str, reason: str, data: Path | None) -> None:
    """Let the worker try a parked task again. The log keeps who decided that, when and why."""

    def wish(parked: "DeploymentId") -> "Wish":
        from modeltrail.domain.parked_task_messages import RetryTask  # noqa: PLC0415 it brings the domain along

        return RetryTask(task_id=parked, reason=reason)

    _decide(data, task, operator, reason, wish)
    click.echo(f"task {task} is tried again")


@worker.command
@task_argument
@operator_option
@click.option("--reason", required=True, help="Why, for the log and for whoever asked for it.")
@data_option
def dismiss(*, task: UUID, operator: str, reason: str, data: Path | None) -> None:
    """Give a parked task up. The log keeps who decided that, when and why.

    A dismissed deployment has failed, with the reason. Dismissing an undeployment states that nothing of it is left in
    the cluster.
    """

    def wish(parked: "DeploymentId") -> "Wish":
        from modeltrail.domain.parked_task_messages import DismissTask  # noqa: PLC0415 the same

        return DismissTask(task_id=parked, reason=reason)

    if not reason.strip():
        raise click.UsageError("--reason must say something")
    _decide(data, task, operator, reason, wish)
    click.echo(f"task {task} is dismissed")


def _decide(data: Path | None, task: UUID, operator: str, reason: str, wish: "Callable[[DeploymentId], Wish]") -> None:
    from modeltrail.domain.errors import DomainError  # noqa: PLC0415 the same

    if len(reason) > _LONGEST_REASON:
        raise click.UsageError(f"--reason must be at most {_LONGEST_REASON} characters")
    if not operator.strip() or len(operator) > 255:
        raise click.UsageError("--by must be an address of at most 255 characters")
    settings = load_settings(with_dev_environment(data))

    async def run() -> None:
        await check_schema(settings.database)
        await load_core().decide_on_parked(settings, task, operator.strip(), wish)

    with explained(settings.database):
        try:
            asyncio.run(run())
        except DomainError as refusal:
            raise CommandError(f"{refusal.message} (modeltrail worker parked shows those that are)") from refusal
