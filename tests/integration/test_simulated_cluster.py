"""The simulated cluster answers as a Kubernetes API server with KServe does."""

import asyncio
import json
import logging
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from kubernetes_asyncio.client import ApiClient, ApiException, Configuration, CoreV1Api
from kubernetes_asyncio.config import load_kube_config

from modeltrail.simulated_cluster import (
    BEHAVIOUR,
    PortInUseError,
    SimulatedCluster,
    Timing,
    write_kubeconfig,
)
from support.cluster import (
    SERVICES,
    STUCK,
    Answer,
    Json,
    RawApi,
    eventually,
    options,
    raw_api,
    service,
)

ALL = "/apis/serving.kserve.io/v1beta1/inferenceservices"


@pytest.fixture
def api(kubernetes: RawApi) -> RawApi:
    return kubernetes


@pytest.fixture
async def core(cluster: SimulatedCluster) -> AsyncIterator[Any]:  # its stubs do not know _content_type
    async with ApiClient(Configuration(host=cluster.url)) as client:
        yield CoreV1Api(client)


async def ready(api: RawApi, name: str = "iris") -> Json:
    return await eventually(lambda: in_transition(api, "UpToDate", name))


async def in_transition(api: RawApi, wanted: str, name: str = "iris") -> Json | None:
    body = (await api.get(name)).body
    return body if transition(body) == wanted else None


def transition(body: Json) -> str | None:
    found: str | None = body.get("status", {}).get("modelStatus", {}).get("transitionStatus")
    return found


def condition(body: Json, kind: str = "Ready") -> str | None:
    return next((each["status"] for each in body["status"]["conditions"] if each["type"] == kind), None)


# Objects


async def test_every_answer_says_that_it_is_simulated(api: RawApi) -> None:
    for path in ("/version", "/healthz", ALL, "/no/such/path"):
        assert (await api.send("GET", path)).headers["X-Simulated-Cluster"] == "true"
    assert "simulated" in (await api.send("GET", "/version")).body["gitVersion"]


async def test_discovery_lists_the_kinds_that_are_served(api: RawApi) -> None:
    groups = (await api.send("GET", "/apis")).body["groups"]
    kinds = (await api.send("GET", "/apis/serving.kserve.io/v1beta1")).body["resources"]
    core_kinds = (await api.send("GET", "/api/v1")).body["resources"]

    assert [group["name"] for group in groups] == ["serving.kserve.io"]
    assert [kind["name"] for kind in kinds] == ["inferenceservices", "inferenceservices/status"]
    assert {"secrets", "serviceaccounts", "namespaces"} <= {kind["name"] for kind in core_kinds}


async def test_a_created_object_gets_identity_and_version(api: RawApi) -> None:
    answer = await api.create(service())

    metadata = answer.body["metadata"]
    assert answer.status == 201
    assert metadata["uid"]
    assert metadata["creationTimestamp"].endswith("Z")
    assert metadata["generation"] == 1
    assert int(metadata["resourceVersion"]) > 0


async def test_errors_are_status_objects(api: RawApi) -> None:
    answer = await api.get("nothing")

    assert answer.status == 404
    assert answer.body == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": 'inferenceservices.serving.kserve.io "nothing" not found',
        "reason": "NotFound",
        "details": {"name": "nothing", "group": "serving.kserve.io", "kind": "inferenceservices"},
        "code": 404,
    }


async def test_creating_twice_is_a_conflict(api: RawApi) -> None:
    await api.create(service())

    answer = await api.create(service())

    assert (answer.status, answer.body["reason"]) == (409, "AlreadyExists")


async def test_a_replacement_of_an_old_version_is_refused(api: RawApi) -> None:
    await api.create(service())
    current = await ready(api)
    path = f"{SERVICES.format('models')}/iris"

    stale = service(resourceVersion=str(int(current["metadata"]["resourceVersion"]) - 1))
    refused = await api.send("PUT", path, stale)
    accepted = await api.send("PUT", path, {**current, "spec": service(uri="s3://other")["spec"]})

    assert (refused.status, refused.body["reason"]) == (409, "Conflict")
    assert accepted.status == 200


async def test_only_a_change_of_the_spec_is_a_new_generation(api: RawApi) -> None:
    await api.create(service())

    labelled = await api.merge("iris", {"metadata": {"labels": {"team": "fraud"}}})
    changed = await api.merge("iris", {"spec": {"predictor": {"minReplicas": 2}}})

    assert labelled.body["metadata"]["generation"] == 1
    assert changed.body["metadata"]["generation"] == 2


