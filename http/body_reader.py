"""From the bytes of a body to its struct, and from msgspec's errors to sentences for the caller."""

import json
import re
from typing import Any, Generic, NoReturn, TypeVar
from uuid import UUID

import msgspec
from msgspec import Struct

from modeltrail.http.errors import BadRequestError, invalid
from modeltrail.http.texts import FORBIDDEN, unstorable_fields
from modeltrail.http.uuids import parse_uuid

B = TypeVar("B", bound=Struct)

EMPTY = "cannot be empty"
NO_OBJECT = "expected a JSON object"
INVALID_STATE = "invalid state"
NIL = UUID(int=0)
_MOST_DIGITS = 1000

_PATH = re.compile(r" - at `\$\.?([^`]*)`$")
_SUBSCRIPT = re.compile(r"\[[^]]*\]")
_MISSING = re.compile(r"Object missing required field `(\w+)`")
_EXPECTED = re.compile(r"Expected `(\w+)(?: \| null)?`, got `(\w+)`")
_BOUND = re.compile(r"Expected `(\w+)`( of length)? ([<>]=) (-?\d+)")
_IN_WORDS = {
    "str": "a string",
    "int": "an integer",
    "bool": "true or false",
    "uuid": "a UUID",
    "array": "a list",
    "object": "a JSON object",
}


class BodyReader(Generic[B]):
    """Reads bodies of one kind."""

    def __init__(self, kind: type[B]) -> None:
        self._kind = kind
        self._decode = msgspec.json.Decoder(kind).decode
        fields = msgspec.structs.fields(kind)
        self._names = {field.name for field in fields}
        self._required_ids = [field.name for field in fields if field.required and field.type is UUID]

    def read(self, raw: bytes) -> B:
        """The body in `raw`. Raises BadRequestError naming the field that is wrong."""
        try:
            body = self._decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError):
            body = self._read_slowly(raw)
        except RecursionError:
            raise invalid("body", "nested too deep") from None
        # Escapes are the only way in for U+0000, and few bodies hold any.
        if b"\\u0000" in raw:
            _require_storable(body)
        for name in self._required_ids:
            if getattr(body, name) == NIL:
                raise invalid(name, EMPTY)
        return body

    def _read_slowly(self, raw: bytes) -> B:
        """Read again what msgspec refuses as a whole: to name the field, or to take forms of UUIDs that Go takes."""
        given = _parse(raw)
        known = {name: value for name, value in given.items() if name in self._names}
        _require_storable(known)
        for field in msgspec.structs.fields(self._kind):
            value = known.get(field.name)
            if isinstance(value, str) and field.type in (UUID, UUID | None):
                known[field.name] = parse_uuid(value) or value
        try:
            return msgspec.convert(known, self._kind)
        except msgspec.ValidationError as refusal:
            _explain(str(refusal))


def _parse(raw: bytes) -> dict[str, Any]:
    """The object in `raw`, with the standard library, which keeps lone surrogates."""
    if not raw.strip():
        raise invalid("body", "must not be empty: " + NO_OBJECT)
    try:
        text = raw.decode("utf-8", "surrogateescape")
        given = json.loads(text, parse_constant=_refuse_constant, parse_int=_integer)
    except RecursionError:
        raise invalid("body", "nested too deep") from None
    except ValueError:
        raise invalid("body", "malformed JSON") from None
    if not isinstance(given, dict):
        raise invalid("body", NO_OBJECT)
    return given


def _integer(digits: str) -> int:
    """The number, or, as int() refuses thousands of digits, one of its sign that fits no field either."""
    return int(digits[:_MOST_DIGITS])


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _require_storable(fields: object) -> None:
    for name in unstorable_fields(fields):
        raise invalid(name, FORBIDDEN)


def _explain(refusal: str) -> NoReturn:
    """Say in plain words what msgspec refused."""
    missing = _MISSING.match(refusal)
    if missing:
        raise invalid(missing[1], EMPTY)
    if refusal.startswith("Invalid enum value"):
        raise BadRequestError(INVALID_STATE)
    path = _PATH.search(refusal)
    field = _SUBSCRIPT.sub("", path[1]) if path else ""
    raise invalid(field or "body", _problem(refusal))


def _problem(refusal: str) -> str:
    expected = _EXPECTED.match(refusal)
    if expected:
        is_missing = expected[2] == "null" and not _SUBSCRIPT.search(refusal)
        return EMPTY if is_missing else "expected " + _IN_WORDS.get(expected[1], expected[1])
    bound = _BOUND.match(refusal)
    if bound is None:
        return "expected a UUID" if refusal.startswith("Invalid UUID") else "cannot be understood"
    if not bound[2]:
        return f"must be {'at most' if bound[3] == '<=' else 'at least'} {bound[4]}"
    return f"at most {bound[4]} characters are allowed" if bound[3] == "<=" else EMPTY
