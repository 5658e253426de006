"""`/docs`: the whole interface on one page that needs nothing from elsewhere, and no script but for search and trials."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from importlib import resources
from typing import Any

from contract.methods import Method
from http_gateway.openapi.failures import reasons
from http_gateway.pages.docs_frames import frames_part
from http_gateway.pages.docs_operations import Reader, operation_part, operations_of
from http_gateway.pages.docs_style import DOCS_STYLE
from http_gateway.pages.docs_types import type_section
from http_gateway.pages.layout import page
from http_gateway.pages.markdown import html_of, inline_html

REALTIME_PATH = "/docs/realtime"
SCRIPT_PATH = "/static/docs.js"


def docs_page(document: dict[str, Any], methods: Iterable[Method]) -> str:
    """The page of an OpenAPI document and of the frames of the WebSocket."""
    read = Reader(document)
    tags = [(tag["name"], tag["description"]) for tag in document["tags"]]
    counts = {name: sum(1 for _ in operations_of(document, name)) for name, _ in tags}
    groups = "".join(_group(read, document, name, text) for name, text in tags)
    types = document["components"]["schemas"]
    return page(
        "API",
        f'<div class="docs">{_contents(counts)}<div>{_introduction(document)}{groups}'
        f'{_frames(frames_part(methods, types))}{_section("Errors", _reasons())}'
        f'{_section("Types", "".join(type_section(name, schema) for name, schema in types.items()))}</div></div>',
        wide=True,
        style=DOCS_STYLE,
        script=SCRIPT_PATH,
    )  # fmt: skip


def realtime_page() -> str:
    """The guide to the WebSocket."""
    text = resources.files("http_gateway.pages").joinpath("realtime.md").read_text()
    back = '<p><a href="/docs">API</a></p>'
    return page("Realtime", f'{back}<section class="card">{html_of(text)}</section>', wide=True, style=DOCS_STYLE)


def _contents(counts: dict[str, int]) -> str:
    lines = [f'<li><a href="#{name}">{name} <small>{count}</small></a></li>' for name, count in counts.items()]
    more = "".join(f'<li><a href="#{name}">{name}</a></li>' for name in ("WebSocket", "Errors", "Types"))
    return f'<nav aria-label="Contents"><ul>{"".join(lines)}{more}</ul></nav>'


def _introduction(document: dict[str, Any]) -> str:
    info = document["info"]
    links = (
        '<p><a href="/openapi.json">openapi.json</a> (OpenAPI 3.1) · '
        f'<a href="{REALTIME_PATH}">Guide to the WebSocket</a> · <a href="/">Console</a></p>'
    )
    search = '<p id="search" hidden><label for="filter">Search</label> <input id="filter" type="search" autocomplete="off"></p>'
    return f'<h1>{escape(info["title"])} API</h1>{links}{html_of(info["description"])}{search}<div id="account"></div>'


def _group(read: Reader, document: dict[str, Any], name: str, text: str) -> str:
    parts = "".join(operation_part(read, *item) for item in operations_of(document, name))
    return _section(name, html_of(text) + parts)


def _section(name: str, content: str) -> str:
    return f'<section id="{name}" aria-labelledby="h-{name}"><h2 id="h-{name}">{name}</h2>{content}</section>'


def _frames(content: str) -> str:
    words = (
        f'<p><code>GET /ws</code> upgrades to a WebSocket. The <a href="{REALTIME_PATH}">guide</a> tells how to connect and '
        "to come back, and plays a session; these are all frames.</p>"
    )
    return _section("WebSocket", words + content)


def _reasons() -> str:
    rows = "".join(f'<tr><th scope="row"><code>{name}</code></th><td>{inline_html(text)}</td></tr>' for name, text in reasons())
    head = '<thead><tr><th scope="col"><code>reason</code></th><th scope="col">When</th></tr></thead>'
    box = '<div class="scroll" tabindex="0" role="region" aria-label="Reasons">'
    return f"{box}<table>{head}<tbody>{rows}</tbody></table></div>"
