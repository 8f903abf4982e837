"""Quantities as Kubernetes writes them."""

from decimal import Decimal

import pytest

from modeltrail.domain.quantity import amount


@pytest.mark.parametrize(
    ("quantity", "expected"),
    [
        ("0", "0"),
        ("500m", "0.5"),
        (".5", "0.5"),
        ("1.", "1"),
        ("2k", "2000"),
        ("2Ki", "2048"),
        ("1.5Gi", "1610612736"),
        ("1E", "1000000000000000000"),
        ("1e3", "1000"),
        ("12E-1", "1.2"),
    ],
)
def test_how_much_it_is(quantity: str, expected: str) -> None:
    assert amount(quantity) == Decimal(expected)


@pytest.mark.parametrize("text", ["", "much", "1 Gi", "1gi", "-1", "1K", "1e", "1e99999999999", "٣"])
def test_what_is_none(text: str) -> None:
    assert amount(text) is None


def test_two_ways_to_write_one_are_as_much() -> None:
    assert amount("1000m") == amount("1")
    assert amount("1024Mi") == amount("1Gi")
