"""TURN credentials that the server and coturn agree on without talking.

Source: A REST API For Access To TURN Services (draft-uberti-behave-turn-rest), coturn's `use-auth-secret`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Final

LIFE_SECONDS: Final = 3600


def credentials(secret: str, user_id: str, expires_at: int) -> tuple[str, str]:
    """Username and password for a user until `expires_at`, in seconds since 1970."""
    username = f"{expires_at}:{user_id}"
    # SHA-1 is the protocol's; a MAC with it is sound.
    mac = hmac.new(secret.encode(), username.encode(), hashlib.sha1).digest()
    return username, base64.b64encode(mac).decode()
