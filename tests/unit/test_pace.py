"""When a crowd of commands is split, so that half of it is decided while the other is written."""

import pytest

from modeltrail.commands.committing.pace import CROWD, TRIAL, Pace


def turns(pace: Pace, count: int, *, halves: int, whole: int) -> list[bool]:
    """Which way the turns went, where each way writes so many commands a second."""
    ways = []
    for _ in range(count):
        ways.append(pace.halves)
        pace.take_in(halves if pace.halves else whole, 1.0)
    return ways


@pytest.mark.parametrize(("waiting", "share"), [(1, 1), (CROWD - 1, CROWD - 1), (CROWD, CROWD // 2), (33, 17)])
def test_only_a_crowd_is_split(waiting: int, share: int) -> None:
    assert Pace().share(waiting) == share


def test_a_crowd_is_not_split_where_that_is_slower() -> None:
    pace = Pace()
    turns(pace, 4 * TRIAL + 1, halves=8_000, whole=11_000)

    assert pace.share(32) == 32


def test_a_crowd_is_split_where_that_is_faster() -> None:
    pace = Pace()
    turns(pace, 4 * TRIAL + 1, halves=13_000, whole=9_000)

    assert pace.share(32) == 16


@pytest.mark.parametrize(("halves", "whole"), [(8_000, 11_000), (13_000, 9_000)])
def test_the_slower_way_is_tried_seldom(halves: int, whole: int) -> None:
    pace = Pace()
    turns(pace, 4 * TRIAL, halves=halves, whole=whole)
    ways = turns(pace, 10 * TRIAL, halves=halves, whole=whole)

    slower = halves < whole
    assert ways.count(slower) == 10


def test_a_change_of_the_weather_is_noticed() -> None:
    pace = Pace()
    turns(pace, 10 * TRIAL, halves=13_000, whole=9_000)
    ways = turns(pace, 10 * TRIAL, halves=5_000, whole=9_000)

    assert ways[-TRIAL + 1 :].count(False) >= TRIAL - 2


def test_fewer_callers_are_no_reason_to_change_the_way() -> None:
    pace = Pace()
    turns(pace, 10 * TRIAL + 1, halves=25_000, whole=20_000)
    ways = turns(pace, 10 * TRIAL, halves=15_000, whole=12_000)

    assert ways.count(False) == 10


def test_a_single_fast_turn_is_no_reason_to_change_the_way() -> None:
    pace = Pace()
    turns(pace, 4 * TRIAL, halves=10_000, whole=9_000)
    turns(pace, 1, halves=10_000, whole=12_000)

    assert turns(pace, TRIAL - 1, halves=10_000, whole=9_000).count(False) == 0
