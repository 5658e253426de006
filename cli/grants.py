"""`skillforge grant-role`: the way to the first administrator."""

from __future__ import annotations

from core.app import Core
from core.settings import Settings
from core.times import utc_now
from skillforge.v1 import identity_pb2


async def grant_role(settings: Settings, email: str, role: str) -> str:
    """Give the account with the address the role (a name without prefix); returns what was done. Raises DomainError."""
    core = Core(settings)
    try:
        await core.resources.db.start()
        user = await core.identity.grant_role(email, identity_pb2.Role.Value(f"ROLE_{role}"), utc_now())
    finally:
        await core.close()
    return f"{user.display_name} <{user.email}> is now {identity_pb2.Role.Name(user.role)}"
