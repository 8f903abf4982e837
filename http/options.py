"""OPTIONS: which methods a path has.

litestar adds a route of its own for it, but that of a path with several methods names only the one registered first.
"""

from collections import defaultdict
from collections.abc import Iterable

from litestar import route
from litestar.enums import HttpMethod
from litestar.handlers import HTTPRouteHandler

from modeltrail.http.answers import NoContent


def options_routes(handlers: Iterable[HTTPRouteHandler]) -> list[HTTPRouteHandler]:
    """A route for each path of `handlers`. They must be registered first, lest litestar adds its own."""
    methods: dict[str, set[str]] = defaultdict(lambda: {HttpMethod.OPTIONS.value})
    for handler in handlers:
        for path in handler.paths:
            methods[path] |= {str(method) for method in handler.http_methods}
    return [_options(path, ", ".join(sorted(allowed))) for path, allowed in methods.items()]


def _options(path: str, allowed: str) -> HTTPRouteHandler:
    @route(path, http_method=[HttpMethod.OPTIONS], status_code=204)
    async def options() -> NoContent:
        return NoContent(204, b"", (b"allow", allowed.encode()))

    return options
