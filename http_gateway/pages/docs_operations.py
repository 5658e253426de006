"""The operations of the OpenAPI document, each a part that opens."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape
from typing import Any

from http_gateway.pages.docs_types import Schema, example_block, field_table, properties_table, type_words
from http_gateway.pages.markdown import html_of, inline_html


class Reader:
    """Finds what a document's references lead to."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._components = document["components"]

    def __call__(self, item: Schema) -> Schema:
        """The item itself, or what its reference means."""
        if "$ref" not in item:
            return item
        kind, name = item["$ref"].split("/")[-2:]
        found: Schema = self._components[kind][name]
        return found


def operations_of(document: dict[str, Any], tag: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Verb, path and operation of each operation with a tag."""
    for path, verbs in document["paths"].items():
        for verb, operation in verbs.items():
            if tag in operation["tags"]:
                yield verb.upper(), path, operation


def operation_part(read: Reader, verb: str, path: str, operation: dict[str, Any]) -> str:
    """One operation."""
    name = escape(operation["operationId"])
    parts = [
        html_of(operation.get("description", operation["summary"])),
        _parameters(read, operation),
        _body(read, operation),
        _answers(read, operation),
        _trial(read, verb, path, operation),
    ]
    what = f'<code class="path">{escape(path)}</code> <span class="what">{inline_html(operation["summary"])}</span>'
    return f'<details class="op"><summary>{verb_mark(verb)} {what}</summary><div id="{name}">{"".join(parts)}</div></details>'


def verb_mark(verb: str) -> str:
    """An HTTP verb, coloured."""
    return f'<span class="verb {verb.lower()}">{verb}</span>'


def _parameters(read: Reader, operation: dict[str, Any]) -> str:
    found = [read(item) for item in operation.get("parameters", ())]
    rows = [(item["name"], item["schema"], item.get("required", False), _place(item)) for item in found]
    return f"<h4>Parameters</h4>{field_table('Name', rows)}" if rows else ""


def _place(parameter: Schema) -> str:
    where = {"path": "In the path.", "query": "In the query.", "header": "A header."}[parameter["in"]]
    return f"{where} {parameter.get('description', '')}"


def _body(read: Reader, operation: dict[str, Any]) -> str:
    if "requestBody" not in operation:
        return ""
    parts = ["<h4>Body</h4>"]
    for kind, content in operation["requestBody"]["content"].items():
        parts.append(f"<p><code>{escape(kind)}</code>: {type_words(content['schema'])}</p>")
        schema = read(content["schema"])
        if "$ref" in content["schema"] and "properties" in schema:
            parts.append(properties_table("Field", schema))
        if "example" in content:
            parts.append(example_block(content["example"]))
    return "".join(parts)


def _answers(read: Reader, operation: dict[str, Any]) -> str:
    lines, examples = [], []
    for status, answer in operation["responses"].items():
        answer = read(answer)
        contents = answer.get("content", {})
        types = "<br>".join(f"<code>{escape(kind)}</code> {type_words(item['schema'])}" for kind, item in contents.items())
        lines.append(f'<tr><th scope="row">{status}</th><td>{inline_html(answer["description"])}</td><td>{types}</td></tr>')
        examples += [example_block(item["example"]) for item in contents.values() if "example" in item]
    head = '<thead><tr><th scope="col">Status</th><th scope="col">When</th><th scope="col">With</th></tr></thead>'
    box = '<div class="scroll" tabindex="0" role="region" aria-label="Answers">'
    return f"<h4>Answers</h4>{box}<table>{head}<tbody>{''.join(lines)}</tbody></table></div>{''.join(examples[:1])}"


def _trial(read: Reader, verb: str, path: str, operation: dict[str, Any]) -> str:
    """Where the script puts a form to try the operation with; nothing without one."""
    parameters = [read(item) for item in operation.get("parameters", ())]
    contents = operation.get("requestBody", {}).get("content", {})
    told = {
        "verb": verb,
        "path": path,
        "parameters": [{"name": item["name"], "in": item["in"], "required": item.get("required", False)} for item in parameters],
        "type": next(iter(contents), ""),
        "body": next(
            (json.dumps(item["example"], ensure_ascii=False, indent=2) for item in contents.values() if "example" in item), ""
        ),
    }
    return f'<div class="trial" data-operation="{escape(json.dumps(told))}"></div>'