async def test_a_merge_patch_removes_what_is_null(api: RawApi) -> None:
    await api.create(service(labels={"team": "fraud", "stage": "test"}))

    patched = await api.merge("iris", {"metadata": {"labels": {"stage": None}}})

    assert patched.body["metadata"]["labels"] == {"team": "fraud"}


async def test_a_main_write_ignores_the_status_and_a_status_write_ignores_the_rest(api: RawApi) -> None:
    await api.create(service(), "models")
    before = await ready(api)

    main = await api.merge("iris", {"status": {"url": "http://forged"}, "metadata": {"labels": {"a": "b"}}})
    status_path = f"{SERVICES.format('models')}/iris/status"
    status = await api.send(
        "PATCH",
        status_path,
        {"status": {"url": "http://set"}, "spec": {"predictor": {"minReplicas": 9}}},
        content_type="application/merge-patch+json",
    )

    assert main.body["status"]["url"] == before["status"]["url"]
    assert status.body["status"]["url"] == "http://set"
    assert status.body["spec"] == before["spec"]


async def test_a_dry_run_answers_but_writes_nothing(api: RawApi) -> None:
    created = await api.create(service(), dryRun="All")
    applied = await api.apply(service("other"), dryRun="All")

    assert (created.status, applied.status) == (201, 201)
    assert (await api.get("iris")).status == 404
    assert (await api.get("other")).status == 404


async def test_nothing_is_written_when_nothing_changes(api: RawApi) -> None:
    await api.apply(service())
    current = await ready(api)

    again = await api.apply(service())

    assert again.body["metadata"]["resourceVersion"] == current["metadata"]["resourceVersion"]
    assert again.body["metadata"]["managedFields"] == current["metadata"]["managedFields"]


# Lists


async def test_lists_are_narrowed_by_namespace_label_and_name(api: RawApi) -> None:
    await api.create(service("a", labels={"team": "fraud"}))
    await api.create(service("b", labels={"team": "risk"}))
    await api.create(service("c"), "other")

    async def names(path: str = ALL, **query: str) -> list[str]:
        return [each["metadata"]["name"] for each in (await api.send("GET", path, **query)).body["items"]]

    assert await names() == ["a", "b", "c"]
    assert await names(SERVICES.format("other")) == ["c"]
    assert await names(labelSelector="team=fraud") == ["a"]
    assert await names(labelSelector="team,team!=fraud") == ["b"]
    assert await names(labelSelector="team in (fraud, risk)") == ["a", "b"]
    assert await names(labelSelector="!team") == ["c"]
    assert await names(fieldSelector="metadata.name=b") == ["b"]
    assert (await api.send("GET", ALL, labelSelector="a==b==c")).status == 400


async def test_a_list_can_be_read_in_pages(api: RawApi) -> None:
    for name in ("a", "b", "c"):
        await api.create(service(name))

    first = (await api.send("GET", ALL, limit="2")).body
    token = first["metadata"]["continue"]
    rest = (await api.send("GET", ALL, limit="2", **{"continue": token})).body

    assert [each["metadata"]["name"] for each in first["items"]] == ["a", "b"]
    assert first["metadata"]["remainingItemCount"] == 1
    assert [each["metadata"]["name"] for each in rest["items"]] == ["c"]
    assert "continue" not in rest["metadata"]


async def test_a_page_token_older_than_the_history_is_gone(cluster: SimulatedCluster, api: RawApi) -> None:
    for name in ("a", "b"):
        await api.create(service(name))
    token = (await api.send("GET", ALL, limit="1")).body["metadata"]["continue"]
    await api.create(service("c"))
    cluster.store.forget_history()

    answer = await api.send("GET", ALL, limit="1", **{"continue": token})

    assert (answer.status, answer.body["reason"]) == (410, "Expired")


# Validation


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        (service("Iris"), 422, "a lowercase RFC 1123 subdomain must consist of"),
        (service("1-iris"), 403, "regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?'"),
        (service(labels={"team": "not a label"}), 422, "a valid label must be"),
        ({**service(), "spec": {"predictor": {"model": {}}}}, 422, "modelFormat: Required value"),
        ({**service(), "spec": {"predictor": {}}}, 403, "must be specified in PredictorSpec"),
        ({**service(), "spec": {}}, 422, "spec.predictor: Required value"),
        ({**service(), "kind": "Secret"}, 400, "do not match"),
    ],
)
async def test_what_kubernetes_or_kserve_would_refuse_is_refused(
    api: RawApi, body: Json, code: int, words: str
) -> None:
    answer = await api.create(body)

    assert answer.status == code
    assert words in answer.body["message"]


