"""Text that PostgreSQL can store and JSON can carry."""

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct, structs

FORBIDDEN = "must be Unicode text without U+0000"


def is_storable(text: str) -> bool:
    """Whether `text` holds neither U+0000 nor half of a surrogate pair."""
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


def unstorable_fields(value: object) -> Iterator[str]:
    """The names of those fields of a struct or object that hold text which cannot be stored, however deep."""
    fields: Mapping[str, object]
    if isinstance(value, Struct):
        fields = {name: getattr(value, name) for name in value.__struct_fields__}
    elif isinstance(value, Mapping):
        fields = value
    else:
        return
    for name, content in fields.items():
        if not all(map(is_storable, _texts(content))):
            yield name


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Struct):
        yield from _texts(structs.asdict(value))
    elif isinstance(value, Mapping):
        yield from _texts(list(value.keys()))
        yield from _texts(list(value.values()))
    elif isinstance(value, Sequence) and not isinstance(value, bytes):
        for item in value:
            yield from _texts(item)
