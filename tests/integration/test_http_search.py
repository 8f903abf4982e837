"""GET /search: finds by words, the best first, in the caller's project, and says how far it goes."""

from collections.abc import Sequence
from urllib.parse import quote

import pytest

from modeltrail.http.search import LONGEST
from support.api import Api, Json, Project, made, refusal
from support.database import Database
from support.following import bring_forward


async def found(project: Project, query: str, more: str = "") -> Json:
    return made(await project.get(f"/search?q={quote(query)}{more}"), 200)


async def names(project: Project, query: str, more: str = "") -> list[str]:
    return [hit["name"] for hit in (await found(project, query, more))["items"]]


async def test_each_kind_is_found_and_says_where_it_is(project: Project, database: Database) -> None:
    model = await project.model("Churn predictor")
    version = await project.ready_version(model, "churn-v1")
    environment = await project.environment("churn-place", description="Production")
    service = await project.deployed(model, environment, name="churn-live")
    await bring_forward(database)

    answer = await found(project, "churn")

    hits = {hit["kind"]: hit for hit in answer["items"]}
    assert (answer["total"], len(hits)) == (4, 4)
    for kind, resource in {
        "model": model,
        "model_version": version,
        "serving_environment": environment,
        "inference_service": service,
    }.items():
        hit = hits[kind]
        assert (hit["id"], hit["name"]) == (resource["id"], resource["name"])
        assert made(await project.get(hit["path"]), 200)["id"] == resource["id"]
    assert [*hits["model"]] == ["kind", "id", "name", "path"]
    assert (
        hits["model_version"]["registered_model_id"] == hits["inference_service"]["registered_model_id"] == model["id"]
    )
    assert await names(project, "churn", "&kind=model") == ["Churn predictor"]


@pytest.mark.parametrize(
    "query",
    [
        "fraud",  # the name
        "FRAUD Det",  # in any case, the beginning of a word
        "bert",  # behind a slash
        "v2 fraud",  # in any order
        "xgboost tabular",  # tags
        "payments team",  # a label's value and its key
        "16e40ce",  # what looks like a number
        "16e40c",
        "cards",  # the description
        "fraud cards payments",  # all of it together
        "'fraud' & (cards | ",  # signs mean nothing
        "straße",
        "STRASSE",
        "ＦＲＡＵＤ",  # noqa: RUF001 - full width
    ],
)
async def test_a_model_is_found_by_its_words(project: Project, database: Database, query: str) -> None:
    await project.model(
        "google/bert-fraud_detector.v2",
        description="Finds stolen cards. Straße.",
        tags={"frameworks": ["XGBoost"], "tasks": ["tabular-classification"]},
        labels={"team": "payments", "commit": "16e40ce"},
    )
    await project.model("unrelated")
    await bring_forward(database)

    assert await names(project, query) == ["google/bert-fraud_detector.v2"]


@pytest.mark.parametrize("query", ["raud", "fraud unrelated", "ann", "example", "ann@example.org", "secret-key"])
async def test_what_it_does_not_say_finds_nothing(project: Project, database: Database, query: str) -> None:
    """Parts within words, words of different things, and nobody's address or key."""
    model = await project.model("fraud", owner_email="ann@example.org")
    await project.version(
        model,
        created_by_email="ann@example.org",
        access_key="secret-key",
        secret_key="secret-key",
    )
    await project.model("unrelated")
    await bring_forward(database)

    assert await names(project, query) == []


async def test_the_name_itself_goes_first_then_names_tags_and_descriptions(
    project: Project, database: Database
) -> None:
    await project.model("described", description="about churn")
    await project.model("tagged", tags={"tasks": ["churn"]})
    await project.model("churn model of the east")
    await project.model("Churn")
    await bring_forward(database)

    assert await names(project, "churn") == ["Churn", "churn model of the east", "tagged", "described"]


async def test_pages_neither_overlap_nor_leave_out(project: Project, database: Database) -> None:
    for number in range(7):
        await project.model(f"churn {number}")
    await bring_forward(database)

    seen: list[str] = []
    offset = 0
    while page := await found(project, "churn", f"&limit=3&offset={offset}"):
        assert (page["total"], page["page_size"], page["next_offset"]) == (7, 3, offset + len(page["items"]))
        if not page["items"]:
            break
        seen += [hit["name"] for hit in page["items"]]
        offset = page["next_offset"]

    assert seen == sorted(seen) == [f"churn {number}" for number in range(7)]


