"""When a crowd of commands is split, so that half of it is decided while the other is written."""

import pytest

from modeltrail.commands.pace import CROWD, Pace


def pace(*, deciding: float, writing: float) -> Pace:
    """One that has measured these milliseconds."""
    made = Pace()
    made.deciding.seconds, made.writing.seconds = deciding / 1000, writing / 1000
    return made


@pytest.mark.parametrize(("waiting", "share"), [(1, 1), (CROWD - 1, CROWD - 1), (CROWD, CROWD // 2), (33, 17)])
def test_only_a_crowd_is_split(waiting: int, share: int) -> None:
    assert Pace().share(waiting) == share


def test_a_crowd_is_split_when_the_disk_is_fast() -> None:
    assert pace(deciding=0.6, writing=1.1).share(32) == 16


def test_a_crowd_is_not_split_when_the_disk_is_slow() -> None:
    assert pace(deciding=0.6, writing=3.5).share(32) == 32


def test_one_slow_write_does_not_make_a_disk_slow() -> None:
    measured = pace(deciding=0.6, writing=1.1)
    measured.writing.take_in(0.005)

    assert measured.share(32) == 16


def test_many_slow_writes_do() -> None:
    measured = pace(deciding=0.6, writing=1.1)
    for _ in range(50):
        measured.writing.take_in(0.005)

    assert measured.share(32) == 32
