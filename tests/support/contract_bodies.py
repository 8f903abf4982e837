"""What the contract says of bodies and ids: which fields there are, and when one is wrong."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

Json = dict[str, Any]  # Any: JSON
Check = Callable[[Any], bool]  # Any: JSON


STATES = {"state", "status", "deployment_status"}  # of all three the message is "invalid state"


class RefusedError(Exception):
    """The request must be refused: one of the statuses, with this message, or a message that names one of the
    fields."""

    def __init__(self, status: int, message: str = "", naming: frozenset[str] = frozenset()) -> None:
        super().__init__(status, message, naming)
        self.status, self.message, self.naming = status, message, naming


@dataclass(frozen=True)
class Field:
    """Whether a value is right, and whether there must be one."""

    is_right: Check
    required: bool = False


Fields = Mapping[str, Field]


def text(longest: int | None = None, shortest: int = 0) -> Check:
    def check(value: Any) -> bool:
        return (
            isinstance(value, str)
            and "\0" not in value
            and shortest <= len(value)
            and (longest is None or len(value) <= longest)
        )

    return check


def one_of(*words: str) -> Check:
    return lambda value: value in words


def is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63


def is_id(value: Any) -> bool:
    try:
        return isinstance(value, str) and bool(UUID(value))
    except ValueError:
        return False


def is_required_id(value: Any) -> bool:
    return is_id(value) and UUID(value).int != 0


def is_labels(value: Any) -> bool:
    return isinstance(value, dict) and all(text()(name) and text()(each) for name, each in value.items())


def is_tags(value: Any) -> bool:
    names = ("frameworks", "architectures", "tasks", "subjects")
    return isinstance(value, dict) and all(
        value.get(name) is None or (isinstance(value[name], list) and all(map(text(), value[name]))) for name in names
    )


NAME = text(100, 1)
LIFE = one_of("LIVE", "ARCHIVED")
EMAIL = Field(text(255))
LABELS = Field(is_labels)
TEXT = Field(text())

MODEL_CREATION: Fields = {
    "name": Field(NAME, required=True),
    "description": TEXT,
    "owner_email": EMAIL,
    "model_type": TEXT,
    "tags": Field(is_tags),
    "labels": LABELS,
    "parent_model_id": Field(is_id),
}
MODEL_PATCH: Fields = {
    "name": Field(NAME),
    "description": TEXT,
    "model_type": TEXT,
    "model_size": Field(is_size),
    "state": Field(LIFE),
    "deployment_status": Field(one_of("UNDEPLOYED", "DEPLOYED", "FAILED")),
    "tags": Field(is_tags),
    "labels": LABELS,
}
_TRAINED: Fields = {
    "name": Field(NAME, required=True),
    "model_framework": Field(text(100, 1), required=True),
    "model_framework_version": Field(text(50, 1), required=True),
    "uri": Field(text(500, 1), required=True),
    "description": TEXT,
    "artifact_type": TEXT,
    "container_image": Field(text(500)),
    "access_key": Field(text(500)),
    "secret_key": Field(text(500)),
    "labels": LABELS,
    "prebuilt_container_id": Field(is_id),
}
VERSION_CREATION: Fields = {
    **_TRAINED,
    "is_default": Field(is_flag),
    "model_catalog_name": Field(text(200)),
    "created_by_email": EMAIL,
    "updated_by_email": EMAIL,
}
ARTIFACT_CREATION: Fields = {"registered_model_id": Field(is_required_id, required=True), **_TRAINED}
ARTIFACT_PATCH: Fields = {
    "artifact_type": TEXT,
    "model_framework": Field(text(100, 1)),
    "model_framework_version": Field(text(50, 1)),
    "container_image": Field(text(500)),
    "uri": Field(text(500, 1)),
    "labels": LABELS,
}
VERSION_PATCH: Fields = {
    **ARTIFACT_PATCH,
    "name": Field(NAME),
    "description": TEXT,
    "is_default": Field(is_flag),
    "state": Field(LIFE),
    "status": Field(one_of("PENDING", "READY", "FAILED")),
}


def wrong_fields(body: Any, fields: Fields) -> set[str]:
    """The fields that are missing or not as they must be. An explicit null counts as absent."""
    return {
        name
        for name, field in fields.items()
        if (field.required if body.get(name) is None else not field.is_right(body[name]))
    }


def valid(body: Json, fields: Fields) -> Json:
    """The fields that count. Raises RefusedError that names those which are wrong."""
    if wrong := wrong_fields(body, fields):
        raise RefusedError(400, naming=frozenset(wrong | ({"invalid state"} if wrong & STATES else set())))
    return {name: value for name, value in body.items() if name in fields and value is not None}


def require_id(text: str, called: str) -> None:
    if not is_uuid(text):
        raise RefusedError(400, f"invalid {called}")


def is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
