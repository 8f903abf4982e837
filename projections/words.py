"""Texts as words: the same ones for what is kept to be searched and for what is searched for.

Split here and not by PostgreSQL, whose parser takes `google/bert-base` for the path of a file and `iris.v2` for the
name of a host, and would find neither `bert` nor `iris` in them.
"""

import re
import unicodedata
from collections.abc import Iterable

_WORD = re.compile(r"[^\W_]+")
_LONGEST_WORD = 100  # characters; PostgreSQL's limit is 2,046 bytes


def words_in(text: str) -> list[str]:
    """Letters and digits, in lower case, whatever stands between them."""
    folded = text.lower() if text.isascii() else unicodedata.normalize("NFKC", text).casefold()
    return [word[:_LONGEST_WORD] for word in _WORD.findall(folded)]


def joined_words(texts: Iterable[str], longest: int) -> str:
    """The words of `texts`, as far as they have room in `longest` characters."""
    text = " ".join(texts)[:longest]
    return " ".join(words_in(text))[:longest]
