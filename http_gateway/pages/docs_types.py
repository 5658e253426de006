"""Schemas of the OpenAPI document as people read them: a type in a few words, and the tables of their fields."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from http_gateway.pages.markdown import html_of, inline_html

Schema = Mapping[str, Any]

_WORDS = {
    "date-time": "time", "uuid": "uuid", "byte": "base64", "int64": "64-bit number as text", "email": "e-mail address",
    "uri": "URL", "uri-reference": "URL", "binary": "bytes",
}  # fmt: skip
_LIMITS = {
    "minLength": "at least {} characters", "maxLength": "at most {} characters", "minItems": "at least {}",
    "maxItems": "at most {}",
    "minimum": "{} or more", "maximum": "{} or less", "exclusiveMinimum": "more than {}", "exclusiveMaximum": "less than {}",
}  # fmt: skip
_MACHINE_LIMITS = (-(2**31), 2**31 - 1, 2**32 - 1)


def type_words(schema: Schema) -> str:
    """A type as HTML: a link, or a few words."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#type-{name}">{name}</a>'
    if schema.get("type") == "array":
        return f"list of {type_words(schema['items'])}"
    if "enum" in schema:
        return " or ".join(f"<code>{escape(str(value))}</code>" for value in schema["enum"])
    words: dict[str, str] = {"string": "text", "integer": "whole number", "boolean": "true or false"}
    kind: str = schema["type"]
    return _WORDS.get(schema.get("format", "")) or words.get(kind, kind)


def limit_words(schema: Schema) -> str:
    """What a value has to keep to, as HTML."""
    said = [text.format(schema[name]) for name, text in _LIMITS.items() if name in schema and schema[name] not in _MACHINE_LIMITS]
    if schema.get("uniqueItems"):
        said.append("each once")
    if "pattern" in schema and schema.get("format") != "int64":
        said += _pattern_words(schema["pattern"])
    return ", ".join(said).replace("at least 1 characters", "not empty")


def _pattern_words(pattern: str) -> list[str]:
    """A pattern in words, where it keeps control characters out, else as it is."""
    blank = ["not blank"] if r"\u00ad" in pattern else []
    if r"[^\u0000-\u0008" in pattern:
        return ["no control characters", *blank]
    if r"\u0000-\u001f" in pattern:
        return ["one line", *blank]
    return [f"like <code>{escape(pattern)}</code>"]


def field_table(caption: str, rows: Iterable[tuple[str, Schema, bool, str]]) -> str:
    """A table of fields: name, schema, whether it is required (or always there), description."""
    lines = []
    for name, schema, required, text in rows:
        limits = limit_words(schema) or limit_words(schema.get("items", {}))
        about = "<br>".join(filter(None, [inline_html(text), f"<small>{limits}</small>" if limits else ""]))
        mark = ' <span class="must" title="always">*</span>' if required else ""
        lines.append(
            f'<tr><th scope="row"><code>{escape(name)}</code>{mark}</th><td>{type_words(schema)}</td><td>{about}</td></tr>'
        )
    head = f'<thead><tr><th scope="col">{escape(caption)}</th><th scope="col">Type</th><th scope="col">About</th></tr></thead>'
    box = f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}">'
    return f"{box}<table>{head}<tbody>{''.join(lines)}</tbody></table></div>"


def properties_table(caption: str, schema: Schema) -> str:
    """The table of an object's fields."""
    required = schema.get("required", ())
    rows = [(name, item, name in required, item.get("description", "")) for name, item in schema["properties"].items()]
    return field_table(caption, rows)


def type_section(name: str, schema: Schema) -> str:
    """A named type with its fields or values."""
    about = html_of(schema["description"]) if "description" in schema else ""
    if "properties" in schema:
        about += properties_table("Field", schema)
    elif "enum" in schema and "- `" not in schema.get("description", ""):
        about += f"<p>{type_words(schema)}</p>"
    known = escape(name)
    return f'<details class="op type"><summary><code>{known}</code></summary><div id="type-{known}">{about}</div></details>'


def example_block(value: Any) -> str:
    """An example as it goes over the wire."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    return f'<pre tabindex="0"><code>{escape(text)}</code></pre>'
