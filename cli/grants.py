"""`skillforge grant-role`: the way to the first administrator."""

from __future__ import annotations

import click

from core.app import Core
from core.db import Migrator
from core.settings import Settings
from core.times import utc_now
from skillforge.v1 import identity_pb2


async def grant_role(settings: Settings, email: str, role: str) -> str:
    """Give the account with the address the role (a name without prefix); returns what was done.

    Raises DomainError, and click.ClickException when the database is not up to date.
    """
    core = Core(settings)
    db = core.resources.db
    try:
        await db.start()
        if await Migrator(db).pending():
            raise click.ClickException("the database is not up to date. Run `skillforge migrate` first.")
        user = await core.identity.grant_role(email, identity_pb2.Role.Value(f"ROLE_{role}"), utc_now())
    finally:
        await core.close()
    return f"{user.display_name} <{user.email}> is now {identity_pb2.Role.Name(user.role)}"