async def test_a_missing_format_name_is_named_as_the_cause(api: RawApi) -> None:
    body = {**service(), "spec": {"predictor": {"model": {"modelFormat": {"version": "1"}}}}}

    answer = await api.create(body)

    assert answer.body["details"]["causes"] == [
        {
            "reason": "FieldValueRequired",
            "message": "Required value",
            "field": "spec.predictor.model.modelFormat.name",
        }
    ]


async def test_the_deployment_mode_cannot_change(api: RawApi) -> None:
    mode = "serving.kserve.io/deploymentMode"
    await api.create(service(annotations={mode: "Standard"}))
    await ready(api)

    answer = await api.merge("iris", {"metadata": {"annotations": {mode: "Knative"}}})

    assert answer.status == 403
    assert answer.body["message"] == (
        'admission webhook "inferenceservice.kserve-webhook-server.validator" denied the request: '
        "update rejected: deploymentMode cannot be changed from 'Standard' to 'Knative'"
    )


async def test_unknown_patches_and_bodies_are_refused(api: RawApi) -> None:
    path = f"{SERVICES.format('models')}/iris"

    patch = await api.send("PATCH", path, {}, content_type="application/json-patch+json")
    body = await api.send("POST", SERVICES.format("models"), ["not an object"])

    assert (patch.status, patch.body["reason"]) == (415, "UnsupportedMediaType")
    assert (body.status, body.body["reason"]) == (400, "BadRequest")


async def test_a_body_that_nobody_foresaw_gets_a_status_too(api: RawApi) -> None:
    answer = await api.create({**service(), "metadata": {"name": "iris", "labels": ["not", "a", "map"]}})

    assert (answer.status, answer.body["kind"]) == (500, "Status")


# Namespaces


async def test_namespaces_appear_on_first_use(api: RawApi, core: Any) -> None:
    await api.create(service(), "brand-new")

    assert "brand-new" in [each.metadata.name for each in (await core.list_namespace()).items]


async def test_strict_namespaces_must_exist() -> None:
    async with SimulatedCluster(options(strict_namespaces=True)) as cluster, raw_api(cluster) as api:
        refused = await api.apply(service())
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "models"}}
        await api.send("POST", "/api/v1/namespaces", namespace)
        accepted = await api.apply(service())

    assert refused.status == 404
    assert refused.body["message"] == 'namespaces "models" not found'
    assert accepted.status == 201


async def test_a_deleted_namespace_takes_its_objects_with_it(api: RawApi, core: Any) -> None:
    await api.create(service())
    await ready(api)

    await core.delete_namespace("models")

    async def gone() -> bool:
        return (await api.send("GET", "/api/v1/namespaces/models")).status == 404

    await eventually(gone)
    assert (await api.get("iris")).status == 404


# Secrets and service accounts, through the real client


async def test_secrets_keep_their_texts_encoded(core: Any) -> None:
    body = {"metadata": {"name": "s3"}, "stringData": {"awsAccessKeyID": "key"}}

    created = await core.create_namespaced_secret("models", body)
    found = await core.read_namespaced_secret("s3", "models")

    assert created.metadata.uid == found.metadata.uid
    assert found.data == {"awsAccessKeyID": "a2V5"}
    assert found.type == "Opaque"


async def test_two_managers_share_the_secrets_of_a_service_account(core: Any) -> None:
    for manager, name in (("one", "a"), ("two", "b")):
        body = {"apiVersion": "v1", "kind": "ServiceAccount", "secrets": [{"name": name}], "metadata": {"name": "r"}}
        await core.patch_namespaced_service_account(
            "r", "models", body, field_manager=manager, _content_type="application/apply-patch+yaml"
        )

    found = await core.read_namespaced_service_account("r", "models")

    assert [each.name for each in found.secrets] == ["a", "b"]


async def test_the_real_client_reads_refusals(core: Any) -> None:
    with pytest.raises(ApiException) as refused:
        await core.read_namespaced_secret("nothing", "models")

    assert refused.value.status == 404
    assert json.loads(refused.value.body or "")["details"] == {"name": "nothing", "kind": "secrets"}


# Server-side apply


async def test_an_apply_creates_and_records_what_it_states(api: RawApi) -> None:
    answer = await api.apply(service(labels={"team": "fraud"}), manager="registry")

    entry = answer.body["metadata"]["managedFields"][0]
    assert answer.status == 201
    assert (entry["manager"], entry["operation"], entry["fieldsType"]) == ("registry", "Apply", "FieldsV1")
    assert entry["fieldsV1"] == {
        "f:metadata": {"f:labels": {"f:team": {}}},
        "f:spec": {"f:predictor": {"f:model": {"f:modelFormat": {"f:name": {}}, "f:storageUri": {}}}},
    }


