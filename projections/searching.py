"""Reading what was found: the best first, and up to where in the log the index goes."""

from uuid import UUID

from asyncpg import Pool
from msgspec import Struct

from modeltrail.postgres.statements import Statements
from modeltrail.projections.search import Kind, name_words
from modeltrail.projections.words import words_in

SQL = Statements("modeltrail.projections", "searching.sql")


class Found(Struct, frozen=True):
    """Some of the hits. `items` is their JSON with commas between, `returned` how many they are, `total` of how many;
    `behind` is how many events after `position` are not yet in the index."""

    items: bytes
    returned: int
    total: int
    position: int
    behind: int


async def search(pool: Pool, project: UUID, asked: str, kind: Kind | None, limit: int, offset: int) -> Found:
    """What has all the words of `asked`, or words that begin so; those of exactly that name go first.

    A word in a name counts more than one in a tag or a label, and that more than one in a description. Where nothing is
    a word, nothing is found.
    """
    # Letters and digits only: nothing in them means anything to to_tsquery. The letter before is that of the index.
    query = " & ".join(f"'w{word}':*" for word in words_in(asked)) or None
    row = await pool.fetchrow(SQL.search, project, query, name_words(asked), kind or "", limit, offset)
    return Found(row["items"], row["returned"], row["total"], row["position"], row["behind"] or 0)
