"""The OpenAPI document as one page: plain HTML that needs no script and nothing from elsewhere."""

import json
from collections.abc import Iterable
from html import escape
from typing import Any

from modeltrail.http.documentation import Json

STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#1b1f24;background:#fff}
h2{margin-top:2.5rem;border-bottom:1px solid #d5dae0}
summary{cursor:pointer;padding:.3rem 0}
details details,details>:not(summary){margin-left:1.5rem}
code,pre{font:13px/1.45 ui-monospace,monospace;background:#f3f5f7;border-radius:4px;padding:.1rem .3rem}
pre{padding:.6rem;overflow:auto;white-space:pre-wrap}
table{border-collapse:collapse}
td,th{text-align:left;vertical-align:top;padding:.2rem .8rem .2rem 0;border-bottom:1px solid #e6e9ed}
.verb{display:inline-block;min-width:4rem;font-weight:700;text-transform:uppercase}
@media(prefers-color-scheme:dark){body{color:#e2e6ea;background:#15181c}code,pre{background:#23282e}
h2,td,th{border-color:#363c44}a{color:#8ab4f8}}
"""


def page(document: Json) -> str:
    """The whole page."""
    info = document["info"]
    title = f"{escape(info['title'])} {escape(info['version'])}"
    chapters = "".join(_chapter(tag, document) for tag in document["tags"])
    schemas = "".join(_schema(name, schema) for name, schema in document["components"]["schemas"].items())
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{STYLE}</style></head><body>'
        f'<h1>{title}</h1>{_prose(info["description"])}<p><a href="/schema/openapi.json">openapi.json</a></p>'
        f"{chapters}<h2>Schemas</h2>{schemas}</body></html>"
    )


def _chapter(tag: Json, document: Json) -> str:
    operations = "".join(
        _operation(method, path, operation, document)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if tag["name"] in operation["tags"]
    )
    return f"<h2>{escape(tag['name'])}</h2><p>{escape(tag['description'])}</p>{operations}"


def _operation(method: str, path: str, operation: Json, document: Json) -> str:
    parameters = [_resolved(each, document) for each in operation["parameters"]]
    rows = (
        (_code(each["name"]), each["in"] + (", required" if each.get("required") else ""), _parameter(each))
        for each in parameters
    )
    body = operation.get("requestBody")
    answers = ((status, _answer(_resolved(each, document))) for status, each in operation["responses"].items())
    return (
        f'<details id="{escape(operation["operationId"])}"><summary><span class="verb">{escape(method)}</span>'
        f"{_code(path)} {escape(operation['summary'])}</summary>"
        f"{_prose(operation.get('description', ''))}"
        f"<h4>Parameters</h4>{_table(rows)}"
        f"{'<h4>Body</h4><p>' + _content(body['content']) + '</p>' if body else ''}"
        f"<h4>Answers</h4>{_table(answers)}</details>"
    )


def _parameter(parameter: Json) -> str:
    return f"{_prose(parameter['description'])}{_code(json.dumps(parameter['schema'], ensure_ascii=False))}"


def _answer(answer: Json) -> str:
    headers = ", ".join(_code(name) for name in answer["headers"])
    return f"{_prose(answer['description'])}{_content(answer.get('content', {}))} with {headers}"


def _content(content: Json) -> str:
    return ", ".join(f"{_code(kind)} {_kind(each['schema'])}" for kind, each in content.items()) or "Nothing"


def _kind(schema: Json) -> str:
    if "$ref" not in schema:
        return _code(schema["type"])
    name = escape(schema["$ref"].rpartition("/")[2])
    return f'<a href="#{name}">{name}</a>'


def _schema(name: str, schema: Json) -> str:
    """Open, so that a link to it shows what it says."""
    text = json.dumps(schema, indent=2, ensure_ascii=False)
    return f'<details open id="{escape(name)}"><summary>{_code(name)}</summary><pre>{escape(text)}</pre></details>'


def _table(rows: Iterable[Iterable[str]]) -> str:
    cells = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table>{cells}</table>" if cells else "<p>None</p>"


def _prose(text: str) -> str:
    """Paragraphs, with what stands between backticks as code."""
    paragraphs = [each.split("`") for each in text.split("\n\n") if each]
    return "".join(
        f"<p>{''.join(_code(part) if odd % 2 else escape(part) for odd, part in enumerate(parts))}</p>"
        for parts in paragraphs
    )


def _code(text: str) -> str:
    return f"<code>{escape(text)}</code>"


def _resolved(part: Json, document: Json) -> Json:
    """What a reference within the document stands for."""
    if "$ref" not in part:
        return part
    found: Any = document  # Any: any part of the document
    for key in part["$ref"].removeprefix("#/").split("/"):
        found = found[key]
    resolved: Json = found
    return resolved