async def test_an_apply_in_yaml_is_understood(cluster: SimulatedCluster, api: RawApi) -> None:
    text = "spec:\n  predictor:\n    model:\n      modelFormat: {name: sklearn}\nmetadata: {name: iris}\n"
    url = f"{cluster.url}{SERVICES.format('models')}/iris"
    headers = {"Content-Type": "application/apply-patch+yaml"}

    async with api.session.patch(url, data=text, headers=headers, params={"fieldManager": "y"}) as response:
        assert response.status == 201


async def test_an_apply_without_a_manager_is_refused(api: RawApi) -> None:
    answer = await api.apply(service(), manager="")

    assert answer.status == 422
    assert "fieldManager: Required value" in answer.body["message"]


async def test_a_field_of_another_manager_is_a_conflict(api: RawApi) -> None:
    await api.apply(service(), manager="registry")

    answer = await api.apply(service(uri="s3://elsewhere"), manager="gitops")

    assert (answer.status, answer.body["reason"]) == (409, "Conflict")
    assert answer.body["message"] == (
        'Apply failed with 1 conflict: conflict with "registry": .spec.predictor.model.storageUri'
    )
    assert answer.body["details"]["causes"] == [
        {
            "reason": "FieldManagerConflict",
            "message": 'conflict with "registry"',
            "field": ".spec.predictor.model.storageUri",
        }
    ]


async def test_force_takes_the_field_over(api: RawApi) -> None:
    await api.apply(service(), manager="registry")

    forced = await api.apply(service(uri="s3://elsewhere"), manager="gitops", force="true")
    back = await api.apply(service(), manager="registry")

    assert forced.status == 200
    assert forced.body["spec"]["predictor"]["model"]["storageUri"] == "s3://elsewhere"
    assert back.status == 409


async def test_managers_that_agree_share_a_field(api: RawApi) -> None:
    await api.apply(service(labels={"team": "fraud"}), manager="one")
    shared = await api.apply(service(labels={"team": "fraud"}), manager="two")
    dropped = await api.apply(service(), manager="one")

    assert shared.status == 200
    assert dropped.body["metadata"]["labels"] == {"team": "fraud"}


async def test_what_a_manager_no_longer_states_is_removed(api: RawApi) -> None:
    await api.apply(service(labels={"team": "fraud", "stage": "test"}))

    answer = await api.apply(service(labels={"team": "fraud"}))

    assert answer.body["metadata"]["labels"] == {"team": "fraud"}


async def test_an_update_takes_the_fields_that_it_changes(api: RawApi) -> None:
    await api.apply(service(labels={"team": "fraud"}), manager="registry")
    await api.merge("iris", {"metadata": {"labels": {"team": "risk"}}}, fieldManager="kubectl-edit")

    answer = await api.apply(service(labels={"team": "fraud"}), manager="registry")

    assert answer.status == 409
    assert answer.body["details"]["causes"][0]["message"] == (
        'conflict with "kubectl-edit" using serving.kserve.io/v1beta1'
    )


# The stand-in controller


async def test_a_service_becomes_ready(api: RawApi) -> None:
    await api.create(service())

    body = await ready(api)

    status = body["status"]
    assert {each["type"]: each["status"] for each in status["conditions"]} == {
        "IngressReady": "True",
        "PredictorReady": "True",
        "Ready": "True",
    }
    assert status["url"] == "http://iris.models.example.simulated"
    assert status["address"]["url"]
    assert status["modelStatus"]["states"] == {"activeModelState": "Loaded", "targetModelState": "Loaded"}
    predictor = status["components"]["predictor"]
    assert predictor["latestReadyRevision"] == predictor["latestCreatedRevision"]
    assert body["metadata"]["finalizers"] == ["inferenceservice.finalizers"]


async def test_a_service_has_no_url_before_it_is_ready() -> None:
    async with SimulatedCluster(options(timing=STUCK)) as cluster, raw_api(cluster) as api:
        await api.create(service())
        body = await eventually(lambda: in_transition(api, "InProgress"))

    assert condition(body) == "False"
    assert "url" not in body["status"]


