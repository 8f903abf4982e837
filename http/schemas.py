"""JSON Schemas of bodies and answers, made from the very structs that decode the ones and encode the others."""

from collections.abc import Iterable
from inspect import cleandoc
from typing import Any

import msgspec
from msgspec import Struct

from modeltrail.http.body_reader import NIL
from modeltrail.http.documentation import TEXT, Json

PREFIX = "#/components/schemas/"


def reference(kind: type[Struct]) -> Json:
    """Where the schema of `kind` is."""
    return {"$ref": PREFIX + _name(kind.__name__)}


def schemas_of(bodies: Iterable[type[Struct]], answers: Iterable[type[Struct]]) -> Json:
    """All schemas by name.

    Those of bodies also say what the reader refuses on its own: U+0000 and the nil UUID. Those of answers say that a
    field with a default is there all the same.
    """
    taken = {name: _storable(_checked(schema)) for name, schema in _components(bodies).items()}
    sent = {name: _whole(schema) for name, schema in _components(answers).items()}
    return dict(sorted({**sent, **taken}.items()))


def _components(kinds: Iterable[type[Struct]]) -> Json:
    # Sorted: kinds come from a set, and the document should be the same bytes in every process.
    ordered = sorted(kinds, key=lambda kind: kind.__name__)
    _, components = msgspec.json.schema_components(ordered, ref_template=PREFIX + "{name}")
    return {_name(name): _renamed(schema) for name, schema in components.items()}


def _name(struct: str) -> str:
    return struct.removesuffix("Body")


def _renamed(schema: Any) -> Any:  # noqa: ANN401 - any part of a schema
    if isinstance(schema, list):
        return [_renamed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    renamed = {key: _renamed(value) for key, value in schema.items()}
    if isinstance(renamed.get("$ref"), str):
        renamed["$ref"] = PREFIX + _name(renamed["$ref"].removeprefix(PREFIX))
    if isinstance(renamed.get("title"), str):
        renamed["title"] = _name(renamed["title"])
    if isinstance(renamed.get("description"), str):
        renamed["description"] = _unwrapped(renamed["description"])
    if isinstance(renamed.get("enum"), list):
        renamed["type"] = "string"
    return renamed


def _unwrapped(docstring: str) -> str:
    """A docstring with a line for each paragraph, instead of the lines and the indentation of our code."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in cleandoc(docstring).split("\n\n"))


def _whole(schema: Json) -> Json:
    """An object as it is encoded: only what is UNSET is left out."""
    fields = schema.get("properties")
    if fields is None:
        return schema
    required = [name for name, field in fields.items() if "default" in field or name in schema["required"]]
    without = {name: {key: each for key, each in field.items() if key != "default"} for name, field in fields.items()}
    return {**schema, "properties": without, "required": required}


def _checked(schema: Json) -> Json:
    """An object whose required ids are not the nil UUID."""
    properties = schema.get("properties", {})
    ids = [name for name in schema.get("required", ()) if properties[name].get("format") == "uuid"]
    refused = {name: {**properties[name], "not": {"const": str(NIL)}} for name in ids}
    return {**schema, "properties": {**properties, **refused}} if refused else schema


def _storable(schema: Any) -> Any:  # noqa: ANN401 - any part of a schema
    """The schema, with free text limited to what can be stored."""
    if isinstance(schema, list):
        return [_storable(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    limited = {key: _storable(value) for key, value in schema.items()}
    if limited.get("type") == "string" and limited.keys().isdisjoint(("enum", "format", "pattern")):
        return {**limited, **TEXT}
    if isinstance(limited.get("additionalProperties"), dict):
        return {**limited, "propertyNames": TEXT}
    return limited
