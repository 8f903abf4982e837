"""Requests by chance: mostly sensible, about few names so that they meet, and sometimes wrong."""

from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

Json = dict[str, Any]  # Any: JSON

# References: to anybody's resource, to nothing, and to something that is no id; others are to one of the project's own.
FOREIGN, UNKNOWN, NO_ID = 7, 8, 9
NAMES = ("a", "b", "A b", "c_d%", "Zoë", "x" * 100)
ID = "c0ffee00-0000-4000-8000-00000000000a"

# Right values, then wrong ones, of which few are taken.
VALUES: dict[str, tuple[tuple[Any, ...], tuple[Any, ...]]] = {
    "name": (NAMES, ("", "x" * 101, "a\0b", 5, ["a"])),
    "description": (("", "one", "two"), (7, "\0")),
    "owner_email": (("", "ada@example.com", "e" * 255), ("e" * 256, False)),
    "model_type": (("", "LLM", "VISION"), (0, {})),
    "tags": (({}, {"tasks": ["t"]}, {"frameworks": ["f", "g"], "tasks": None}), ([], {"tasks": "t"}, {"tasks": [1]})),
    "labels": (({}, {"team": "x"}, {"team": "y", "": ""}), ([], {"team": 1}, {"a\0": "b"})),
    "model_size": ((0, 1, 2**63 - 1, -5), (2**63, 1.5, "1", True)),
    "state": (("LIVE", "ARCHIVED"), ("live", "", 1)),
    "deployment_status": (("UNDEPLOYED", "DEPLOYED", "FAILED"), ("deployed", 0)),
    "status": (("PENDING", "READY", "FAILED"), ("ready", [])),
    "is_default": ((True, False), ("true", 1)),
    "model_framework": (("sklearn", "f" * 100), ("", "f" * 101, 1)),
    "model_framework_version": (("1.4", "2"), ("", "v" * 51, 1.4)),
    "uri": (("s3://a", "gs://b", "u" * 500), ("", "u" * 501, 3)),
    "artifact_type": (("", "onnx"), (1,)),
    "container_image": (("", "image:1"), ("i" * 501,)),
    "model_catalog_name": (("", "catalog"), ("c" * 201,)),
    "access_key": (("", "access"), ("k" * 501,)),
    "secret_key": (("", "secret"), (9,)),
    "created_by_email": (("", "bob@example.com"), ("e" * 256,)),
    "updated_by_email": (("", "eve@example.com"), ([],)),
    "prebuilt_container_id": ((ID,), ("nope", 1)),
}


@dataclass(frozen=True)
class Request:
    """One request; models, versions and parents are numbers that stand for one of those which exist."""

    kind: str
    project: int = 0
    model: int = 0
    version: int = 0
    nested: bool = False
    body: Json = field(default_factory=dict)
    parent: int | None = None
    query: dict[str, str] = field(default_factory=dict)
    by: tuple[str, ...] = ()
    revision: str = "none"
    twice: bool = False


def value(name: str) -> st.SearchStrategy[Any]:
    right, wrong = VALUES[name]
    usual = st.sampled_from(right)
    return st.integers(0, 24).flatmap(
        lambda chance: st.sampled_from(wrong) if chance == 0 else st.none() if chance == 1 else usual
    )


def body(*optional: str, required: tuple[str, ...] = ()) -> st.SearchStrategy[Json]:
    """What must be there, with up to four other fields: few, so that many a change changes nothing."""
    whole = st.lists(st.sampled_from(optional), max_size=4, unique=True).flatmap(
        lambda names: st.fixed_dictionaries({name: value(name) for name in (*required, *names)})
    )
    lacking = st.sampled_from(required or ("name",)).flatmap(
        lambda name: whole.map(lambda fields: {key: each for key, each in fields.items() if key != name})
    )
    return st.integers(0, 15).flatmap(lambda chance: lacking if chance == 0 and required else whole)


TRAINED = ("model_framework", "model_framework_version", "uri")
ARTIFACT = ("artifact_type", "container_image", "labels")
VERSION = (*ARTIFACT, "description", "is_default", "model_catalog_name", "prebuilt_container_id")
SECRETS = ("access_key", "secret_key")