async def test_it_finds_what_is_and_not_what_was(project: Project, database: Database) -> None:
    model = await project.model("before", labels={"team": "east"}, description="old", tags={"tasks": ["t1"]})
    version = await project.version(model, "first")
    environment = await project.environment("place", description="old")
    gone = await project.model("gone")
    gone_version = await project.version(gone, "gone-v1")
    await bring_forward(database)
    assert await names(project, "old") == ["before", "place"]

    after: Sequence[tuple[str, Json]] = (
        (f"/models/{model['id']}", {"name": "after", "description": "new", "labels": {"team": "west"}}),
        (f"/models/{model['id']}", {"tags": {"tasks": ["t2"]}}),
        (f"/model_versions/{version['id']}", {"name": "second", "description": "new", "labels": {"a": "west"}}),
        (f"/serving_environments/{environment['id']}", {"name": "elsewhere", "description": "new"}),
        (f"/models/{gone['id']}", {"state": "ARCHIVED"}),
    )
    for path, change in after:
        made(await project.patch(path, change), 200)
    made(await project.delete(f"/models/{gone['id']}"), 200)
    await bring_forward(database)

    for query in ("before", "east", "old", "t1", "first", "place", "gone", gone_version["name"]):
        assert await names(project, query) == [], query
    assert await names(project, "new") == ["after", "elsewhere", "second"]
    assert await names(project, "west") == ["after", "second"]
    assert await names(project, "t2") == ["after"]


async def test_it_says_up_to_where_it_goes(project: Project, database: Database) -> None:
    await project.model("one")
    await bring_forward(database)
    level = await found(project, "one")
    await project.model("two")

    answer = await found(project, "two")

    assert (level["behind"], level["total"]) == (0, 1)
    assert (answer["position"], answer["behind"], answer["total"]) == (level["position"], 1, 0)
    await bring_forward(database)
    assert (await found(project, "two"))["total"] == 1


async def test_projects_do_not_see_each_other(api: Api, database: Database) -> None:
    one, other = api.project(), api.project()
    await one.model("churn of one")
    await other.model("churn of the other")
    await bring_forward(database)

    assert await names(one, "churn") == ["churn of one"]
    assert await names(one, "other") == []
    assert await names(one, f"project {other.id}") == []
    assert await names(one, str(other.id)) == []


@pytest.mark.parametrize(
    "query",
    [
        "'", "''", "\\", "a'b", "'a':*", "a & !b", "a | b", "(a", ":*", "a <-> b", "!", "a:A*", "%", "_", "--", ";",
        "\u202e", "🙂", "é" * LONGEST, "x" * LONGEST, "1 " * (LONGEST // 2), "-1e309", "ﷺ" * LONGEST,
        "project 00000000-0000-0000-0000-000000000000",
    ],
)  # fmt: skip
async def test_no_query_is_too_strange(project: Project, database: Database, query: str) -> None:
    await project.model("iris")
    await bring_forward(database)

    answer = await found(project, query)

    assert answer["items"] == []


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("", "invalid q: must not be empty"),
        ("q=", "invalid q: must not be empty"),
        ("q=" + "a" * 10_000, f"invalid q: must have at most {LONGEST} characters"),
        ("q=a%00b", "invalid q: "),
        ("q=%ff", "invalid q: "),
        ("q=%ed%a0%80", "invalid q: "),
        (
            "q=a&kind=person",
            "invalid kind: must be one of model, model_version, serving_environment, inference_service",
        ),
        ("q=a&offset=-1", "invalid offset: must not be negative"),
    ],
)
async def test_what_cannot_be_asked_is_refused(project: Project, query: str, says: str) -> None:
    status, message = refusal(await project.get(f"/search?{query}"))

    assert status == 400
    assert message.startswith(says)


async def test_an_offset_beyond_everything_is_an_empty_page(project: Project, database: Database) -> None:
    await project.model("iris")
    await bring_forward(database)

    answer = await found(project, "iris", f"&offset={2**63 - 1}")

    assert (answer["items"], answer["total"]) == ([], 1)


async def test_the_longest_texts_have_room_in_the_index(project: Project, database: Database) -> None:
    """PostgreSQL's index holds 1 MB of words for each row, and refuses more."""
    wide = " ".join(chr(0x10000 + number % 0xFFF) + chr(0x20000 + number) for number in range(30_000))
    short = " ".join(chr(0x4E00 + number) for number in range(20_000))
    for number, text in enumerate((wide, short, "a" * 500_000, "a-" * 200_000, "ﷺ" * 100_000)):
        part = text[:25_000]
        fields = {"description": text[:60_000], "labels": {part: part}, "tags": {"tasks": [part], "subjects": [part]}}
        await project.model(f"long {number}", **fields)

    await bring_forward(database)

    assert (await found(project, "long"))["total"] == 5


async def test_it_finds_what_could_be_found_then(project: Project, database: Database) -> None:
    model = await project.model("churn one", description="old words")
    await project.version(model, "churn-v1")
    await bring_forward(database)
    then = {query: await found(project, query) for query in ("churn", "old", "new", "churn one", "!")}
    made(await project.patch(f"/models/{model['id']}", {"name": "renamed", "description": "new"}), 200)
    await project.model("churn two")
    await bring_forward(database)

    assert then["churn"]["total"] == 2
    for query, answer in then.items():
        assert await found(project, query, f"&at={answer['position']}") == answer
        assert await found(project, query) != answer
