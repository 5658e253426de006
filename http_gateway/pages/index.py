"""The front page: what this service is and every route it answers to."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from http_gateway.pages.layout import page


class RouteLine(NamedTuple):
    """One route as people read it."""

    verb: str
    path: str
    rpc: str
    access: tuple[str, ...]


def index_page(routes: Sequence[RouteLine]) -> str:
    """The front page as HTML."""
    lines = "\n".join(
        f"<tr><td><code>{escape(line.verb)}</code></td><td><code>{escape(line.path)}</code></td>"
        f"<td>{escape(', '.join(line.access))}</td><td><code>{escape(line.rpc)}</code></td></tr>"
        for line in routes
    )
    head = "".join(f'<th scope="col">{name}</th>' for name in ("Verb", "Path", "Who", "RPC"))
    content = (
        '<section class="card"><h1>SkillForge LMS</h1>'
        "<p>This is the REST interface of a learning management system: JSON in the canonical proto3 mapping, "
        "errors as <code>application/problem+json</code>, sign-in with <code>Authorization: Bearer</code>.</p>"
        '<p><a href="/healthz">Health</a> · <a href="/readyz">Readiness</a></p></section>'
        '<section class="card"><h2>Routes</h2><div class="scroll" tabindex="0" role="region" aria-label="Routes"><table>'
        f"<thead><tr>{head}</tr></thead>"
        f"<tbody>\n{lines}\n</tbody></table></div></section>"
    )
    return page("REST interface", content, wide=True)
