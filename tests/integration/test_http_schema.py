"""The API's description as it is served."""

import re

from modeltrail.http.app import BASE_PATH
from support.api import Api
from support.fuzzing import operations


async def test_the_document_is_served_to_everybody(api: Api) -> None:
    answer = await api.client.get("/schema/openapi.json")

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert answer.json()["openapi"] == "3.1.0"
    assert f"{BASE_PATH}/models" in answer.json()["paths"]


async def test_the_page_names_every_operation_and_schema(api: Api) -> None:
    document = (await api.client.get("/schema/openapi.json")).json()
    page = await api.client.get("/schema")

    assert page.headers["content-type"] == "text/html; charset=utf-8"
    for name in [each["operationId"] for each in operations(document)] + list(document["components"]["schemas"]):
        assert f'id="{name}"' in page.text


async def test_the_page_needs_nothing_from_elsewhere_and_runs_nothing(api: Api) -> None:
    page = await api.client.get("/schema")

    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert not re.search(r"<script|<link|<img|\bsrc=|@import|url\(", page.text)
    assert {link for link in re.findall(r'href="([^"]*)"', page.text) if not link.startswith("#")} == {
        "/schema/openapi.json"
    }


async def test_every_link_of_the_page_leads_somewhere(api: Api) -> None:
    page = (await api.client.get("/schema")).text

    assert set(re.findall(r'href="#([^"]*)"', page)) <= set(re.findall(r'id="([^"]*)"', page))
