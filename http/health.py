"""Whether the service can do its work, for those who watch it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal, TypeVar

import msgspec
import structlog
from asyncpg import Connection, Pool
from msgspec import Struct

from modeltrail.http.answers import Answer, json
from modeltrail.http.documentation import Operation, Tag, plain
from modeltrail.http.requests import ApiRequest
from modeltrail.http.routes import get

_log = structlog.get_logger(__name__)

T = TypeVar("T")

TAG = Tag("Health", "Whether the service can do its work, and how it does it.")

# An answer must be out within two seconds, also when the database hangs.
ACQUIRE_SECONDS = 0.75
QUERY_SECONDS = 0.75


class Health(Struct, frozen=True):
    """Whether the database answers."""

    status: Literal["ok"] = "ok"


class Illness(Struct, frozen=True):
    """The database does not answer."""

    status: Literal["unhealthy"] = "unhealthy"


class Life(Struct, frozen=True):
    """The process answers."""

    status: Literal["ok"] = "ok"


@get("/livez", Operation(tag=TAG, success=plain(Life, "The process answers.")))
async def livez(request: ApiRequest) -> Answer:  # noqa: ARG001 - routes get it
    """200 as long as the process answers at all. A restart would not bring a database back, so it is not asked."""
    return json(200, msgspec.json.encode(Life()))


@get(
    "/healthz",
    Operation(
        tag=TAG,
        success=plain(Health, "The database answers."),
        failures={503: plain(Illness, "The database does not answer.", 503)},
    ),
)
async def healthz(request: ApiRequest) -> Answer:
    """200 when the database answers, else 503."""
    if await ask_quickly(request.services.pool, lambda connection: connection.fetchval("SELECT true")):
        return json(200, msgspec.json.encode(Health()))
    return json(503, msgspec.json.encode(Illness()))


async def ask_quickly(pool: Pool, ask: Callable[[Connection], Awaitable[T]]) -> T | None:
    """What the database answers to `ask`; None when it does not within two seconds."""
    try:
        connection = await pool.acquire(timeout=ACQUIRE_SECONDS)
    except Exception as failure:  # noqa: BLE001 - whatever it is, the database did not answer
        _report_silence(failure)
        return None
    try:
        async with asyncio.timeout(QUERY_SECONDS):
            return await ask(connection)
    except Exception as failure:  # noqa: BLE001 - the same
        # Going back to the pool, a connection that hangs would be waited for.
        connection.terminate()
        _report_silence(failure)
        return None
    finally:
        await pool.release(connection)


def _report_silence(failure: Exception) -> None:
    _log.warning("the database does not answer", cause=type(failure).__name__)


HEALTH_ROUTES = (healthz, livez)
