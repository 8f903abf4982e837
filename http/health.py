"""Whether the service can do its work, for those who watch it."""

from typing import Literal

import msgspec
import structlog
from asyncpg import Pool
from msgspec import Struct

from modeltrail.http.answers import Answer, json
from modeltrail.http.documentation import Operation, Tag, plain
from modeltrail.http.requests import ApiRequest
from modeltrail.http.routes import get

_log = structlog.get_logger(__name__)

# An answer must be out within two seconds, also when the database hangs.
ACQUIRE_SECONDS = 0.75
QUERY_SECONDS = 0.75


class Health(Struct, frozen=True):
    """Whether the database answers."""

    status: Literal["ok"] = "ok"


class Illness(Struct, frozen=True):
    """The database does not answer."""

    status: Literal["unhealthy"] = "unhealthy"


@get(
    "/healthz",
    Operation(
        tag=Tag("Health", "Whether the service can do its work."),
        success=plain(Health, "The database answers."),
        failures={503: plain(Illness, "The database does not answer.", 503)},
    ),
)
async def healthz(request: ApiRequest) -> Answer:
    """200 when the database answers, else 503."""
    if await _answers(request.services.pool):
        return json(200, msgspec.json.encode(Health()))
    return json(503, msgspec.json.encode(Illness()))


async def _answers(pool: Pool) -> bool:
    try:
        connection = await pool.acquire(timeout=ACQUIRE_SECONDS)
    except Exception as failure:  # noqa: BLE001 - whatever it is, the database did not answer
        return _unhealthy(failure)
    try:
        return bool(await connection.fetchval("SELECT true", timeout=QUERY_SECONDS))
    except Exception as failure:  # noqa: BLE001 - the same
        # Going back to the pool, a connection that hangs would be waited for.
        connection.terminate()
        return _unhealthy(failure)
    finally:
        await pool.release(connection)


def _unhealthy(failure: Exception) -> Literal[False]:
    _log.warning("the database does not answer", cause=type(failure).__name__)
    return False


HEALTH_ROUTES = (healthz,)
