"""Routes of the API's own description: the OpenAPI document, and a page of it for people."""

from dataclasses import dataclass
from functools import cached_property

import msgspec
from litestar.app import Litestar

from modeltrail.http.answers import Answer, json
from modeltrail.http.documentation import HTML, Json, Operation, Success, Tag
from modeltrail.http.openapi import describe
from modeltrail.http.requests import ApiRequest
from modeltrail.http.routes import get
from modeltrail.http.schema_page import page

# The page brings all that it needs, and runs nothing.
HEADERS = (
    (b"content-type", b"text/html; charset=utf-8"),
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'"),
)
TAG = Tag("Schema", "This document.")


@dataclass(frozen=True)
class Schema:
    """The document of one application."""

    document: Json

    @cached_property
    def as_json(self) -> bytes:
        """For machines."""
        return msgspec.json.encode(self.document)

    @cached_property
    def as_page(self) -> bytes:
        """For people."""
        return page(self.document).encode()


def schema_of(app: Litestar, base_path: str) -> Schema:
    """The description of `app`. Raises UndocumentedRouteError when one of its routes says nothing of itself."""
    return Schema(describe(app.routes, base_path))


@get(
    "/schema/openapi.json",
    Operation(
        tag=TAG,
        success=Success(status=200, says="OpenAPI 3.1.", media_type="application/json", json_type="object"),
    ),
)
async def show_document(request: ApiRequest) -> Answer:
    """This document."""
    return json(200, _schema(request).as_json)


@get("/schema", Operation(tag=TAG, success=Success(status=200, says="A page to read.", media_type=HTML)))
async def show_page(request: ApiRequest) -> Answer:
    """This document as a page, which needs nothing from elsewhere."""
    body = _schema(request).as_page
    return Answer(200, body, (b"content-length", b"%d" % len(body)), *HEADERS)


def _schema(request: ApiRequest) -> Schema:
    schema: Schema = request.scope["litestar_app"].state.schema
    return schema


SCHEMA_ROUTES = (show_document, show_page)
