"""Decorators of routes. They are litestar's, but for this: a route comes with its documentation or not at all."""

from collections.abc import Callable
from typing import Any

import litestar
from litestar.handlers import HTTPRouteHandler

from modeltrail.http.documentation import Operation

OPERATION = "operation"

Decorator = Callable[[Callable[..., Any]], HTTPRouteHandler]  # Any: litestar looks at the signature itself


def get(path: str, operation: Operation) -> Decorator:
    """A route that reads."""
    return litestar.get(path, status_code=operation.success.status, opt={OPERATION: operation})


def post(path: str, operation: Operation) -> Decorator:
    """A route that makes something."""
    return litestar.post(path, status_code=operation.success.status, opt={OPERATION: operation})


def patch(path: str, operation: Operation) -> Decorator:
    """A route that changes something."""
    return litestar.patch(path, status_code=operation.success.status, opt={OPERATION: operation})


def delete(path: str, operation: Operation) -> Decorator:
    """A route that removes something."""
    return litestar.delete(path, status_code=operation.success.status, opt={OPERATION: operation})
