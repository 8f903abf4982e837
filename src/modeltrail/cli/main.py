"""The `modeltrail` command: finds the subcommand, and turns whatever goes wrong into one sentence."""

import os
import sys
from collections.abc import Sequence
from importlib import import_module

import click

from modeltrail.cli.errors import DEBUG_VARIABLE, FAILED, INTERRUPTED, is_of_output, report
from modeltrail.cli.groups import Group
from modeltrail.cli.lifeline import LIFELINE_VARIABLE, hold_on

__all__ = ["run"]

# Where each command lives, and its line in the list of all. A module is imported only when its command runs:
# all of them together would make `modeltrail --help` five times slower.
_COMMANDS = {
    "dev": ("modeltrail.cli.dev", "Start everything on this machine, with its own database."),
    "demo": ("modeltrail.cli.demo", "Register a model and deploy it, step by step."),
    "events": ("modeltrail.cli.events", "Show the event log, and prove that it is whole."),
    "import-legacy": ("modeltrail.cli.import_legacy", "Take over the models of the service that this one replaces."),
    "projections": ("modeltrail.cli.projections", "Check the read tables, and build them anew."),
    "erase": ("modeltrail.cli.erase", "Make a person's address unreadable, for good."),
    "serve": ("modeltrail.cli.serve", "Serve the HTTP API."),
    "worker": (
        "modeltrail.cli.worker",
        "Run the deploy worker and async projections; look after what was set aside.",
    ),
    "migrate": ("modeltrail.cli.migrate", "Bring the database's schema up to date."),
    "secrets": ("modeltrail.cli.secrets", "Show, add and rotate the keys that secrets are encrypted with."),
    "simulated-cluster": ("modeltrail.simulated_cluster.__main__", "Run a stand-in for a Kubernetes cluster."),
}


class _Commands(Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 click calls it so
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        module = import_module(_COMMANDS[cmd_name][0])
        command = module.main if module.__name__.endswith("__main__") else getattr(module, cmd_name.replace("-", "_"))
        assert isinstance(command, click.Command)  # noqa: S101 tells mypy what the table promises
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in _COMMANDS.items()])


@click.group(cls=_Commands, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="modeltrail", message="modeltrail %(version)s")
@click.option("--debug", is_flag=True, help=f"Show tracebacks (or set {DEBUG_VARIABLE}=1).")
@click.pass_context
def _modeltrail(context: click.Context, *, debug: bool) -> None:
    """A machine-learning model registry that deploys to KServe and remembers everything.

    Start with `modeltrail dev`: it needs no database, no cluster and no settings.
    """
    if debug:
        os.environ[DEBUG_VARIABLE] = "1"  # the processes that `dev` starts are to see it too
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code: 0 done, 1 failed, 2 wrongly called or configured."""
    try:
        if LIFELINE_VARIABLE in os.environ:
            hold_on()
        code = _modeltrail.main(list(arguments), prog_name="modeltrail", standalone_mode=False)
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone (`modeltrail events | head`); the interpreter would complain at exit.
        _discard_output()
        return FAILED
    except Exception as error:  # noqa: BLE001 the one place where every error ends
        if is_of_output(error):
            _discard_output()  # what is still in its buffer, too
        return report(error)
    return code if isinstance(code, int) else 0


def _discard_output() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
