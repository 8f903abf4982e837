"""Finding what has all the words that are asked for, the best first."""

from uuid import UUID

from msgspec import Struct, structs

from modeltrail.domain.ids import ProjectId
from modeltrail.postgres.statements import Statements
from modeltrail.projections.documents import Queried
from modeltrail.projections.list_reader import Page
from modeltrail.projections.past import Past
from modeltrail.projections.search import Kind, name_words
from modeltrail.projections.words import words_in

SQL = Statements("modeltrail.projections", "searching.sql")
NOW = SQL.search.format(table="search")
# Rows that were folded have what their projection declares, and not what the table makes of it.
THEN = SQL.search.format(
    table="(SELECT *, all_searchable(project_id, name_words, tag_words, label_words, description_words) AS words"
    " FROM search) AS searched"
)


class Wanted(Struct, frozen=True):
    """What is looked for: all words of `text`, or words that begin so, in a `kind` of things or in all."""

    text: str
    kind: Kind | None
    limit: int
    offset: int


async def search(database: Queried, project: ProjectId, wanted: Wanted) -> Page:
    """The hits of a project; those of exactly that name go first.

    A word in a name counts more than one in a tag or a label, and that more than one in a description. Where nothing is
    a word, nothing is found.
    """
    return await _read(database, NOW, project, wanted)


async def search_past(past: Past, project: ProjectId, wanted: Wanted) -> Page:
    """The hits that there were then."""

    async def read(tables: Queried, limit: int, offset: int) -> Page:
        return await _read(tables, THEN, project, structs.replace(wanted, limit=limit, offset=offset))

    return await past.first(THEN, {"project_id": project}, read, wanted.limit, wanted.offset)


async def _read(database: Queried, statement: str, project: UUID, wanted: Wanted) -> Page:
    # Letters and digits only: nothing in them means anything to to_tsquery. The letter before is that of the index.
    query = " & ".join(f"'w{word}':*" for word in words_in(wanted.text)) or None
    arguments = (project, query, name_words(wanted.text), wanted.kind or "", wanted.limit, wanted.offset)
    (row,) = await database.fetch(statement, *arguments)
    return Page(row["items"], row["returned"], row["total"])
