"""Texts as words: the same ones for what is kept to be searched and for what is searched for.

Split here and not by PostgreSQL, whose parser takes `google/bert-base` for the path of a file and `iris.v2` for the
name of a host, and would find neither `bert` nor `iris` in them.
"""

import re
import unicodedata
from collections.abc import Iterable

_WORD = re.compile(r"[^\W_]+")
_ASCII_WORDS = bytes(ord(chr(code).lower()) if chr(code).isalnum() else ord(" ") for code in range(128)) + bytes(128)
_LONGEST_WORD = 100  # characters; PostgreSQL's limit is 2,046 bytes


def folded(text: str) -> str:
    """What is the same of texts that differ only in case, in any alphabet and whatever the database's locale."""
    return text.casefold()


def words_in(text: str) -> list[str]:
    """Letters and digits, in lower case, whatever stands between them."""
    if text.isascii():  # the same words, found in a tenth of the time
        lowered = text.encode("ascii").translate(_ASCII_WORDS).decode("ascii")
        words = lowered.split()
    else:
        lowered = unicodedata.normalize("NFKC", text).casefold()
        words = _WORD.findall(lowered)
    return words if len(lowered) <= _LONGEST_WORD else [word[:_LONGEST_WORD] for word in words]


def joined_words(texts: Iterable[str], longest: int) -> str:
    """The words of `texts`, as far as they have room in `longest` characters."""
    return " ".join(words_in(" ".join(texts)[:longest]))[:longest]
