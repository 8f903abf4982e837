"""Reading many resources: a page of ready-made JSON with the number of all matches, and lookups by other things than
the id."""

import re
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct, inspect

from modeltrail.postgres.statements import Statements
from modeltrail.projections.activity import ACTIVITY, ActivityBody
from modeltrail.projections.documents import Queried
from modeltrail.projections.inference_services import INFERENCE_SERVICES
from modeltrail.projections.list_reader import Asked, Page, PageReader
from modeltrail.projections.model_body import ModelBody
from modeltrail.projections.model_versions import MODEL_VERSIONS
from modeltrail.projections.models import MODELS
from modeltrail.projections.projection import Projection, unique_key
from modeltrail.projections.serve_models import SERVE_MODELS, ServeModelBody
from modeltrail.projections.service_body import ServiceBody
from modeltrail.projections.serving_environments import SERVING_ENVIRONMENTS, EnvironmentBody
from modeltrail.projections.version_body import VersionBody
from modeltrail.projections.words import folded

SQL = Statements("modeltrail.projections", "lists.sql")

DEFAULT_SORT = "created_at"

# As good as `project_id = ...`, for the index on (project_id, created_at, id). Of a table without statistics the
# planner believes that a project has a handful of rows, and sorts them all for a page; of a range it does not.
_IN_PROJECT = (
    "(project_id, created_at) >= (asked.project_id, timestamptz '-infinity')"
    " AND (project_id, created_at) <= (asked.project_id, timestamptz 'infinity')"
)

_SPECIAL = re.compile(r"[\\%_]")
_ESCAPED = r"\\\g<0>"
_TEXTS = (inspect.StrType, inspect.EnumType, inspect.UUIDType)
_CASTS: tuple[tuple[type[inspect.Type], str], ...] = ((inspect.IntType, "bigint"), (inspect.BoolType, "boolean"))
_OBJECTS = (inspect.DictType, inspect.StructType)


class Slice(Struct, frozen=True):
    """Which of the matches, in which order. Equals are in the order of their ids."""

    limit: int
    offset: int
    sort_by: str = DEFAULT_SORT
    ascending: bool = False


