"""Filters of the event log, as options that several commands share."""

from collections.abc import Callable
from datetime import datetime
from difflib import get_close_matches
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

import click
from msgspec import Struct

from modeltrail.cli.errors import MISUSED, CommandError
from modeltrail.moments import is_moment
from modeltrail.quantities import WholeNumber

if TYPE_CHECKING:
    from modeltrail.eventlog.auditor import Auditor
    from modeltrail.eventlog.selection import Selection

__all__ = ["Filters", "filter_options", "selection_of"]

F = TypeVar("F", bound=Callable[..., object])


class Moment(click.ParamType):  # type: ignore[type-arg] # older ones are not generic
    """A time by RFC 3339, with its zone."""

    name = "time"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            moment = None
        if not is_moment(moment):
            self.fail(f"{value!r} is not a time such as 2026-03-03T14:05:00Z", param, ctx)
        return moment


class EventName(click.ParamType):  # type: ignore[type-arg] # the same
    """What events of a type are called, with or without the number of their shape."""

    name = "text"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from modeltrail.eventlog.codec import EVENT_TYPES  # noqa: PLC0415 it brings the domain along
        from modeltrail.eventlog.upcasting import UPCASTERS  # noqa: PLC0415 the same

        tags = EVENT_TYPES.keys() | UPCASTERS.keys()
        names = sorted({tag.partition("@")[0] for tag in tags})
        if value not in tags and value not in names:
            # `renamed` is close to registered_model.renamed, though too short for get_close_matches.
            close = [*get_close_matches(value, names), *(name for name in names if name.endswith(f".{value}"))]
            hint = f"did you mean {' or '.join(dict.fromkeys(close))}?" if close else f"there are: {', '.join(names)}"
            self.fail(f"no event is called {value}; {hint}", param, ctx)
        return value


class Filters(Struct, frozen=True, kw_only=True):
    """What was asked for, before anything was looked up."""

    project: UUID | None = None
    stream: UUID | None = None
    model: UUID | None = None
    type: str | None = None
    actor: str | None = None
    request_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    position: int = 0


_OPTIONS = (
    click.option("--project", type=click.UUID, help="Only of this project."),
    click.option("--stream", type=click.UUID, help="Only of this model, version, environment or service."),
    click.option("--model", type=click.UUID, help="Everything that touched this model: versions, deployments too."),
    click.option(
        "--type", "type", type=EventName(), help="Only events of this type, such as registered_model.renamed."
    ),
    click.option("--actor", metavar="EMAIL", help="Only what this person asked for."),
    click.option("--request-id", help="Only what came of this request."),
    click.option("--since", type=Moment(), help="Recorded at this time or later, such as 2026-03-03T14:05:00Z."),
    click.option("--until", type=Moment(), help="Recorded before this time."),
    click.option("--after", "position", type=WholeNumber(0), default=0, help="Only after this position."),
)


def filter_options(command: F) -> F:
    """The options whose values make `Filters`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


async def selection_of(filters: Filters, auditor: "Auditor") -> "Selection":
    """The selection, with people, models and times looked up. Raises CommandError for a person nobody knows."""
    from modeltrail.eventlog.selection import Selection, streams_of_model, within_times  # noqa: PLC0415 it is large
    from modeltrail.eventlog.upcasting import shapes_of  # noqa: PLC0415 the same

    if filters.stream is not None and filters.model is not None:
        raise CommandError("--stream and --model are both given; name one of them", exit_code=MISUSED)
    connection = auditor.connection
    streams: tuple[UUID, ...] | None = None if filters.stream is None else (filters.stream,)
    if filters.model is not None:
        streams = await streams_of_model(connection, filters.model)
    persons = None
    if filters.actor is not None:
        if auditor.people is None:
            raise CommandError("--actor needs the secret keys: set MODELTRAIL_SECRET_KEYS_FILE", exit_code=MISUSED)
        persons = await auditor.people.find(filters.actor)
        if not persons:
            raise CommandError("the person that --actor names was never seen here, or was erased")
    selection = Selection(
        project=filters.project,
        streams=streams,
        topics=None if filters.type is None else tuple(sorted(shapes_of(filters.type))),
        persons=persons,
        request_id=filters.request_id,
        after=filters.position,
    )
    return await within_times(connection, selection, filters.since, filters.until)
