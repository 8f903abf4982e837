"""What the worker makes of a cluster's answers, the senseless ones included."""

import pytest

from modeltrail.workers.answers import change_of, decoded, refusal
from modeltrail.workers.cluster import ClusterUnavailable, WatchExpired
from modeltrail.workers.observation import read_service

DEEP = b'{"metadata":{"name":"iris"},"more":%b}' % (b"[" * 100_000 + b"]" * 100_000)


@pytest.mark.parametrize("error", [b"null", b'"<html>"', b"[]", b'{"code":"410"}', b'{"code":410,"details":[]}'])
def test_an_error_event_that_says_nothing_sensible_is_a_cluster_that_is_not_available(error: bytes) -> None:
    with pytest.raises(ClusterUnavailable, match="not an object"):
        change_of(b'{"type":"ERROR","object":%b}' % error)


def test_an_error_event_of_too_long_ago_has_expired() -> None:
    with pytest.raises(WatchExpired, match="too old"):
        change_of(b'{"type":"ERROR","object":{"code":410,"message":"too old"}}')


def test_what_is_nested_too_deeply_is_no_object() -> None:
    with pytest.raises(ClusterUnavailable, match="not an object"):
        decoded(read_service, DEEP)
    assert isinstance(refusal(500, DEEP, {}), ClusterUnavailable)


@pytest.mark.parametrize(("header", "pause"), [("1", 1.0), ("86400", 60.0), ("9" * 400, 60.0)])
def test_a_cluster_that_asks_for_patience_is_given_a_minute_at_most(header: str, pause: float) -> None:
    asked = refusal(429, b"{}", {"Retry-After": header})

    assert isinstance(asked, ClusterUnavailable)
    assert asked.retry_after == pause


def test_a_pause_that_only_the_body_asks_for_is_bounded_too() -> None:
    asked = refusal(503, b'{"details":{"retryAfterSeconds":86400}}', {})

    assert isinstance(asked, ClusterUnavailable)
    assert asked.retry_after == 60.0
