"""What those who look into the whole log have at hand."""

from dataclasses import dataclass

from asyncpg import Connection, Pool

from modeltrail.eventlog.people import People, PersonKeys


@dataclass(frozen=True)
class Auditor:
    """A connection whose statements may take long, and, where there are secret keys, who people are."""

    connection: Connection
    pool: Pool
    people: People | None = None
    person_keys: PersonKeys | None = None