reference = st.sampled_from((0, 0, 0, 0, 1, 1, 1, 2, 2, 3, 4, 5, FOREIGN, FOREIGN, UNKNOWN, NO_ID))
project = st.sampled_from((0, 0, 0, 1))
revision = st.sampled_from(("none", "none", "current", "any", "stale"))
rarely = st.integers(0, 5).map(lambda chance: chance == 0)
page = {
    "limit": st.sampled_from(("1", "2", "3", "0", "-1", "x", "101")),
    "offset": st.sampled_from(("0", "1", "2", "7", "x", "-1")),
    "order": st.sampled_from(("asc", "desc", "up")),
}
state = st.sampled_from(("LIVE", "ARCHIVED", "nonsense", ""))
status = st.sampled_from(("PENDING", "READY", "FAILED"))
model_sort = st.sampled_from(
    ("created_at", "name", "description", "model_type", "state", "model_size", "version_count")
)
version_sort = st.sampled_from(("created_at", "name", "uri", "model_framework", "artifact_type"))


def _kind(kind: str, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Request]:
    return st.builds(Request, kind=st.just(kind), project=project, model=reference, version=reference, **fields)


def _query(**fields: st.SearchStrategy[str]) -> st.SearchStrategy[dict[str, str]]:
    return st.fixed_dictionaries({}, optional=fields)


def _by(*names: str) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(names), max_size=2, unique=True).map(tuple)


model_creation = _kind(
    "create_model",
    body=body("description", "owner_email", "model_type", "tags", "labels", required=("name",)),
    parent=st.one_of(st.none(), st.none(), reference),
    twice=rarely,
)
model_patch = _kind(
    "patch_model",
    body=body("name", "description", "model_type", "model_size", "state", "deployment_status", "tags", "labels"),
    revision=revision,
)
version_creation = _kind(
    "create_version",
    body=body(*VERSION, *SECRETS, "created_by_email", "updated_by_email", required=("name", *TRAINED)),
    twice=rarely,
)
version_patch = _kind(
    "patch_version",
    body=body("name", "description", "is_default", "state", "status", *TRAINED, *ARTIFACT),
    nested=st.booleans(),
    revision=revision,
)
artifact_creation = _kind(
    "create_artifact", body=body(*ARTIFACT, "description", *SECRETS, required=("name", *TRAINED)), twice=rarely
)
artifact_patch = _kind("patch_artifact", body=body(*TRAINED, *ARTIFACT), revision=revision)
one_field = _kind(
    "patch_model",
    body=st.sampled_from(("description", "model_type", "model_size", "state", "tags", "labels", "name")).flatmap(
        lambda name: st.fixed_dictionaries({name: value(name)})
    ),
)
archive = _kind("patch_model", body=st.just({"state": "ARCHIVED"}))
delete = _kind("delete_model", revision=revision)
default = _kind("patch_version", body=st.builds(dict, is_default=st.booleans()), nested=st.booleans())
search = st.sampled_from(("a", "B", "%", "_", "zo", "xx"))
reads = (
    _kind("list_models", query=st.fixed_dictionaries({"search": search})),
    _kind("get_model"),
    _kind("get_version", nested=st.booleans()),
    _kind("get_artifact"),
    _kind("find_model", by=_by("name", "externalId")),
    _kind("find_version", by=_by("name", "externalId", "parentResourceId", "registered_model_id")),
    _kind("find_artifact", by=_by("name", "externalId", "parentResourceId")),
    _kind(
        "list_models",
        query=_query(
            **page,
            state=state,
            model_type=st.sampled_from(("LLM", "CUSTOMTRAIN")),
            search=search,
            sort_by=model_sort,
        ),
    ),
    _kind(
        "list_versions", query=_query(**page, state=state, status=status, sort_by=version_sort), nested=st.booleans()
    ),
    _kind("list_artifacts", query=_query(**page, state=state, status=status, sort_by=version_sort)),
)

request = st.one_of(
    *(model_creation, version_creation, version_creation, artifact_creation),
    *(model_patch, one_field, version_patch, version_patch, default, default, artifact_patch, archive, delete),
    *reads,
)