class Listing:
    """Lists the rows of a projection whose `body` is one `item`."""

    def __init__(self, projection: Projection[Any], item: type[Struct]) -> None:  # Any: of any kind
        self._table = projection.name
        self._counted = projection.counted
        self._columns = {column.name: column.type for column in projection.all_columns}
        self._unique = projection.unique
        self._unique_expression = projection.unique_expression
        self._sortable = {
            field.encode_name: expression
            for field in msgspec.structs.fields(item)
            if (expression := _expression(field, self._columns)) is not None
        }
        self._page_statement = lru_cache(maxsize=256)(self._build_page_statement)

    @property
    def sortable(self) -> tuple[str, ...]:
        """The fields of the item that have an order."""
        return tuple(self._sortable)

    def sorts_by(self, field: str) -> bool:
        """Whether `field` is one of the item that has an order."""
        return field in self._sortable

    async def page(self, reader: PageReader, having: Mapping[str, object], part: Slice, name_part: str = "") -> Page:
        """The rows that hold all the values of `having`, by column, and `name_part` in their name, in any case."""
        return await reader.page(*self.page_query(having, part, name_part))

    async def newest(self, tables: Queried, having: Mapping[str, object]) -> UUID | None:
        """The id of the newest row that holds all the values of `having`, by column."""
        statement, values = self.newest_query(having)
        rows = await tables.fetch(statement, *values)
        return rows[0]["id"] if rows else None

    def page_query(self, having: Mapping[str, object], part: Slice, name_part: str = "") -> tuple[str, Asked]:
        """The statement of `page`, which answers many, and what is asked of it here."""
        statement = self._page_statement(tuple(having), bool(name_part), part.sort_by, part.ascending)
        filters = [*having.values(), _pattern(name_part)] if name_part else having.values()
        return statement, (part.limit, part.offset, *filters)

    def newest_query(self, having: Mapping[str, object]) -> tuple[str, list[object]]:
        """The statement of `newest`, and its values."""
        self._require_columns(having)
        condition = " AND ".join(f"{column} = ${number}" for number, column in enumerate(having, start=1))
        values: list[object] = [*having.values()]
        if having.keys() >= set(self._unique):
            scope, name = self._unique
            values.append(unique_key(having[scope], having[name]))
            condition += f" AND ({self._unique_expression}) = ${len(values)}::text"
        return SQL.get_newest.format(table=self._table, condition=condition), values

    def _build_page_statement(self, having: tuple[str, ...], by_name: bool, sort_by: str, ascending: bool) -> str:
        conditions = self._conditions(having)
        searched = [f"{column} IS NOT DISTINCT FROM asked.{column}" for column in having]
        direction = "ASC" if ascending else "DESC"
        scope = ""
        if "project_id" in having and (by_name or sort_by == DEFAULT_SORT):
            conditions[having.index("project_id")] = _IN_PROJECT
            scope = "" if by_name else f"project_id {direction}, "
        page = (SQL.search_page if by_name else SQL.list_page).format(
            table=self._table,
            condition=" AND ".join(conditions),
            searched=" AND ".join(searched),
            total=self._total(having),
            scope=scope,
            sort_key=self._sortable[sort_by],
            direction=direction,
        )
        columns = {"page_limit": "bigint", "page_offset": "bigint", **{name: self._columns[name] for name in having}}
        if by_name:
            columns["pattern"] = "text"
        values = ", ".join(f"(SELECT ${number}::{type_}[])" for number, type_ in enumerate(columns.values(), start=1))
        return SQL.pages.format(values=values, names=", ".join(columns), page=page)

    def _total(self, having: tuple[str, ...]) -> str:
        """The query for the number of all matches: the sum of what is counted already, else a count of the rows."""
        if self._counted is None or not {"project_id"} <= set(having) <= {"project_id", *self._counted}:
            condition = " AND ".join(self._conditions(having))
            return f"SELECT count(*) FROM {self._table} WHERE {condition}"  # noqa: S608 - no value
        facets = {name: f"facets[{number}]" for number, name in enumerate(self._counted, start=1)}
        conditions = [
            f"{facets[column]} = facet(asked.{column})" if column in facets else f"{column} = asked.{column}"
            for column in having
        ]
        return SQL.sum_of_counts.format(table=self._table, condition=" AND ".join(conditions))

    def _conditions(self, having: tuple[str, ...]) -> list[str]:
        self._require_columns(having)
        return [f"{column} = asked.{column}" for column in having]

    def _require_columns(self, having: Collection[str]) -> None:
        unknown = set(having) - self._columns.keys()
        if unknown:
            raise ValueError(f"{self._table} has no column {', '.join(sorted(unknown))}")


def _pattern(part: str) -> str:
    """The pattern of LIKE for folded texts with `part` in them. In `part` no character stands for others."""
    return f"%{_SPECIAL.sub(_ESCAPED, folded(part))}%"


def _expression(field: msgspec.structs.FieldInfo, columns: Collection[str]) -> str | None:
    """What to sort by: the column of that name, else the field of the JSON; None when it is a list.

    Objects, such as labels, are in the order that PostgreSQL has for jsonb, as the columns of the Go service were.
    """
    is_column = field.encode_name in columns
    if is_column and field.required:
        return field.encode_name
    kind = inspect.type_info(field.type)
    if isinstance(kind, inspect.Metadata):  # Annotated for the document of the API
        kind = kind.type
    kinds = kind.types if isinstance(kind, inspect.UnionType) else (kind,)
    text = field.encode_name if is_column else f"body->>'{field.encode_name}'"
    if all(isinstance(each, (*_TEXTS, inspect.NoneType)) for each in kinds):
        # A text that is left out when empty sorts as empty, not as unknown.
        return f"({text})" if field.required else f"coalesce({text}, '')"
    for scalar, cast in _CASTS:
        if isinstance(kind, scalar):
            return f"({text})::{cast}"
    return f"(body->'{field.encode_name}')::jsonb" if isinstance(kind, _OBJECTS) else None


MODEL_LIST = Listing(MODELS, ModelBody)
VERSION_LIST = Listing(MODEL_VERSIONS, VersionBody)
ENVIRONMENT_LIST = Listing(SERVING_ENVIRONMENTS, EnvironmentBody)
SERVICE_LIST = Listing(INFERENCE_SERVICES, ServiceBody)
SERVE_MODEL_LIST = Listing(SERVE_MODELS, ServeModelBody)
ACTIVITY_LIST = Listing(ACTIVITY, ActivityBody)
