"""`modeltrail events verify` and `seal`: proves that nobody changed the log."""

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec.structs import replace

from modeltrail.cli.core import load_core
from modeltrail.cli.database import check_schema, explained
from modeltrail.cli.dev_environment import with_dev_environment
from modeltrail.cli.errors import FAILED, MISUSED, CommandError
from modeltrail.cli.options import data_option, json_option
from modeltrail.cli.progress import progress
from modeltrail.cli.running import load_settings
from modeltrail.paths import NamedPath
from modeltrail.settings import Settings

if TYPE_CHECKING:
    from modeltrail.eventlog.seal import Seal
    from modeltrail.eventlog.verification import Verified

__all__ = ["new_seal_key", "public_key", "seal", "verify"]

_file = NamedPath(path_type=Path, dir_okay=False)
_key_option = click.option(
    "--key", "key_file", type=_file, required=True, envvar="MODELTRAIL_SEAL_KEY_FILE", show_envvar=True,
    help="The private key, as `new-seal-key` makes it.",
)  # fmt: skip


@click.command
@click.option("--seal", "seals", type=_file, multiple=True, help="Hold the log against this seal, too; repeatable.")
@click.option("--public-key", metavar="BASE64", help="The key that the seals must be made with.")
@click.option("--export", "export", type=_file, help="Verify this export (JSON Lines) instead, without a database.")
@data_option
@json_option
def verify(
    *, seals: tuple[Path, ...], public_key: str | None, export: Path | None, data: Path | None, as_json: bool
) -> int:
    """Prove that the log is as it was written.

    Names the first event that was altered, removed, inserted or reordered, with exit code 1. That the log was not cut
    off at its end, or forged anew, only a seal can tell.
    """
    if public_key is not None and not seals:
        raise click.UsageError("--public-key goes with --seal: it is the key that the seals must be made with")
    kept = _read_seals(seals, public_key)
    if export is not None:
        verified = _verify_export(export, kept)
    else:
        settings = load_settings(with_dev_environment(data))
        with explained(settings.database), progress("verifying") as tell:
            verified = asyncio.run(_walk(settings, tell, kept))
    click.echo(json.dumps(_facts(verified)) if as_json else _sentence(verified, kept))
    return 0 if verified.finding is None else FAILED


@click.command
@_key_option
@data_option
def seal(*, key_file: Path, data: Path | None) -> int:
    """Print a signed statement of where the log ends, for an auditor to keep.

    The log is verified first; one that was changed is not sealed, with exit code 1.
    """
    from modeltrail.eventlog.seal import load_key, make_seal  # noqa: PLC0415 only this needs cryptography

    with _understood():
        key = load_key(key_file)
    settings = load_settings(with_dev_environment(data))
    with explained(settings.database), progress("verifying") as tell:
        verified = asyncio.run(_walk(settings, tell, ()))
    if verified.finding is not None:
        click.echo(_sentence(verified, ()), err=True)
        return FAILED
    click.echo(make_seal(verified, key, datetime.now(UTC)).as_json())
    return 0


@click.command("new-seal-key")
@click.argument("key_file", type=_file)
def new_seal_key(key_file: Path) -> None:
    """Make a private key to seal with; its public key is for the auditors."""
    from modeltrail.eventlog.seal import make_key  # noqa: PLC0415 the same

    with _understood():
        click.echo(make_key(key_file))


@click.command("public-key")
@_key_option
def public_key(key_file: Path) -> None:
    """Print the public key that belongs to a private one."""
    from modeltrail.eventlog.seal import load_key, public_key_of  # noqa: PLC0415 the same

    with _understood():
        click.echo(public_key_of(load_key(key_file)))


async def _walk(settings: Settings, tell: Callable[[int, int], None], seals: "Sequence[Seal]") -> "Verified":
    from modeltrail.eventlog.seal import compare  # noqa: PLC0415 the same
    from modeltrail.eventlog.verification import read_hashes, verify_log  # noqa: PLC0415 it brings asyncpg along

    await check_schema(settings.database)
    async with load_core().open_auditor(settings) as auditor:
        verified = await verify_log(auditor.connection, tell)
        hashes = await read_hashes(auditor.connection, [each.position for each in seals])
    return compare(verified, seals, hashes.get)


def _verify_export(export: Path, seals: "Sequence[Seal]") -> "Verified":
    from modeltrail.eventlog.cloud_event import UnusableExportError  # noqa: PLC0415 the same
    from modeltrail.eventlog.seal import compare  # noqa: PLC0415 the same
    from modeltrail.eventlog.verification import verify_lines  # noqa: PLC0415 the same

    try:
        with progress("verifying") as tell, export.open("rb") as file:
            size = export.stat().st_size
            verified, hashes = verify_lines(file, lambda _done: tell(file.tell(), size), [s.position for s in seals])
    except UnusableExportError as error:
        raise CommandError(f"{str(export)!r} is not an export of a log: {error}") from None
    except OSError as error:
        raise CommandError(f"{str(export)!r} cannot be read ({error.strerror})", exit_code=MISUSED) from None
    return _as_of_export(compare(verified, seals, hashes.get))


def _as_of_export(verified: "Verified") -> "Verified":
    """The same; of a missing event with the hint that filters may have left it out, which nothing in a file tells."""
    from modeltrail.eventlog.verification import Fault  # noqa: PLC0415 the same

    finding = verified.finding
    if finding is None or finding.fault is not Fault.REMOVED:
        return verified
    hint = f"{finding.explanation}; or the export is filtered, and only a whole one can be verified"
    return replace(verified, finding=replace(finding, explanation=hint))


def _read_seals(files: Sequence[Path], trusted_key: str | None) -> "list[Seal]":
    if not files:
        return []
    from modeltrail.eventlog.seal import is_public_key, read_seal  # noqa: PLC0415 the same

    if trusted_key is not None and not is_public_key(trusted_key):
        raise click.UsageError(
            f"--public-key is {trusted_key!r}, which is not an Ed25519 public key in base64;"
            " `modeltrail events public-key` prints one"
        )
    with _understood():
        return [read_seal(file, trusted_key) for file in files]


@contextmanager
def _understood() -> Iterator[None]:
    from modeltrail.eventlog.seal import SealError, WrongFileError  # noqa: PLC0415 the same

    try:
        yield
    except WrongFileError as error:
        raise CommandError(str(error), exit_code=MISUSED) from None
    except SealError as error:
        raise CommandError(str(error)) from None


def _facts(verified: "Verified") -> dict[str, object]:
    finding = verified.finding
    return {
        "verified": finding is None,
        "last_good_position": verified.position,
        "last_good_hash": verified.hash.hex(),
        "finding": None
        if finding is None
        else {"position": finding.position, "fault": finding.fault, "explanation": finding.explanation},
    }


def _sentence(verified: "Verified", seals: "Sequence[Seal]") -> str:
    finding = verified.finding
    if finding is None:
        sealed = f"; it keeps to {len(seals)} seal{'s' * (len(seals) != 1)}" if seals else ""
        return f"the log is whole: {verified.position} events, the last with the hash {verified.hash.hex()}{sealed}"
    return f"the log was changed: the event at position {finding.position} was {finding.fault} ({finding.explanation})"
