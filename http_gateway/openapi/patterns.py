"""Patterns of input rules (RE2) as ones that all readers of JSON Schema understand.

Unicode categories are written out: ECMA-262 knows them with its `u` flag only, Python's `re` not at all.
"""

from __future__ import annotations

import re

_CATEGORY = re.compile(r"\\([pP])\{(\w+)\}")
# Everything but control characters, with the few of them that texts of several lines have.
_LINES = r"[\t\n\r\P{Cc}]"
_NO_CONTROLS_BUT_LINES = r"[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]"
# What stands within a character class for each category in use: Unicode 15.
_CLASSES = {
    "pCc": r"\u0000-\u001f\u007f-\u009f",
    "pZ": r" \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000",
    "pCf": r"\u00ad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f"
    r"\ufeff\ufff9-\ufffb" + "\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0001"
    "\U000e0020-\U000e007f",
}  # fmt: skip


def portable(pattern: str) -> str:
    """The same pattern without Unicode categories. Raises KeyError for a category not known here."""
    return _CATEGORY.sub(lambda found: _CLASSES[found[1] + found[2]], pattern.replace(_LINES, _NO_CONTROLS_BUT_LINES))
