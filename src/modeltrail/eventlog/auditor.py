"""What those who look into the whole log have at hand."""

from dataclasses import dataclass

from asyncpg import Connection, Pool

from modeltrail.eventlog.people import People, PersonKeys


@dataclass(frozen=True)
class Auditor:
    """A connection whose statements may take long, and, as far as the secret keys at hand tell, who people are."""

    connection: Connection
    pool: Pool
    person_keys: PersonKeys
    people: People | None = None
