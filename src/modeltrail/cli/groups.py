"""Commands that consist of others, such as `modeltrail events`."""

import click
from click.core import ParameterSource

from modeltrail.cli.errors import MISUSED

__all__ = ["Group", "refuse_options_before"]


class Group(click.Group):
    """A group that shows its help as it is when no command is named, and knows whose arguments a mistake was in."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args and not self.invoke_without_command:
            click.echo(ctx.get_help(), err=True)
            ctx.exit(MISUSED)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            # click's parser leaves it open in some, such as that of an option without its value.
            if error.ctx is None and ctx.invoked_subcommand is not None:
                command = self.get_command(ctx, ctx.invoked_subcommand)
                assert command is not None  # noqa: S101 it was found before it was invoked
                error.ctx = click.Context(command, info_name=ctx.invoked_subcommand, parent=ctx)
            raise


def refuse_options_before(context: click.Context) -> None:
    """Raise UsageError for an option of a group that was given before the command that it has no effect on."""
    assert isinstance(context.command, click.Group)  # noqa: S101 only groups have commands
    name = context.invoked_subcommand or ""
    command = context.command.get_command(context, name)
    known = {option for each in command.params for option in each.opts} if command else set()
    for each in context.command.params:
        if context.get_parameter_source(each.name or "") is ParameterSource.COMMANDLINE:
            option = each.opts[0]
            remedy = f"put {option} after {name}" if option in known else f"{name} has no {option}"
            raise click.UsageError(f"{option} stands before {name}, where it has no effect; {remedy}")
