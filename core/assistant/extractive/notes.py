"""Lecture notes (Markdown) as plain blocks: what can be read aloud, and what the author stressed.

Code, HTML and images are left out. Parsed by markdown-it (CommonMark, and tables).
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markdown_it import MarkdownIt
from markdown_it.token import Token

from core.assistant.extractive.words import is_unspaced

# Blocks beyond this are not read; a long chapter has hundreds.
MAX_BLOCKS = 5000
_MAX_TERM = 60
_SPACES = re.compile(r"\s+")


class Kind(enum.Enum):
    """What a block is."""

    PARAGRAPH = "paragraph"
    HEADING = "heading"
    ITEM = "item"
    CELL = "cell"


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, list item, heading or cell as plain text. `terms`: what stands in bold, italics or code in it, strongest
    first; `section` counts the headings above it."""

    kind: Kind
    text: str
    terms: tuple[str, ...]
    section: int


@dataclass(frozen=True, slots=True)
class Notes:
    """All that notes say. `tables`: rows of cells, the header first, each as long as the header."""

    blocks: tuple[Block, ...]
    tables: tuple[tuple[tuple[str, ...], ...], ...]

    @property
    def plain(self) -> str:
        """All that is said, a line a block."""
        return "\n".join(block.text for block in self.blocks)

    @property
    def headings(self) -> str:
        """What the headings say."""
        return "\n".join(block.text for block in self.blocks if block.kind is Kind.HEADING)


_CONTAINERS = {
    "heading_open": Kind.HEADING,
    "list_item_open": Kind.ITEM,
    "th_open": Kind.CELL,
    "td_open": Kind.CELL,
    "blockquote_open": Kind.PARAGRAPH,
}
_STRESS = ("strong_open", "em_open", "code_inline")


def read_notes(markdown: str) -> Notes:
    """The blocks of the notes in their order, and the tables."""
    blocks: list[Block] = []
    tables: list[list[list[str]]] = []
    kinds, section = [Kind.PARAGRAPH], 0
    for token in MarkdownIt("commonmark", {"maxNesting": 20}).enable("table").parse(markdown):
        if token.type == "table_open":
            tables.append([])
        elif token.type == "tr_open":
            tables[-1].append([])
        elif token.type in _CONTAINERS:
            kinds.append(_CONTAINERS[token.type])
            section += token.type == "heading_open"
        elif token.nesting < 0 and token.type.replace("_close", "_open") in _CONTAINERS:
            kinds.pop()
        elif token.type == "inline":
            block = _block(kinds[-1], token.children or [], section)
            blocks += [block] if block.text else []
            if block.kind is Kind.CELL:
                tables[-1][-1].append(block.text)
        if len(blocks) >= MAX_BLOCKS:
            break
    return Notes(tuple(blocks), tuple(tuple(tuple(row) for row in rows) for rows in tables))


def _block(kind: Kind, children: Sequence[Token], section: int) -> Block:
    text = _tidy("".join(_pieces(children)))
    stressed = {name: [] for name in _STRESS}  # type: dict[str, list[str]]
    for place, token in enumerate(children):
        if token.type == "code_inline":
            stressed["code_inline"].append(_tidy(token.content))
        elif token.type in stressed:
            stressed[token.type].append(_tidy("".join(_pieces(_inside(children, place)))))
    terms = [term.strip(".,;:!?、。，：； ") for name in _STRESS for term in stressed[name]]
    kept = dict.fromkeys(term for term in terms if 0 < len(term) <= _MAX_TERM and term in text)
    return Block(kind, text, tuple(kept), section)


def _inside(children: Sequence[Token], place: int) -> Iterator[Token]:
    depth = 0
    for token in children[place:]:
        depth += token.nesting
        if depth == 0:
            return
        yield token


def _pieces(children: Sequence[Token] | Iterator[Token]) -> Iterator[str]:
    for token in children:
        if token.type in ("text", "code_inline"):
            yield token.content
        elif token.type in ("softbreak", "hardbreak"):
            yield "\n"


def _tidy(text: str) -> str:
    """On one line; a line break between characters of a script without spaces is none."""
    lines = [line.strip() for line in text.split("\n")]
    joined = lines[0]
    for line in lines[1:]:
        gap = "" if joined and line and is_unspaced(joined[-1]) and is_unspaced(line[0]) else " "
        joined += gap + line
    return _SPACES.sub(" ", joined).strip()
