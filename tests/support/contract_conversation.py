"""Requests sent to the service and to the model of its contract, whose answers are compared."""

from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlencode
from uuid import uuid4

import httpx

from support.api import Api, Project
from support.contract import Model, Registry, Version
from support.contract_answers import UNSEEN, artifact_json, model_alone, model_item, page_of, version_json
from support.contract_bodies import ARTIFACT_PATCH, Json, RefusedError
from support.contract_requests import FOREIGN, NO_ID, UNKNOWN, Request

T = TypeVar("T", Model, Version)


class Conversation:
    """Two projects talk to the service, and a model in memory listens."""

    def __init__(self, api: Api) -> None:
        self.projects = [api.project(), api.project()]
        self.registry = Registry([str(project.id) for project in self.projects])
        self.versions: list[Version] = []

    async def say(self, asked: Request) -> None:
        """Send the request, and compare the answer with the model's. Raises AssertionError when they differ."""
        project = self.projects[asked.project]
        before = await project.events()
        changed = await getattr(self, f"_{asked.kind}")(asked, project)
        assert (await project.events() > before) == changed, f"{asked}: events must {'' if changed else 'not '}follow"

    # --- models ---------------------------------------------------------------------------------------------------

    async def _create_model(self, asked: Request, project: Project) -> bool:
        parent = {} if asked.parent is None else {"parent_model_id": self._model_id(asked, asked.parent)}
        body = asked.body | parent
        answer = await self._post(project, "/models", body, asked)
        model = self._outcome(answer, lambda: self.registry.create_model(asked.project, body))
        return self._is_shown(answer, 201, model, model and model_alone(self.registry, model))

    async def _patch_model(self, asked: Request, project: Project) -> bool:
        id_ = self._model_id(asked, asked.model)
        stale, headers = await self._revision(asked, project, f"/models/{id_}")
        answer = await project.patch(f"/models/{id_}", asked.body, **headers)
        patched = self._outcome(
            answer, lambda: self.registry.patch_model(asked.project, id_, dict(asked.body), stale=stale)
        )
        return self._is_patched(answer, patched, patched and model_alone(self.registry, patched[0]))

    async def _delete_model(self, asked: Request, project: Project) -> bool:
        id_ = self._model_id(asked, asked.model)
        stale, headers = await self._revision(asked, project, f"/models/{id_}")
        answer = await project.delete(f"/models/{id_}", **headers)
        model = self._outcome(answer, lambda: self.registry.delete_model(asked.project, id_, stale=stale))
        if model is None:
            return False
        assert (answer.status_code, answer.json()) == (200, {"status": "deleted"})
        self.versions = [version for version in self.versions if version.model is not model]
        return True

    async def _get_model(self, asked: Request, project: Project) -> bool:
        id_ = self._model_id(asked, asked.model)
        answer = await project.get(f"/models/{id_}")
        model = self._outcome(answer, lambda: self.registry.model(asked.project, id_))
        self._is_shown(answer, 200, model, model and model_alone(self.registry, model))
        return False

    async def _find_model(self, asked: Request, project: Project) -> bool:
        query = self._lookup(asked)
        answer = await project.get(f"/model?{urlencode(query)}")
        model = self._outcome(answer, lambda: self.registry.find_model(asked.project, query))
        self._is_shown(answer, 200, model, model and model_alone(self.registry, model))
        return False

    async def _list_models(self, asked: Request, project: Project) -> bool:
        answer = await project.get(f"/models?{urlencode(asked.query)}")
        matches = self.registry.models_like(asked.project, asked.query)
        return self._is_page(answer, asked, [(each, model_item(self.registry, each)) for each in matches])

    # --- versions and artifacts -----------------------------------------------------------------------------------

    async def _create_version(self, asked: Request, project: Project) -> bool:
        id_ = self._model_id(asked, asked.model)
        answer = await self._post(project, f"/models/{id_}/versions", asked.body, asked)
        version = self._outcome(answer, lambda: self.registry.create_version(asked.project, id_, asked.body))
        return self._is_new(answer, version, version and version_json(version))

    async def _create_artifact(self, asked: Request, project: Project) -> bool:
        body = asked.body | {"registered_model_id": self._model_id(asked, asked.model)}
        answer = await self._post(project, "/model_artifacts", body, asked)
        version = self._outcome(answer, lambda: self.registry.create_artifact(asked.project, body))
        return self._is_new(answer, version, version and artifact_json(version))

    async def _patch_version(self, asked: Request, project: Project) -> bool:
        path, id_, model_id = self._version_path(asked)
        stale, headers = await self._revision(asked, project, path)
        answer = await project.patch(path, asked.body, **headers)
        patched = self._outcome(
            answer,
            lambda: self.registry.patch_version(asked.project, id_, dict(asked.body), stale=stale, model_id=model_id),
        )
        return self._is_patched(answer, patched, patched and version_json(patched[0]))

    async def _patch_artifact(self, asked: Request, project: Project) -> bool:
        id_ = self._version_id(asked)
        stale, headers = await self._revision(asked, project, f"/model_artifacts/{id_}")
        answer = await project.patch(f"/model_artifacts/{id_}", asked.body, **headers)
        patched = self._outcome(
            answer,
            lambda: self.registry.patch_version(
                asked.project, id_, dict(asked.body), stale=stale, fields=ARTIFACT_PATCH
            ),
        )
        return self._is_patched(answer, patched, patched and artifact_json(patched[0]))

    async def _get_version(self, asked: Request, project: Project) -> bool:
        path, id_, model_id = self._version_path(asked)
        answer = await project.get(path)
        version = self._outcome(answer, lambda: self.registry.version(asked.project, id_, model_id))
        self._is_shown(answer, 200, version, version and version_json(version))
        return False

    async def _get_artifact(self, asked: Request, project: Project) -> bool:
        id_ = self._version_id(asked)
        answer = await project.get(f"/model_artifacts/{id_}")
        version = self._outcome(answer, lambda: self.registry.version(asked.project, id_, called="artifact id"))
        self._is_shown(answer, 200, version, version and artifact_json(version))
        return False

    async def _find_version(self, asked: Request, project: Project) -> bool:
        query = self._lookup(asked)
        answer = await project.get(f"/model_version?{urlencode(query)}")
        version = self._outcome(answer, lambda: self.registry.find_version(asked.project, query))
        self._is_shown(answer, 200, version, version and version_json(version))
        return False

    async def _find_artifact(self, asked: Request, project: Project) -> bool:
        query = self._lookup(asked)
        answer = await project.get(f"/model_artifact?{urlencode(query)}")
        version = self._outcome(answer, lambda: self.registry.find_version(asked.project, query))
        self._is_shown(answer, 200, version, version and artifact_json(version))
        return False

    async def _list_versions(self, asked: Request, project: Project) -> bool:
        model_id = self._model_id(asked, asked.model) if asked.nested else None
        path = f"/models/{model_id}/versions" if asked.nested else "/model_versions"
        answer = await project.get(f"{path}?{urlencode(asked.query)}")
        found = self._outcome(answer, lambda: self.registry.versions_of(asked.project, model_id, asked.query))
        return found is not None and self._is_page(answer, asked, [(each, version_json(each)) for each in found])

    async def _list_artifacts(self, asked: Request, project: Project) -> bool:
        answer = await project.get(f"/model_artifacts?{urlencode(asked.query)}")
        found = self.registry.versions_of(asked.project, None, asked.query)
        return self._is_page(answer, asked, [(each, artifact_json(each)) for each in found])

    # --- what requests stand for ----------------------------------------------------------------------------------

    def _model_id(self, asked: Request, reference: int) -> str:
        return _id_of(self.registry.models, reference, lambda model: model.project == asked.project)

    def _version_id(self, asked: Request) -> str:
        return _id_of(self.versions, asked.version, lambda version: version.model.project == asked.project)

    def _version_path(self, asked: Request) -> tuple[str, str, str | None]:
        version_id = self._version_id(asked)
        if not asked.nested:
            return f"/model_versions/{version_id}", version_id, None
        # Mostly the right model: below others there is nothing to be found.
        of = next((each.model for each in self.versions if each.known["id"] == version_id), None)
        model_id = of.known["id"] if of and asked.model < FOREIGN else self._model_id(asked, asked.model)
        return f"/models/{model_id}/versions/{version_id}", version_id, model_id

    def _lookup(self, asked: Request) -> dict[str, str]:
        known = {
            "name": (*("a", "b", "A b"), "nobody")[asked.version % 4],
            "externalId": self._model_id(asked, asked.model) if asked.kind == "find_model" else self._version_id(asked),
            "parentResourceId": self._model_id(asked, asked.model),
            "registered_model_id": self._model_id(asked, asked.model),
        }
        return {name: known[name] for name in asked.by}

    async def _revision(self, asked: Request, project: Project, path: str) -> tuple[bool, dict[str, str]]:
        """Whether the change must be refused as stale, and the header to send."""
        if asked.revision == "none":
            return False, {}
        if asked.revision == "any":
            return False, {"If_Match": "*"}
        current = (await project.get(path)).headers.get("etag", '"1"')
        if asked.revision == "current":
            return False, {"If_Match": current}
        return True, {"If_Match": f'"{int(current.strip(chr(34))) + 1}"'}

    async def _post(self, project: Project, path: str, body: Json, asked: Request) -> httpx.Response:
        """The first answer; asked twice, the second must be the same."""
        if not asked.twice:
            return await project.post(path, body)
        key = str(uuid4())
        first = await project.post(path, body, Idempotency_Key=key)
        again = await project.post(path, body, Idempotency_Key=key)
        assert (again.status_code, again.content) == (first.status_code, first.content)
        if first.status_code == 201:
            assert again.headers["idempotent-replayed"] == "true"
            assert (await project.post(path, body | {"description": "another"}, Idempotency_Key=key)).status_code == 422
        return first

    # --- what answers must be -------------------------------------------------------------------------------------

    def _outcome(self, answer: httpx.Response, expected: Any) -> Any:  # Any: of any kind
        """What the model says, or None when it refuses, which the answer must do in the same way."""
        try:
            return expected()
        except RefusedError as error:
            refused = error
        body = answer.json()
        assert (answer.status_code, list(body)) == (refused.status, ["error"]), (answer.text, refused)
        assert refused.message in ("", body["error"]), (answer.text, refused)
        assert not refused.naming or any(name in body["error"] for name in refused.naming), (answer.text, refused)
        return None

    def _is_new(self, answer: httpx.Response, version: Version | None, shown: Json | None) -> bool:
        if version is not None:
            self.versions.append(version)
        return self._is_shown(answer, 201, version, shown)

    def _is_patched(self, answer: httpx.Response, patched: Any, shown: Json | None) -> bool:  # Any: of any kind
        if patched is None or shown is None:
            return False
        resource, changed = patched
        if changed:
            resource.known.pop("updated_at", None)
            shown["updated_at"] = UNSEEN
        self._is_shown(answer, 200, resource, shown)
        return bool(changed)

    def _is_shown(
        self, answer: httpx.Response, status: int, resource: Model | Version | None, shown: Json | None
    ) -> bool:
        if resource is None or shown is None:
            return False
        assert answer.status_code == status, answer.text
        assert answer.headers["etag"]
        actual = answer.json()
        if resource.known.get("id") is None:
            assert actual["created_at"] == actual["updated_at"]
        resource.known |= {name: actual[name] for name in ("id", "created_at", "updated_at")}
        _assert_same(actual, shown)
        return True

    def _is_page(self, answer: httpx.Response, asked: Request, matches: list[tuple[Any, Json]]) -> bool:
        page = self._outcome(answer, lambda: page_of([(each.number, item) for each, item in matches], asked.query))
        if page is not None:
            items, numbers = page
            body = answer.json()
            assert answer.status_code == 200
            assert list(body) == ["items", "total", "page_size", "next_offset"]
            assert [item["id"] for item in body["items"]] == [item["id"] for item in items], (asked, body)
            for actual, item in zip(body["items"], items, strict=True):
                _assert_same(actual, item)
            assert {name: body[name] for name in numbers} == numbers
        return False


def _id_of(existing: list[T], reference: int, is_own: Callable[[T], bool]) -> str:
    if reference == NO_ID:
        return "nope"
    among = [each for each in existing if is_own(each) != (reference == FOREIGN)]
    if reference == UNKNOWN or not among:
        return str(uuid4())
    known: str = among[reference % len(among)].known["id"]
    return known


def _assert_same(actual: Json, shown: Json) -> None:
    assert list(actual) == list(shown)
    for name, value in shown.items():
        if isinstance(value, dict) and "id" in value:
            _assert_same(actual[name], value)
        elif value is not UNSEEN:
            assert actual[name] == value, (name, actual[name], value)