@pytest.mark.parametrize(
    "body",
    [
        service(uri="s3://models/simulate-fail"),
        service(annotations={BEHAVIOUR: "fail"}),
        service(labels={BEHAVIOUR: "fail"}),
    ],
)
async def test_a_service_fails_when_asked_to(api: RawApi, body: Json) -> None:
    await api.create(body)

    failed = await eventually(lambda: in_transition(api, "BlockedByFailedLoad"))

    failure = failed["status"]["modelStatus"]["lastFailureInfo"]
    assert (failure["reason"], failure["exitCode"]) == ("ModelLoadFailed", 1)
    assert failure["message"]
    assert failure["location"]
    assert condition(failed) == "False"


MODE = "serving.kserve.io/deploymentMode"


@pytest.mark.parametrize(("mode", "is_ready"), [("Standard", "True"), ("Knative", "False")])
async def test_a_roll_out_that_fails_leaves_the_old_pods_serving_in_standard_mode(
    api: RawApi, mode: str, is_ready: str
) -> None:
    await api.create(service(annotations={MODE: mode}))
    await ready(api)

    await api.merge("iris", {"spec": service(uri="s3://models/simulate-fail")["spec"]})
    failed = await eventually(lambda: in_transition(api, "BlockedByFailedLoad"))

    assert (condition(failed), "url" in failed["status"]) == (is_ready, mode == "Standard")


async def test_conditions_without_times_written_by_somebody_else_hold_up_no_rollout(api: RawApi) -> None:
    await api.create(service())
    whole = await ready(api)
    whole["status"]["conditions"] = [{"type": "Ready", "status": "True"}]
    assert (await api.send("PUT", f"{SERVICES.format('models')}/iris/status", whole)).status == 200

    await api.merge("iris", {"spec": service(uri="s3://models/other")["spec"]})
    await eventually(lambda: in_transition(api, "InProgress"))
    rolled_out = await ready(api)

    assert all("lastTransitionTime" in each for each in rolled_out["status"]["conditions"])


async def test_a_slow_service_is_slower_and_one_that_never_comes_up_does_not() -> None:
    timing = Timing(ready_after=0, slow_after=0.05, linger=0, finalize_after=0)
    async with SimulatedCluster(options(timing=timing)) as cluster, raw_api(cluster) as api:
        await api.create(service("slow", uri="s3://models/simulate-slow"))
        await api.create(service("never", uri="s3://models/simulate-never"))
        slow_at_first = transition((await api.get("slow")).body)
        await ready(api, "slow")
        never = (await api.get("never")).body

    assert slow_at_first in (None, "InProgress")
    assert transition(never) == "InProgress"


async def test_after_a_change_the_old_status_lingers_then_the_rollout_is_in_progress() -> None:
    timing = Timing(ready_after=0.02, slow_after=60, linger=0.2)
    async with SimulatedCluster(options(timing=timing)) as cluster, raw_api(cluster) as api:
        await api.create(service())
        await ready(api)
        changed = await api.merge("iris", {"spec": service(uri="s3://models/simulate-slow")["spec"]})
        rolling = await eventually(lambda: in_transition(api, "InProgress"))

    assert (transition(changed.body), condition(changed.body)) == ("UpToDate", "True")
    assert (condition(rolling), "url" in rolling["status"]) == ("True", True)  # the old pods serve on


async def test_a_recovered_service_still_shows_its_last_failure(api: RawApi) -> None:
    await api.create(service(uri="s3://simulate-fail"))
    await eventually(lambda: in_transition(api, "BlockedByFailedLoad"))

    await api.merge("iris", {"spec": service()["spec"]})
    recovered = await ready(api)

    assert recovered["status"]["modelStatus"]["lastFailureInfo"]["reason"] == "ModelLoadFailed"


# Deletion


async def test_a_deleted_service_stays_until_its_finalizer_is_gone() -> None:
    timing = Timing(ready_after=0, finalize_after=0.2)
    async with SimulatedCluster(options(timing=timing)) as cluster, raw_api(cluster) as api:
        await api.create(service())
        await ready(api)
        asked = await api.delete("iris", body={"propagationPolicy": "Foreground"})
        while_dying = await api.get("iris")

        async def gone() -> bool:
            return (await api.get("iris")).status == 404

        await eventually(gone)

    assert asked.body["metadata"]["deletionTimestamp"]
    assert while_dying.status == 200


async def test_an_object_held_by_somebody_else_waits_for_them(api: RawApi) -> None:
    await api.create(service(finalizers=["example.com/keep"]))
    await ready(api)
    await api.delete("iris")

    async def only_theirs() -> bool:
        found: list[str] = (await api.get("iris")).body["metadata"].get("finalizers", [])
        return found == ["example.com/keep"]

    await eventually(only_theirs)
    added = await api.merge("iris", {"metadata": {"finalizers": ["example.com/keep", "example.com/more"]}})
    await api.merge("iris", {"metadata": {"finalizers": None}})

    assert added.status == 422
    assert (await api.get("iris")).status == 404


