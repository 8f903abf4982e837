"""Lists, page by page if asked."""

import base64
import binascii

import msgspec

from modeltrail.simulated_cluster.failures import bad_request, gone
from modeltrail.simulated_cluster.resources import Resource
from modeltrail.simulated_cluster.selectors import Selector
from modeltrail.simulated_cluster.store import Store


class _Token(msgspec.Struct):
    """Where a page ended; opaque to clients."""

    resource_version: int
    after: tuple[str, str]


def list_body(store: Store, resource: Resource, selector: Selector, *, namespace: str, limit: int, token: str) -> bytes:
    """A `…List` as JSON. Objects are stored encoded, so a long list costs a join.

    Raises `ApiError` 410 for a token older than the history, 400 for one that is not ours.
    """
    version = store.resource_version
    rows = [each for each in store.all(resource, namespace) if selector.matches(each)]
    if token:
        start = _read_token(token)
        if start.resource_version < store.horizon:
            raise gone(start.resource_version, version)
        version = start.resource_version
        rows = [each for each in rows if (each.key.namespace, each.key.name) > start.after]
    metadata = {"resourceVersion": str(version)}
    more = b""
    if limit and len(rows) > limit:
        last = rows[limit - 1].key
        metadata["continue"] = _written(_Token(version, (last.namespace, last.name)))
        more = b',"remainingItemCount":%d' % (len(rows) - limit)
        rows = rows[:limit]
    head = msgspec.json.encode({"kind": f"{resource.kind}List", "apiVersion": resource.api_version})
    meta = msgspec.json.encode(metadata)
    return b'%b,"metadata":%b%b},"items":[%b]}' % (
        head[:-1],
        meta[:-1],
        more,
        b",".join(each.raw for each in rows),
    )


def _written(token: _Token) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(token)).decode()


def _read_token(text: str) -> _Token:
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(text), type=_Token)
    except (msgspec.MsgspecError, binascii.Error) as error:
        raise bad_request("continue key is not valid") from error
