"""What a person is told when a command cannot go on: one sentence, and an exit code."""

import os
import sys
import tempfile
import traceback

import click

__all__ = ["DEBUG_VARIABLE", "FAILED", "INTERRUPTED", "MISUSED", "CommandError", "is_of_output", "report"]

FAILED = 1
MISUSED = 2
INTERRUPTED = 130

DEBUG_VARIABLE = "MODELTRAIL_DEBUG"


class CommandError(Exception):
    """A command cannot go on; the message says what is wrong, with which input, and what to do."""

    def __init__(self, message: str, *, exit_code: int = FAILED) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def report(error: Exception) -> int:
    """Tell the person about an error on standard error and return the exit code."""
    if isinstance(error, click.UsageError):
        command = error.ctx.command_path if error.ctx else "modeltrail"
        _say(f"{error.format_message().rstrip('.')} (see: {command} --help)")
        return MISUSED
    explanation = _explain(error)
    if os.environ.get(DEBUG_VARIABLE):
        traceback.print_exception(error)
    elif explanation is None:
        _say(f"{_summary(error)}; the traceback is in {_keep_traceback(error)} (--debug shows it here)")
        return FAILED
    message, exit_code = explanation or (_summary(error), FAILED)
    _say(message)
    return exit_code


def is_of_output(error: BaseException) -> bool:
    """Whether `error` came of printing something, which nothing but click.echo does."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return isinstance(error, OSError) and bool(frames) and frames[-1].f_code is click.echo.__code__


def _explain(error: Exception) -> tuple[str, int] | None:
    """The message and exit code of an error that was raised to be read, None for all others."""
    # Imported late: a command that succeeds should not wait for asyncpg and cryptography.
    from modeltrail.commands.committing.committer import LogUnavailableError  # noqa: PLC0415
    from modeltrail.eventlog.codec import UnreadableEventError  # noqa: PLC0415
    from modeltrail.eventlog.keys import UnusableKeyError  # noqa: PLC0415
    from modeltrail.legacy.tables import LegacyTablesError, UnusableSourceError  # noqa: PLC0415
    from modeltrail.postgres.embedded import EmbeddedPostgresError  # noqa: PLC0415
    from modeltrail.postgres.migrate import MigrationError  # noqa: PLC0415
    from modeltrail.projections.checkpoint import OtherVersionError  # noqa: PLC0415
    from modeltrail.projections.rebuild import RebuildError  # noqa: PLC0415
    from modeltrail.settings import SettingsError  # noqa: PLC0415
    from modeltrail.workers.cluster import ClusterError, ClusterNotConfigured  # noqa: PLC0415

    match error:
        case OSError() if is_of_output(error):
            return f"standard output cannot be written ({error.strerror}); send it elsewhere", FAILED
        case CommandError():
            return str(error), error.exit_code
        case SettingsError() | UnusableKeyError() | ClusterNotConfigured() | UnusableSourceError():
            return str(error), MISUSED
        case (
            EmbeddedPostgresError()
            | RebuildError()
            | OtherVersionError()
            | MigrationError()
            | ClusterError()
            | LogUnavailableError()
            | UnreadableEventError()
            | LegacyTablesError()
        ):
            return str(error), FAILED
        case click.ClickException():
            return error.format_message(), error.exit_code
        case _:
            return None


def _summary(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"something unexpected happened: {type(error).__name__}{': ' if text else ''}{text}"


def _say(message: str) -> None:
    click.echo(f"modeltrail: {' '.join(message.split())}", err=True)


def _keep_traceback(error: Exception) -> str:
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="modeltrail-", suffix=".traceback.txt", delete=False, encoding="utf-8"
        ) as file:
            traceback.print_exception(error, file=file)
    except OSError:  # a read-only container
        traceback.print_exception(error, file=sys.stderr)
        return "the lines above"
    return file.name
