"""Pure decisions about families: what a link code looks like, and how many links there may be."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection
from datetime import timedelta
from typing import Final

from core import crockford

# 40 random bits.
CODE_LENGTH: Final = 8
CODE_LIFETIME: Final = timedelta(minutes=15)
MAX_PARENTS: Final = 10
MAX_CHILDREN: Final = 20


def new_code() -> str:
    """A new code, as it is shown: "7K3M-9QXZ"."""
    characters = crockford.random_characters(CODE_LENGTH)
    return f"{characters[:4]}-{characters[4:]}"


def read_code(text: str) -> str | None:
    """The characters of a code somebody typed, in any case, with spaces and hyphens anywhere; None: it is no code."""
    characters = crockford.read(text)
    return characters if len(characters) == CODE_LENGTH and set(characters) <= set(crockford.ALPHABET) else None


def code_hash(secret: bytes, characters: str) -> bytes:
    """What is kept of a code: 40 bits alone could be found again by trying, so a key is in it."""
    return hmac.new(secret, b"family link code\0" + characters.encode(), hashlib.sha256).digest()


def free_slot(taken: Collection[int], slots: int) -> int | None:
    """The first slot of 1 to `slots` that is free; None: there is none."""
    return next((slot for slot in range(1, slots + 1) if slot not in taken), None)
