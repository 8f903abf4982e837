"""Whether the service can do its work, for those who watch it."""

from typing import Literal

import structlog
from asyncpg import Pool
from litestar import get

from modeltrail.http.answers import Answer, json
from modeltrail.http.requests import ApiRequest

_log = structlog.get_logger(__name__)

# An answer must be out within two seconds, also when the database hangs.
ACQUIRE_SECONDS = 0.75
QUERY_SECONDS = 0.75


@get("/healthz")
async def healthz(request: ApiRequest) -> Answer:
    """200 when the database answers, else 503."""
    if await _answers(request.services.pool):
        return json(200, b'{"status":"ok"}')
    return json(503, b'{"status":"unhealthy"}')


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
