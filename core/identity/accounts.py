"""Changing accounts: created and refreshed from Clerk, roles and statuses changed by admins.

Every way in (first login, webhook, an admin, the command line) goes through these functions, so that the number of
active admins is always right. After a change the row is read again: others may have changed its other columns.
"""

from __future__ import annotations

from datetime import datetime

from core.analytics import rollups
from core.db import DuplicateKey, Transaction
from core.errors import Conflict, FailedPrecondition
from core.identity import queries
from core.identity.clerk import Profile
from core.identity.queries import UserRow
from core.identity.rules import admin_change
from core.ids import new_id
from skillforge.v1 import identity_pb2
from skillforge.v1.identity_pb2 import Role, UserStatus

NO_ROLE = identity_pb2.ROLE_UNSPECIFIED
ACTIVE = identity_pb2.USER_STATUS_ACTIVE
DELETED = identity_pb2.USER_STATUS_DELETED


async def store_profile(tx: Transaction, profile: Profile, now: datetime) -> tuple[UserRow, bool]:
    """The account with this profile, and whether that changed anything: it is created, without a role, or refreshed.

    An older profile changes nothing, nor does any once the account was deleted.
    """
    row = await queries.user_by_clerk_id(tx, profile.clerk_id)
    if row is None:
        row, made = await _create(tx, profile, ACTIVE, now)
        if made:
            return row, True
    if row.status == DELETED or profile.version <= row.profile_version:
        return row, False
    changed = await queries.update_profile(
        tx, row.clerk_id, profile.email, profile.display_name, profile.image_url, profile.version, now
    )
    return await _again(tx, row), changed


async def choose_first_role(tx: Transaction, row: UserRow, role: Role.ValueType, now: datetime) -> tuple[UserRow, bool]:
    """Give an account without a role its first one; and whether this did it, and not somebody quicker."""
    if row.role != NO_ROLE:
        return row, False
    try:
        return await set_standing(tx, row, role, row.status, now), True
    except Conflict:
        latest = await _again(tx, row)
        if latest.role == NO_ROLE:
            raise
        return latest, False


async def set_standing(
    tx: Transaction,
    row: UserRow,
    role: Role.ValueType,
    status: UserStatus.ValueType,
    now: datetime,
    *,
    keep_an_admin: bool = True,
) -> UserRow:
    """Change role and status. Raises FailedPrecondition (LAST_ADMIN) and Conflict (somebody else was quicker)."""
    if (role, status) == (row.role, row.status):
        return row
    if not await queries.change_standing(tx, row, role, status, now):
        raise Conflict("CONFLICT", "The account was changed meanwhile. Read it again and repeat.")
    change = admin_change(row.role, row.status, role, status)
    at_least = 1 if change < 0 and keep_an_admin else 0
    if change and not await queries.move_admin_count(tx, change, at_least):
        raise FailedPrecondition("LAST_ADMIN", "This is the last active administrator. Make somebody else one first.")
    await rollups.account_moved(tx, (row.role, row.status), (role, status), now)
    return await _again(tx, row)


async def delete(tx: Transaction, clerk_id: str, now: datetime) -> UserRow | None:
    """Close the account of a user deleted at Clerk; None when it is closed already.

    One never seen is closed too, so that an event that was sent before and comes later does not open it. Clerk has
    decided already, so the last admin is not kept.
    """
    row = await queries.user_by_clerk_id(tx, clerk_id)
    if row is None:
        row, made = await _create(tx, Profile(clerk_id, "", "Deleted user", "", 0), DELETED, now)
        if made:
            return row
    if row.status == DELETED:
        return None
    return await set_standing(tx, row, row.role, DELETED, now, keep_an_admin=False)


async def _create(tx: Transaction, profile: Profile, status: UserStatus.ValueType, now: datetime) -> tuple[UserRow, bool]:
    """A new account without a role; or, when somebody else was quicker, theirs and False."""
    who = (profile.clerk_id, profile.email, profile.display_name, profile.image_url)
    row = UserRow(new_id(), *who, NO_ROLE, status, profile.version, now, now)
    try:
        await queries.insert_user(tx, row)
    except DuplicateKey:
        found = await queries.user_by_clerk_id(tx, profile.clerk_id)
        if found is None:  # theirs was rolled back after all
            raise Conflict("CONFLICT", "The account is being created by another call. Try again.") from None
        return found, False
    await rollups.account_moved(tx, None, (row.role, row.status), now)
    return row, True


async def _again(tx: Transaction, row: UserRow) -> UserRow:
    latest = await queries.user_by_id(tx, row.id)
    return latest if latest is not None else row
