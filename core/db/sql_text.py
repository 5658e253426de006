"""Splitting a file of SQL into its statements."""

from __future__ import annotations

import re

# A quoted string (with doubled or escaped quotes), a comment, or a semicolon.
_TOKEN = re.compile(
    r"""'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*"|`(?:[^`]|``)*`|/\*.*?\*/|--(?=[ \t\r\n]|$)[^\n]*|\#[^\n]*|;""",
    re.DOTALL,
)


def split_statements(text: str) -> list[str]:
    """The statements of a script, without comments and their closing semicolons. Quotes and comments may hold semicolons.

    Versioned comments (`/*!...*/`) are kept: they are statements to some servers.
    """
    statements: list[str] = []
    current: list[str] = []
    position = 0
    for token in _TOKEN.finditer(text):
        current.append(text[position : token.start()])
        position = token.end()
        found = token.group()
        if found == ";":
            statements.append("".join(current))
            current = []
        elif found[0] in "'\"`" or found.startswith("/*!"):
            current.append(found)
        else:
            current.append(" ")
    statements.append("".join(current) + text[position:])
    return [statement.strip() for statement in statements if statement.strip()]
