"""`modeltrail import-legacy`: moves in from the service that modeltrail replaces."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from modeltrail.cli.core import load_core
from modeltrail.cli.database import check_schema, explained
from modeltrail.cli.dev_environment import with_dev_environment
from modeltrail.cli.errors import FAILED
from modeltrail.cli.options import data_option, json_option
from modeltrail.cli.progress import progress
from modeltrail.cli.running import load_settings

if TYPE_CHECKING:
    from modeltrail.legacy.mover import Moved, Refusal, Tally
    from modeltrail.legacy.rows import Oddity

__all__ = ["import_legacy"]

SHOWN = 10  # lines of each kind; --json has all


@click.command
@click.option(
    "--dsn",
    envvar="LEGACY_DSN",
    metavar="URI",
    help="The old service's database: postgresql://user:password@host:port/name, or in LEGACY_DSN.",
)
@click.option("--schema", default="public", show_default=True, help="The schema that its tables are in.")
@click.option("--prefix", help="What the tables' names begin with [default: nothing, or model_registry_].")
@click.option("--write", is_flag=True, help="Take the rows over. Without it, only show what would happen.")
@data_option
@json_option
def import_legacy(
    *, dsn: str | None, schema: str, prefix: str | None, write: bool, data: Path | None, as_json: bool
) -> None:
    """Take over all models and versions of the service that modeltrail replaces.

    Afterwards every GET answers as it did there, times included. The old tables are only read. Run it while the old
    service still works, and once more when it has stopped: what was taken over before is left as it is, what has
    changed there since is brought up to date, and what has changed on both sides is refused and named.
    """
    from modeltrail.legacy.tables import Source  # noqa: PLC0415 - it brings asyncpg along

    if not dsn:
        raise click.UsageError("the old service's database is not named; give --dsn, or set LEGACY_DSN")
    given = click.get_current_context().get_parameter_source("dsn")
    settings = load_settings(with_dev_environment(data))
    source = Source(dsn, schema, prefix, "LEGACY_DSN" if given is ParameterSource.ENVIRONMENT else "--dsn")

    async def work() -> "Moved":
        await check_schema(settings.database)
        with progress("taking over" if write else "looking") as tell:
            return await load_core().import_legacy(settings, source, tell, write=write)

    with explained(settings.database):
        moved = asyncio.run(work())
    if as_json:
        tables = {"models": _facts(moved.models), "versions": _facts(moved.versions)}
        click.echo(json.dumps({"written": write, **tables}))
    else:
        click.echo("\n".join(_lines(moved, written=write)))
    if moved.models.refused or moved.versions.refused:
        click.get_current_context().exit(FAILED)


def _facts(tally: "Tally") -> dict[str, object]:
    def told(notes: "Sequence[Oddity | Refusal]") -> list[dict[str, str]]:
        return [{"id": str(note.id), "says": note.says} for note in notes]

    return {
        "new": tally.new,
        "changed": tally.changed,
        "same": tally.same,
        "refused": told(tally.refused),
        "oddities": told(tally.oddities),
        "gone": [str(id_) for id_ in tally.gone],
    }


def _lines(moved: "Moved", *, written: bool) -> Iterator[str]:
    yield f"{'':10}{'new':>9}{'changed':>9}{'same':>9}{'refused':>9}"
    for name, tally in (("models", moved.models), ("versions", moved.versions)):
        yield f"{name:10}{tally.new:>9}{tally.changed:>9}{tally.same:>9}{len(tally.refused):>9}"
    for name, tally in (("model", moved.models), ("version", moved.versions)):
        yield from _some(f"{name}s refused", [f"{each.id}: {each.says}" for each in tally.refused])
        yield from _some(f"odd things about {name}s", _grouped(tally.oddities))
        yield from _some(f"{name}s taken over before, but not in these tables", [str(id_) for id_ in tally.gone])
    if not written:
        yield "nothing was written; run it with --write to take the rows over"


def _grouped(oddities: "Sequence[Oddity]") -> list[str]:
    """One line for all rows of which the same is to be said, the most frequent first."""
    examples = {each.says: each.id for each in reversed(oddities)}
    counts = Counter(each.says for each in oddities).most_common()
    return [f"{count} x {says} (such as {examples[says]})" for says, count in counts]


def _some(title: str, lines: Sequence[str]) -> Iterator[str]:
    if not lines:
        return
    yield f"{title}: {len(lines)}"
    yield from (f"  {line}" for line in lines[:SHOWN])
    if len(lines) > SHOWN:
        yield f"  and {len(lines) - SHOWN} more (--json shows all)"
