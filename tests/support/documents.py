"""The examples in the documents: fenced blocks of Markdown, by the language they name.

A comment `<!-- not run: why -->` on the line above keeps a block from being run; blocks of `text` are no examples.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
SHELL, PYTHON, SCRIPT = "sh", "python", "js"
# What is run, here or (frames) by the test of the realtime guide.
RUN = (SHELL, PYTHON, SCRIPT, "frames")
NO_EXAMPLES = ("text",)
_BLOCK = re.compile(r"^(<!-- not run: [^\n]+ -->\n)?```([a-z]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Example(NamedTuple):
    """A block: where it is ("README.md:9"), its language ("sh" where it names none), its text."""

    place: str
    language: str
    text: str


def examples(path: Path) -> list[Example]:
    """The blocks of a document that are to be run, in their order."""
    document = path.read_text()
    found = []
    for block in _BLOCK.finditer(document):
        language = block[2] or SHELL
        if block[1] is None and language not in NO_EXAMPLES:
            line = document.count("\n", 0, block.start()) + 1
            found.append(Example(f"{path.relative_to(ROOT)}:{line}", language, block[3]))
    return found
