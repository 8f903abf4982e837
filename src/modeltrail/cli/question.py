"""A question that a person answers with yes or no."""

import click

from modeltrail.cli.errors import CommandError

__all__ = ["is_wanted"]


def is_wanted(question: str, *, without_answer: str) -> bool:
    """Whether the answer is yes. Raises CommandError with the sentence `without_answer` when none comes."""
    try:
        return click.confirm(question, err=True, default=False)
    except click.Abort as abort:
        if not isinstance(abort.__context__, EOFError):  # Ctrl-C
            raise
        click.echo(err=True)  # ends the question's line
        raise CommandError(without_answer) from None
