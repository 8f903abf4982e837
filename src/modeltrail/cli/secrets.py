"""`modeltrail secrets`: the keys that credentials and people's addresses are encrypted with."""

import asyncio
import json
import os
import secrets as randomness
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from modeltrail.cli.core import load_core
from modeltrail.cli.database import check_schema, explained
from modeltrail.cli.dev_environment import with_dev_environment
from modeltrail.cli.errors import FAILED, MISUSED, CommandError
from modeltrail.cli.groups import Group
from modeltrail.cli.options import data_option, json_option
from modeltrail.cli.running import load_settings
from modeltrail.secret_keys import KEYS_FILE_VARIABLE, add_key, use_key

if TYPE_CHECKING:
    from modeltrail.eventlog.rotation import KeyUse

__all__ = ["secrets"]


@click.group(cls=Group)
def secrets() -> None:
    """Show, add and rotate the keys that secrets are encrypted with.

    To replace a key: `new-key`, restart all processes, `use-key`, restart, `rotate`, and take the old one out.
    """


@secrets.command
@data_option
@json_option
def status(*, data: Path | None, as_json: bool) -> int:
    """Show which keys are in use.

    Exit code 1 when something stored has no key.
    """
    settings = load_settings(with_dev_environment(data))

    async def look() -> "list[KeyUse]":
        await check_schema(settings.database)
        return await load_core().secrets_status(settings)

    with explained(settings.database):
        uses = asyncio.run(look())
    if as_json:
        click.echo(json.dumps({"keys": [_facts(use) for use in uses]}))
    else:
        _show(uses)
    return 0 if all(use.has_key for use in uses) else FAILED


@secrets.command
@data_option
@json_option
def rotate(*, data: Path | None, as_json: bool) -> int:
    """Encrypt all that is stored under the current key.

    The service may run meanwhile. Safe to interrupt, to run again and to run twice at once. Exit code 1 when
    something is left under another key.
    """
    settings = load_settings(with_dev_environment(data))
    last = time.monotonic()

    def on_progress(moved: int, total: int) -> None:
        nonlocal last
        if not as_json and time.monotonic() - last >= 1:
            last = time.monotonic()
            click.echo(f"{moved} of {total}", err=True)

    async def work() -> "tuple[int, int, list[KeyUse]]":
        await check_schema(settings.database)
        done, uses = await load_core().rotate_secrets(settings, on_progress)
        return done.moved, done.unopened, uses

    with explained(settings.database):
        moved, unopened, uses = asyncio.run(work())
    left = [use for use in uses if use.boxes and not use.is_current]
    removable = [use.key_id for use in uses if not use.boxes and not use.is_current]
    if as_json:
        click.echo(
            json.dumps(
                {"moved": moved, "unopened": unopened, "keys": [_facts(use) for use in uses], "removable": removable}
            )
        )
        return FAILED if left else 0
    click.echo(f"encrypted anew: {moved}")
    _show(uses)
    if unopened:
        click.echo(f"{unopened} could not be opened and stay as they are: their key is missing or another one")
    elif left:
        click.echo("some are still written under an old key: restart the processes that have it first, and run again")
    if removable:
        click.echo(f"no longer needed, once no process has it first: {', '.join(removable)}")
    return FAILED if left else 0


@secrets.command("new-key")
@click.argument("key_id", required=False)
@data_option
def new_key(key_id: str | None, *, data: Path | None) -> None:
    """Add a new random key to the keys file, or make the file.

    Beside others it only decrypts until `use-key` makes it the current one.
    """
    path = _keys_file(data)
    chosen = key_id or f"{time.strftime('%Y-%m-%d', time.gmtime())}-{randomness.token_hex(2)}"
    if add_key(path, chosen):
        click.echo(f"made {path} with the key {chosen}; keep a copy: what is encrypted cannot be read without it")
    else:
        click.echo(f"added key {chosen} to {path}; restart all processes, then: modeltrail secrets use-key {chosen}")


@secrets.command("use-key")
@click.argument("key_id")
@data_option
def use(key_id: str, *, data: Path | None) -> None:
    """Make a key of the keys file the one that encrypts."""
    path = _keys_file(data)
    use_key(path, key_id)
    click.echo(f"key {key_id} is first in {path}; restart all processes, then: modeltrail secrets rotate")


def _keys_file(data: Path | None) -> Path:
    name = with_dev_environment(data, os.environ).get(KEYS_FILE_VARIABLE)
    if not name:
        raise CommandError(f"no keys file is named; set {KEYS_FILE_VARIABLE}", exit_code=MISUSED)
    return Path(name)


def _facts(use: "KeyUse") -> dict[str, object]:
    return {
        "id": use.key_id,
        "current": use.is_current,
        "has_key": use.has_key,
        "credentials": use.credentials,
        "person_keys": use.person_keys,
        "digest_key": use.digest_key,
    }


def _show(uses: "Sequence[KeyUse]") -> None:
    for use in uses:
        state = "current" if use.is_current else "in use" if use.boxes else "not in use"
        digest = ", the digest key" if use.digest_key else ""
        lack = "" if use.has_key else "; NO FITTING KEY is configured"
        click.echo(f"{use.key_id}: {state}; {use.credentials} credentials, {use.person_keys} people{digest}{lack}")
