"""The OpenAPI document, made from the routes that the application has and from what each says of itself."""

import re
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from inspect import cleandoc

from litestar.handlers import HTTPRouteHandler
from litestar.routes import BaseRoute, HTTPRoute

from modeltrail.http.answers import Error
from modeltrail.http.conventions import (
    ALLOW,
    ANSWER_HEADERS,
    AT,
    NOT_MODIFIED,
    REFUSALS,
    REQUEST_HEADERS,
    UNAVAILABLE,
    WAIT,
    Header,
    Route,
    reads,
)
from modeltrail.http.documentation import UUID_TEXT, Json, Operation, Parameter, Success
from modeltrail.http.routes import OPERATION
from modeltrail.http.schemas import reference, schemas_of

OPENAPI = "3.1.0"
ABOUT = """\
A machine-learning model registry that deploys to KServe and remembers everything.

Errors are `{"error": "<message>"}`. An unknown path is answered with 404, a method that a path does not have with 405
and `Allow`; no path has `OPTIONS` or `HEAD`. Bodies are read as JSON whatever their Content-Type says; fields that are
not named here are ignored, and `null` for an optional field means that it is absent. UUIDs are taken in upper case,
too, and in the forms `urn:uuid:…`, `{…}` and without hyphens."""

_IN_PATH = re.compile(r"{(\w+)}")


class UndocumentedRouteError(Exception):
    """A route says nothing of itself."""


def describe(routes: Iterable[BaseRoute], base_path: str) -> Json:
    """The document. Raises UndocumentedRouteError for a route without documentation."""
    paths: Json = {}
    operations: list[Operation] = []
    for route, handler in sorted(_routes(routes, base_path), key=lambda each: each[0].path):
        paths.setdefault(route.path, {})[route.method] = _operation(route, handler)
        operations.append(route.operation)
    tags = {each.tag.name: {"name": each.tag.name, "description": each.tag.description} for each in operations}
    return {
        "openapi": OPENAPI,
        "info": {"title": "modeltrail", "version": version("modeltrail"), "description": ABOUT},
        "tags": list(tags.values()),
        "paths": paths,
        "components": _components(operations),
    }


def _routes(routes: Iterable[BaseRoute], base_path: str) -> Iterator[tuple[Route, HTTPRouteHandler]]:
    for route in routes:
        if not isinstance(route, HTTPRoute):
            raise UndocumentedRouteError(f"{route.path}: only HTTP routes can be documented")
        for handler in route.route_handlers:
            if set(handler.http_methods) == {"OPTIONS"}:
                continue  # every path has it; see ABOUT
            operation = handler.opt.get(OPERATION)
            if not isinstance(operation, Operation):
                raise UndocumentedRouteError(
                    f"{route.path} ({handler.handler_name}) has no documentation: use the decorators of http/routes.py"
                )
            path = route.path_format
            for method in handler.http_methods:
                yield Route(method.lower(), path, path.startswith(f"{base_path}/"), operation), handler


def _operation(route: Route, handler: HTTPRouteHandler) -> Json:
    operation = route.operation
    summary, _, more = cleandoc(handler.fn.__doc__ or "").partition("\n")
    described: Json = {
        "operationId": handler.fn.__name__,
        "tags": [operation.tag.name],
        "summary": summary.rstrip("."),
        "parameters": [
            *(_in_path(name) for name in _IN_PATH.findall(route.path)),
            *(_in_query(parameter) for parameter in operation.query),
            *([_in_query(AT)] if reads(route) else ()),
            *({"$ref": f"#/components/parameters/{each.name}"} for each in REQUEST_HEADERS if each.applies(route)),
        ],
        "responses": _responses(route),
    }
    if more.strip():
        described["description"] = more.strip()
    if operation.takes:
        described["requestBody"] = {"required": True, "content": _json(reference(operation.takes))}
    return described


def _in_path(name: str) -> Json:
    described: Json = {"name": name, "in": "path", "required": True}
    if name == "position":
        return {**described, "description": "A position of the log.", "schema": {"type": "integer", "minimum": 1}}
    what = name.removesuffix("_id").replace("_", " ")
    return {**described, "description": f"The {what}'s id.", "schema": UUID_TEXT}


def _in_query(parameter: Parameter) -> Json:
    described = {
        "name": parameter.name,
        "in": "query",
        "description": parameter.description,
        "schema": dict(parameter.schema),
    }
    return {**described, "required": True} if parameter.required else described


def _responses(route: Route) -> Json:
    outcomes = (route.operation.success, *route.operation.failures.values())
    responses: Json = {str(each.status): _outcome(route, each) for each in outcomes}
    if any(header.name == "If-None-Match" and header.applies(route) for header in REQUEST_HEADERS):
        responses[str(NOT_MODIFIED)] = _answer("The caller has it already.", _headers(ANSWER_HEADERS, route))
    for status in sorted(_refusals(route)):
        responses[str(status)] = _refusal(route, status)
    return responses


def _outcome(route: Route, outcome: Success) -> Json:
    answer = _answer(outcome.says, _headers(ANSWER_HEADERS, route))
    if outcome.body:
        return {**answer, "content": _json(reference(outcome.body))}
    if outcome.media_type:
        return {**answer, "content": {outcome.media_type: {"schema": {"type": outcome.json_type}}}}
    return answer


def _refusals(route: Route) -> set[int]:
    return {each.status for each in REFUSALS if each.applies(route)} | route.operation.refusals.keys()


def _refusal(route: Route, status: int) -> Json:
    own = route.operation.refusals.get(status)
    shared = next((each for each in REFUSALS if each.status == status and each.applies(route)), None)
    if shared is None:
        return _error(status, own or "")
    if own is None:
        return {"$ref": f"#/components/responses/{shared.name}"}
    return _error(status, f"{shared.description} {own}")


def _components(operations: Iterable[Operation]) -> Json:
    bodies = {each.takes for each in operations if each.takes}
    outcomes = [outcome for each in operations for outcome in (each.success, *each.failures.values())]
    answers = {outcome.body for outcome in outcomes if outcome.body} | {Error}
    return {
        "schemas": schemas_of(bodies, answers),
        "parameters": {each.name: _request_header(each) for each in REQUEST_HEADERS},
        "headers": {each.name: _answer_header(each) for each in (*ANSWER_HEADERS, WAIT, ALLOW)},
        "responses": {
            **{each.name: _error(each.status, each.description) for each in REFUSALS},
            "NotFound": _error(404, "There is no such path."),
            "MethodNotAllowed": _error(405, "The path does not have this method.", ALLOW),
        },
    }


def _request_header(header: Header) -> Json:
    return {
        "name": header.name,
        "in": "header",
        "required": header.required,
        "description": header.description,
        "schema": header.schema,
    }


def _answer_header(header: Header) -> Json:
    return {"description": header.description, "required": header.required, "schema": header.schema}


def _headers(headers: Iterable[Header], route: Route) -> Json:
    return _references(each for each in headers if each.applies(route))


def _references(headers: Iterable[Header]) -> Json:
    return {each.name: {"$ref": f"#/components/headers/{each.name}"} for each in headers}


def _error(status: int, description: str, *headers: Header) -> Json:
    request_id = ANSWER_HEADERS[0]
    wait = (WAIT,) if status == UNAVAILABLE else ()
    return {**_answer(description, _references((request_id, *wait, *headers))), "content": _json(reference(Error))}


def _answer(description: str, headers: Json) -> Json:
    return {"description": description, "headers": headers}


def _json(schema: Json) -> Json:
    return {"application/json": {"schema": schema}}
