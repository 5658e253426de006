"""Markdown of our own as HTML: comments of the contract, and guides. Raw HTML in it is shown as text."""

from __future__ import annotations

import re
from itertools import pairwise

from markdown_it import MarkdownIt

_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")


def html_of(text: str) -> str:
    """A text as blocks; its headings can be linked to by their words, as `#the-javascript-client`."""
    tokens = _MARKDOWN.parse(text)
    for token, inner in pairwise(tokens):
        if token.type == "heading_open":
            token.attrSet("id", re.sub(r"[^\w-]", "", inner.content.lower().replace(" ", "-")))
    html: str = _MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {})
    # What is wide scrolls by itself, also from the keyboard.
    box = '<div class="scroll" tabindex="0" role="region" aria-label="Table">'
    html = html.replace("<table>", f"{box}<table>").replace("</table>", "</table></div>")
    return html.replace("<pre>", '<pre tabindex="0">')


def inline_html(text: str) -> str:
    """A text as part of a line or a cell: paragraphs become line breaks."""
    paragraphs = re.split(r"\n\s*\n", text.strip())
    return "<br>".join(_MARKDOWN.renderInline(item.replace("\n", " ")) for item in paragraphs if item)
