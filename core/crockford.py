"""Crockford's base32: letters and digits that people don't mistake for each other.

Source: D. Crockford, "Base 32".
"""

from __future__ import annotations

import secrets
from typing import Final

ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

# What people type or read wrongly, and what groups characters for the eye.
_READ_AS = str.maketrans({"O": "0", "I": "1", "L": "1", "-": None})


def random_characters(count: int) -> str:
    """So many random characters, 5 bits each."""
    return "".join(secrets.choice(ALPHABET) for _ in range(count))


def read(text: str) -> str:
    """What somebody typed in its one true spelling: any case, spaces and hyphens anywhere, O for 0, I and L for 1.

    Characters that are not of the alphabet stay.
    """
    return "".join(text.split()).upper().translate(_READ_AS)