async def test_a_delete_of_another_incarnation_is_refused(api: RawApi) -> None:
    await api.create(service())

    answer = await api.delete("iris", body={"preconditions": {"uid": "someone-else"}})

    assert (answer.status, answer.body["reason"]) == (409, "Conflict")
    assert "Precondition failed: UID in precondition: someone-else" in answer.body["message"]


# Watches


async def events(api: RawApi, count: int, path: str = ALL, **query: str) -> list[Json]:
    found: list[Json] = []
    params = {"watch": "true", "timeoutSeconds": "5", **query}
    async with api.session.get(api.url + path, params=params) as response:
        async for line in response.content:
            found.append(json.loads(line))
            if len(found) == count:
                break
    return found


def seen(found: list[Json]) -> list[tuple[str, str]]:
    return [(each["type"], each["object"]["metadata"].get("name", "")) for each in found]


async def version(api: RawApi) -> str:
    return str((await api.send("GET", ALL)).body["metadata"]["resourceVersion"])


async def test_a_watch_tells_what_happened_since_a_version(api: RawApi) -> None:
    start = await version(api)
    await api.create(service("a"))
    await ready(api, "a")
    await api.delete("a")

    found = await events(api, 6, resourceVersion=start)

    assert [kind for kind, _ in seen(found)] == ["ADDED", *["MODIFIED"] * 4, "DELETED"]
    versions = [int(each["object"]["metadata"]["resourceVersion"]) for each in found]
    assert versions == sorted(set(versions))


async def test_a_watch_without_a_version_begins_with_what_exists(api: RawApi) -> None:
    await api.create(service("a"))
    await ready(api, "a")

    assert seen(await events(api, 1)) == [("ADDED", "a")]


async def test_leaving_the_selection_looks_like_a_deletion(api: RawApi) -> None:
    await api.create(service("a", labels={"team": "fraud"}))
    await ready(api, "a")
    start = await version(api)
    await api.merge("a", {"metadata": {"labels": {"team": "risk"}}})
    await api.merge("a", {"metadata": {"labels": {"team": "fraud"}}})

    found = await events(api, 2, resourceVersion=start, labelSelector="team=fraud")

    assert [kind for kind, _ in seen(found)] == ["DELETED", "ADDED"]
    left = found[0]["object"]["metadata"]
    assert (left["labels"], left["resourceVersion"]) == ({"team": "fraud"}, str(int(start) + 1))


async def test_a_quiet_watch_sends_bookmarks_and_ends_on_time(api: RawApi) -> None:
    start = await version(api)

    found = await events(api, 9, resourceVersion=start, timeoutSeconds="1", allowWatchBookmarks="true")

    assert [each["type"] for each in found] == ["BOOKMARK"]
    assert found[0]["object"]["metadata"]["resourceVersion"] == start


async def test_a_version_before_the_history_is_gone() -> None:
    async with SimulatedCluster(options(history=3)) as cluster, raw_api(cluster) as api:
        start = await version(api)
        await api.create(service())
        await ready(api)
        found = await events(api, 1, resourceVersion=start)

    assert found[0]["type"] == "ERROR"
    assert (found[0]["object"]["code"], found[0]["object"]["reason"]) == (410, "Expired")
    assert found[0]["object"]["message"].startswith("too old resource version")


