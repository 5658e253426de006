"""Lines of CSV (RFC 4180) that a spreadsheet can open without running what is in them.

A text that a spreadsheet could take for a formula gets an apostrophe before it.
Source: https://owasp.org/www-community/attacks/CSV_Injection
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

Cell = str | int | float | bool | datetime | None

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def csv_lines(rows: Iterable[Sequence[Cell]]) -> bytes:
    """The rows as lines in UTF-8. Times are naive UTC; None is an empty cell."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows([_text(cell) for cell in row] for row in rows)
    return text.getvalue().encode("utf-8", "replace")


def _text(cell: Cell) -> str:
    if isinstance(cell, str):
        return f"'{cell}" if cell.startswith(_FORMULA) or cell.lstrip().startswith(_FORMULA) else cell
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, datetime):
        return f"{cell.isoformat()}Z"
    return "" if cell is None else str(cell)
