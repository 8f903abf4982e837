"""The arguments of one statement that is put together of several, each of which counts its parameters from $1."""

import re
from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

_PARAMETER = re.compile(r"\$(\d+)(?:::(\w+\[\]))?")
# Shorter lists cost next to nothing to send, and each pattern of what is shared is another statement to prepare.
SHARED_FROM = 8


class Arguments:
    """What the parts are given. A list that two of them are given under the same array type is sent once.

    A third of what is written for new models is in two of its columns, and each list less is one less to encode while
    the connection has nothing to do.
    """

    def __init__(self) -> None:
        self.values: list[Any] = []  # Any: of several types
        self._lists: defaultdict[str, list[int]] = defaultdict(list)  # numbers by type

    def of(self, part: str, values: Sequence[Any]) -> str:  # Any: the same
        """Take in those of `values` that `part` refers to. The part, with the numbers that they have here."""
        numbers = [(number, self._take(type_, values[number - 1])) for number, type_ in _parameters(part)]
        return _renumbered(part, tuple(numbers))

    def _take(self, type_: str, value: Any) -> int:  # noqa: ANN401 of any type
        if type_ and isinstance(value, list) and len(value) >= SHARED_FROM:
            for number in self._lists[type_]:
                if self.values[number - 1] == value:
                    return number
            self._lists[type_].append(len(self.values) + 1)
        self.values.append(value)
        return len(self.values)


@lru_cache(1000)
def _parameters(part: str) -> tuple[tuple[int, str], ...]:
    """The number of each parameter, and the array type that it is cast to; empty when it is not cast to one."""
    types: dict[int, str] = {}
    for number, type_ in _PARAMETER.findall(part):
        types[int(number)] = type_ or types.get(int(number), "")
    return tuple(types.items())


@lru_cache(1000)
def _renumbered(part: str, numbers: tuple[tuple[int, int], ...]) -> str:
    new = dict(numbers)
    return _PARAMETER.sub(lambda found: found[0].replace(found[1], str(new[int(found[1])]), 1), part)
