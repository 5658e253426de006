"""The key that signs certificates: making it, and telling what its successor needs to know of it."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from core.certificates.keys import new_signing_key, public_part

KEY_FILE = "certificate-key.pem"


def make_signing_key(path: Path) -> None:
    """Write a new key and its certificate into a new file that only its owner may read. Raises FileExistsError, OSError.

    The file appears whole or not at all, and one that is there is never replaced.
    """
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(new_signing_key())
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(fresh, path)
    finally:
        fresh.unlink()


def kept_signing_key(data_dir: Path) -> Path:
    """The data folder's signing key, made when there is none."""
    path = data_dir / KEY_FILE
    if not path.exists():
        with suppress(FileExistsError):  # another start was first
            make_signing_key(path)
    return path


def retire(path: Path) -> str:
    """What to add to CERTIFICATE_RETIRED_KEYS when the key in this file is replaced. Raises ValueError, OSError."""
    return public_part(path.read_bytes()).decode("ascii")
