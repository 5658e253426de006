"""Identifiers: UUIDv7 (RFC 9562), 16 bytes in the database and the usual text in the contract."""

from __future__ import annotations

from uuid import UUID

import uuid_utils


def new_id() -> bytes:
    """A new time-ordered identifier, 16 bytes."""
    return uuid_utils.uuid7().bytes


def to_bytes(text: str) -> bytes:
    """The 16 bytes of a UUID's text. The contract's input rules have checked the text; else ValueError."""
    return bytes.fromhex(text.replace("-", "")) if len(text) == 36 else UUID(text).bytes


def to_text(raw: bytes | None) -> str:
    """A UUID's text from its 16 bytes; "" for None."""
    if raw is None:
        return ""
    digits = raw.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
