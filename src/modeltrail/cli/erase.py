"""`modeltrail erase`: forgets a person, while the log and its proof stay as they were."""

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from modeltrail.cli.core import load_core
from modeltrail.cli.database import check_schema, explained
from modeltrail.cli.dev_environment import with_dev_environment
from modeltrail.cli.errors import CommandError
from modeltrail.cli.options import data_option, json_option
from modeltrail.cli.question import is_wanted
from modeltrail.cli.running import load_settings

if TYPE_CHECKING:
    from modeltrail.commands.erasure import Traces

__all__ = ["erase"]


@click.command
@click.option("--email", required=True, metavar="ADDRESS", help="Whose address is to become unreadable.")
@click.option("--dry-run", is_flag=True, help="Only show what would be touched.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@data_option
@json_option
def erase(*, email: str, dry_run: bool, yes: bool, data: Path | None, as_json: bool) -> None:
    """Make a person's address unreadable in the log, the read tables and later exports, for good.

    The log's proof still holds. A running process that has the key in memory writes nothing with it. Texts that people
    wrote themselves, such as descriptions, are not searched. Backups hold the key as long as they are kept.
    """
    settings = load_settings(with_dev_environment(data))

    async def work(*, only_look: bool) -> "Traces":
        await check_schema(settings.database)
        core = load_core()
        if names := await core.outdated_projections(settings):
            raise CommandError(
                f"{', '.join(names)}: older code than this filled the table, which may show people that it does not"
                " know of; run: modeltrail migrate"
            )
        found = await (core.find_person(settings, email) if only_look else core.erase_person(settings, email))
        if found is None:
            raise CommandError("the person that --email names was never seen here, or was erased before")
        return found

    wanted = yes and not dry_run
    with explained(settings.database):
        if not wanted:
            traces = asyncio.run(work(only_look=True))
            wanted = not dry_run and is_wanted(
                f"erase this person for good ({_sentence(traces)})?",
                without_answer="nobody answered, and nothing was erased; answer y, or use --yes",
            )
        if wanted:
            traces = asyncio.run(work(only_look=False))
    if as_json:
        rows = {table: [str(each) for each in ids] for table, ids in traces.rows.items()}
        click.echo(json.dumps({"erased": wanted, "acts": traces.acts, "events": traces.events, "rows": rows}))
    elif wanted or dry_run:
        click.echo(f"{'erased' if wanted else 'would erase'}: {_sentence(traces)}")
    else:
        click.echo("nothing was erased")


def _sentence(traces: "Traces") -> str:
    rows = ", ".join(f"{len(ids)} in {table}" for table, ids in traces.rows.items())
    return f"actor of {traces.acts} events, named in {traces.events}; shown by rows: {rows}"
