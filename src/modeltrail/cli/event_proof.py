"""`modeltrail events verify`: proves that nobody changed the log."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from modeltrail.cli.core import load_core
from modeltrail.cli.database import check_schema, explained
from modeltrail.cli.dev_environment import with_dev_environment
from modeltrail.cli.errors import FAILED
from modeltrail.cli.event_options import data_option, json_option
from modeltrail.cli.progress import progress
from modeltrail.cli.running import load_settings
from modeltrail.settings import Settings

if TYPE_CHECKING:
    from modeltrail.eventlog.verification import Verified

__all__ = ["verify"]


@click.command
@data_option
@json_option
def verify(*, data: Path | None, as_json: bool) -> int:
    """Prove that the log is as it was written.

    Names the first event that was altered, removed, inserted or reordered, with exit code 1.
    """
    settings = load_settings(with_dev_environment(data))
    with explained(settings.database), progress("verifying") as tell:
        verified = asyncio.run(_walk(settings, tell))
    click.echo(json.dumps(_facts(verified)) if as_json else _sentence(verified))
    return 0 if verified.finding is None else FAILED


async def _walk(settings: Settings, tell: Callable[[int, int], None]) -> "Verified":
    from modeltrail.eventlog.verification import verify_log  # noqa: PLC0415 it brings asyncpg along

    await check_schema(settings.database)
    async with load_core().open_auditor(settings) as connection:
        return await verify_log(connection, tell)


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


def _sentence(verified: "Verified") -> str:
    finding = verified.finding
    if finding is None:
        return f"the log is whole: {verified.position} events, the last with the hash {verified.hash.hex()}"
    return (
        f"the log was changed: the event at position {finding.position} was {finding.fault} ({finding.explanation});"
        f" everything before it is as it was written"
    )
