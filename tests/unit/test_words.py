"""Texts as words: the same ones, whichever way they are found."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeltrail.projections.words import joined_words, words_in


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("google/bert-base_v2.1", ["google", "bert", "base", "v2", "1"]),
        ("Größe \uff22\uff25\uff32\uff34", ["grösse", "bert"]),
        ("  \t\n", []),
        ("a" * 250, ["a" * 100]),
        # The letters become more than a hundred when they are folded, though the text is shorter.
        ("㍿" * 60, ["株式会社" * 25]),
    ],
)
def test_words_are_letters_and_digits_in_lower_case(text: str, words: list[str]) -> None:
    assert words_in(text) == words


@given(st.text(st.characters(codec="ascii"), max_size=300))
def test_plain_texts_have_the_words_that_others_would_have(text: str) -> None:
    assert words_in(text) == [word[:100] for word in re.findall(r"[^\W_]+", text.lower())]


def test_words_are_joined_as_far_as_there_is_room() -> None:
    assert joined_words(["Iris", "large-scale"], 8) == "iris lar"
