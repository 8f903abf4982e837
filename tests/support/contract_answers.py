"""Resources as the contract shows them: every field, in its order."""

from collections.abc import Mapping, Sequence
from typing import Any

from support.contract import Model, Registry, Version
from support.contract_bodies import Json, RefusedError

ARTIFACT = (
    *("id", "created_at", "updated_at", "registered_model_id", "name", "artifact_type", "model_framework"),
    *("model_framework_version", "container_image", "uri", "labels", "prebuilt_container_id"),
)
UNSEEN = object()  # what only the server knows so far


def known(resource: Model | Version) -> Json:
    return {name: resource.known.get(name, UNSEEN) for name in ("id", "created_at", "updated_at")}


def model_item(registry: Registry, model: Model) -> Json:
    """A model in a list."""
    fields = dict(model.fields)
    email = fields.pop("owner_email")
    return {
        **known(model),
        "project_id": registry.projects[model.project],
        "owner_id": None,
        **({"owner_email": email} if email else {}),
        **fields,
        "version_count": len(model.versions),
    }


def model_alone(registry: Registry, model: Model) -> Json:
    """A model on its own, with two of its versions without people."""
    shown = model_item(registry, model)
    latest = model.versions[-1] if model.versions else None
    for name, version in (("latest_version", latest), ("default_version", model.default)):
        if version is not None:
            shown[name] = {key: value for key, value in version_json(version).items() if not key.endswith("_by_email")}
    return shown


def version_json(version: Version) -> Json:
    fields = dict(version.fields)
    emails = {name: fields.pop(name) for name in ("created_by_email", "updated_by_email")}
    return {
        **known(version),
        "registered_model_id": version.model.known["id"],
        "name": fields.pop("name"),
        "description": fields.pop("description"),
        "is_default": version.model.default is version,
        "state": fields.pop("state"),
        "status": fields.pop("status"),
        "created_by_id": None,
        "updated_by_id": None,
        **{name: email for name, email in emails.items() if email},
        **fields,
    }


def artifact_json(version: Version) -> Json:
    whole = version_json(version)
    return {name: whole[name] for name in ARTIFACT}


def page_of(matches: Sequence[tuple[int, Json]], query: Mapping[str, str]) -> tuple[list[Json], Json]:
    """The items of a page, and the numbers beside them. Each match comes with its number in the order of creation."""
    limit, offset = _integer(query, "limit", 20), _integer(query, "offset", 0)
    if offset < 0:
        raise RefusedError(400, naming=frozenset({"offset"}))
    sort_by = query.get("sort_by") or "created_at"
    ordered = sorted(matches, key=lambda match: _place(match, sort_by), reverse=query.get("order") != "asc")
    shown = min(limit, 100) if limit > 0 else 20
    items = [item for _, item in ordered[offset : offset + shown]]
    return items, {"total": len(matches), "page_size": limit, "next_offset": offset + len(items)}


def _place(match: tuple[int, Json], sort_by: str) -> tuple[Any, ...]:
    number, item = match
    return (number,) if sort_by == "created_at" else (item.get(sort_by, ""), item["id"])


def _integer(query: Mapping[str, str], name: str, absent: int) -> int:
    try:
        return int(query.get(name, absent))
    except ValueError:
        return 0
