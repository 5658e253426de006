"""Decisions about erased accounts: pure, on plain values."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

# No call that began before an erasure can still write so long after it; then what it wrote is erased, too.
SETTLE: Final = timedelta(minutes=2)


def pseudonym(user_id: bytes) -> str:
    """The name of an erased account: always the same, and nobody's. Its id's last bytes are random."""
    return f"Erased user {user_id[-4:].hex()}"


def nobody(user_id: bytes) -> str:
    """What stands in the place of an erased account's id at Clerk; Clerk's own never look like it."""
    return f"erased:{user_id.hex()}"
