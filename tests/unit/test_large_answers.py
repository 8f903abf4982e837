"""How much of large answers is under way at a time."""

import pytest

from modeltrail.http.errors import BusyError
from modeltrail.http.large_answers import MOST, LargeAnswers


def test_there_is_room_for_so_many_bytes() -> None:
    answers = LargeAnswers()
    with answers.room(MOST - 1), answers.room(1), pytest.raises(BusyError), answers.room(1):
        pass


def test_a_single_answer_may_have_any_size() -> None:
    answers = LargeAnswers()
    with answers.room(2 * MOST):
        pass


def test_an_answer_that_breaks_off_leaves_its_room() -> None:
    answers = LargeAnswers()
    with pytest.raises(OSError, match="gone"), answers.room(MOST):
        raise OSError("gone")
    with answers.room(1), answers.room(1):
        pass