async def test_a_version_from_the_future_is_a_timeout(api: RawApi) -> None:
    answer = await api.send("GET", ALL, watch="true", resourceVersion="999999")

    assert answer.status == 504
    assert answer.body["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"


# Faults and the record of requests


async def fault(api: RawApi, **rule: object) -> Answer:
    return await api.send("POST", "/simulated/faults", [rule])


async def test_a_fault_hits_what_it_names_as_often_as_it_says(api: RawApi) -> None:
    action = {"type": "status", "code": 503, "reason": "ServiceUnavailable", "retry_after": 7}
    await fault(api, verb="get", resource="inferenceservices", name_prefix="ir", times=2, action=action)

    answers = [await api.get(name) for name in ("other", "iris", "iris", "iris")]

    assert [each.status for each in answers] == [404, 503, 503, 404]
    assert answers[1].headers["Retry-After"] == "7"
    assert answers[1].body["details"]["retryAfterSeconds"] == 7


@pytest.mark.parametrize(("after_handling", "exists"), [(False, 404), (True, 200)])
async def test_a_reset_loses_the_request_or_only_its_answer(api: RawApi, after_handling: bool, exists: int) -> None:
    await fault(api, verb="apply", action={"type": "reset", "after_handling": after_handling})

    with pytest.raises(aiohttp.ClientConnectionError):
        await api.apply(service())

    assert (await api.get("iris")).status == exists


async def test_a_hanging_request_ends_with_its_client(cluster: SimulatedCluster, api: RawApi) -> None:
    await fault(api, action={"type": "hang"})

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await api.get("iris")

    assert cluster.requests.all("get", "iris")[0].status == 0


async def test_a_delayed_request_is_answered_all_the_same(api: RawApi) -> None:
    await fault(api, action={"type": "delay", "seconds": 0.05})
    started = asyncio.get_running_loop().time()

    answer = await api.create(service())

    assert answer.status == 201
    assert asyncio.get_running_loop().time() - started >= 0.05


async def test_a_torn_watch_ends_within_a_line(api: RawApi) -> None:
    await api.create(service())
    await fault(api, verb="watch", action={"type": "torn_watch"})

    async with api.session.get(api.url + ALL, params={"watch": "true"}) as response:
        with pytest.raises(aiohttp.ClientError):
            await response.content.readline()


@pytest.mark.parametrize(("form", "status"), [("http", 410), ("event", 200)])
async def test_the_history_can_be_expired_on_demand(api: RawApi, form: str, status: int) -> None:
    start = await version(api)
    await fault(api, verb="watch", action={"type": "expire_history", "form": form})

    answer = await api.send("GET", ALL, watch="true", resourceVersion=start, timeoutSeconds="1")

    assert answer.status == status
    assert 410 in (answer.body.get("code"), answer.body.get("object", {}).get("code"))


async def test_a_fault_that_makes_no_sense_is_refused(api: RawApi) -> None:
    answer = await fault(api, verb="explode", action={"type": "hang"})

    assert answer.status == 400
    assert "not a list of faults" in answer.body["message"]


async def recorded(api: RawApi) -> list[Json]:
    async with api.session.get(api.url + "/simulated/requests") as response:
        rows: list[Json] = await response.json()
        return rows


async def test_requests_are_recorded_until_they_are_cleared(api: RawApi) -> None:
    await api.apply(service())
    await api.get("nothing")

    rows = await recorded(api)
    await api.send("DELETE", "/simulated/requests")

    assert [(row["verb"], row["name"], row["status"]) for row in rows] == [
        ("apply", "iris", 201),
        ("get", "nothing", 404),
    ]
    assert await recorded(api) == []


async def test_a_person_can_look_at_the_objects(api: RawApi) -> None:
    await api.create(service())
    await ready(api)

    summary = (await api.send("GET", "/simulated/objects")).body

    assert "simulated" in summary["note"]
    row = next(each for each in summary["objects"] if each["name"] == "iris")
    assert (row["kind"], row["ready"], row["model"]) == ("InferenceService", True, "UpToDate")


# Access


async def test_a_token_is_demanded_when_one_is_set() -> None:
    async with SimulatedCluster(options(token="s3cret")) as cluster:
        async with raw_api(cluster) as stranger:
            refused = await stranger.get("iris")
            health = await stranger.send("GET", "/healthz")
        async with raw_api(cluster, "s3cret") as known:
            accepted = await known.get("iris")

    assert (refused.status, refused.body["reason"]) == (401, "Unauthorized")
    assert health.status == 200
    assert accepted.status == 404


async def test_a_kubeconfig_leads_to_the_cluster(cluster: SimulatedCluster, tmp_path: Path) -> None:
    path = tmp_path / "kube" / "config"
    write_kubeconfig(path, cluster.url, token="t")
    settings = Configuration()
    await load_kube_config(config_file=str(path), client_configuration=settings, persist_config=False)

    assert settings.host == cluster.url
    assert settings.api_key == {"BearerToken": "Bearer t"}
    assert path.stat().st_mode & 0o077 == 0


# Persistence


async def test_objects_survive_a_restart(tmp_path: Path) -> None:
    data = tmp_path / "cluster.jsonl"
    async with SimulatedCluster(options(data=data)) as cluster, raw_api(cluster) as api:
        await api.apply(service(), manager="registry")
        await api.create(service("gone"))
        before = await ready(api)
        await ready(api, "gone")
        await api.delete("gone")

        async def gone() -> bool:
            return (await api.get("gone")).status == 404

        await eventually(gone)
        last = await version(api)

    async with SimulatedCluster(options(data=data)) as cluster, raw_api(cluster) as api:
        after = (await api.get("iris")).body
        listed = await api.send("GET", ALL)
        conflict = await api.apply(service(uri="s3://other"), manager="gitops")

    assert after == before
    assert [each["metadata"]["name"] for each in listed.body["items"]] == ["iris"]
    assert listed.body["metadata"]["resourceVersion"] == last
    assert conflict.status == 409


async def test_a_rollout_goes_on_after_a_restart(tmp_path: Path) -> None:
    data = tmp_path / "cluster.jsonl"
    async with SimulatedCluster(options(data=data, timing=STUCK)) as cluster, raw_api(cluster) as api:
        await api.create(service())
        await eventually(lambda: in_transition(api, "InProgress"))

    async with SimulatedCluster(options(data=data)) as cluster, raw_api(cluster) as api:
        assert await ready(api)


async def test_a_line_cut_off_by_a_crash_is_skipped(tmp_path: Path) -> None:
    data = tmp_path / "cluster.jsonl"
    async with SimulatedCluster(options(data=data)) as cluster, raw_api(cluster) as api:
        await api.create(service())
    data.write_bytes(data.read_bytes() + b'{"resource_version":99,"put":{"kind":"Infer')

    async with SimulatedCluster(options(data=data)) as cluster, raw_api(cluster) as api:
        assert (await api.get("iris")).status == 200


async def test_the_data_file_stays_small(tmp_path: Path) -> None:
    data = tmp_path / "cluster.jsonl"
    async with SimulatedCluster(options(data=data)) as cluster, raw_api(cluster) as api:
        for number in range(2_500):
            path = "/api/v1/namespaces/default"
            patch = {"metadata": {"labels": {"n": str(number)}}}
            await api.send("PATCH", path, patch, content_type="application/merge-patch+json")
        lines = len(data.read_bytes().splitlines())

    assert lines < 2_100


async def test_only_its_owner_may_read_the_data_file_whatever_an_older_version_has_left(tmp_path: Path) -> None:
    data, draft = tmp_path / "cluster.jsonl", tmp_path / "cluster.jsonl.new"
    modes: list[int] = []
    async with SimulatedCluster(options(data=data)):
        modes.append(mode_of(data))
    for left in (data, draft):
        left.touch()
        left.chmod(0o644)
        async with SimulatedCluster(options(data=data)):
            modes.append(mode_of(data))
        modes.append(mode_of(data))

    assert modes == [0o600] * 5


def mode_of(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


# The command


def started(data: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "modeltrail.simulated_cluster", "--port", "0", "--data", str(data)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def address(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    line = process.stdout.readline()
    assert line.startswith("simulated cluster listening on http://127.0.0.1:")
    return line.split()[-1]


async def test_the_command_survives_kill_and_stops_on_a_signal(tmp_path: Path) -> None:
    data = tmp_path / "cluster.jsonl"
    with started(data) as first:
        async with aiohttp.ClientSession() as session:
            applied = await RawApi(session, address(first)).apply(service())
        first.kill()

    with started(data) as second:
        async with aiohttp.ClientSession() as session:
            found = await RawApi(session, address(second)).get("iris")
        second.send_signal(signal.SIGTERM)
        _, errors = second.communicate(timeout=10)

    assert found.body["metadata"]["uid"] == applied.body["metadata"]["uid"]
    assert (second.returncode, errors) == (0, "")


def test_a_port_in_use_is_one_sentence(tmp_path: Path) -> None:
    data = tmp_path / "cluster.jsonl"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "modeltrail.simulated_cluster", "--port", port, "--data", str(data)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert done.stderr.strip() == (
        f"Error: the simulated cluster cannot start: 127.0.0.1:{port} cannot be listened on: Address already in use"
    )
    assert not data.exists()


async def test_a_port_in_use_is_an_error_in_process_too(cluster: SimulatedCluster) -> None:
    port = int(cluster.url.rpartition(":")[2])

    with pytest.raises(PortInUseError):
        async with SimulatedCluster(type(cluster.options)(port=port)):
            pass


async def test_a_watcher_that_leaves_in_the_middle_of_changes_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    async with SimulatedCluster(options()) as cluster, raw_api(cluster) as api:
        for number in range(10):
            async with aiohttp.ClientSession() as session:
                watch = await session.get(f"{api.url}/apis/serving.kserve.io/v1beta1/inferenceservices?watch=1")
                changes = asyncio.gather(*(api.create(service(f"s-{number}-{each}")) for each in range(30)))
                await asyncio.sleep(0.002)
                watch.close()
            await changes
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
