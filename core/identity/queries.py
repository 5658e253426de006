"""All SQL of identity."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from core.db import Reader, Transaction
from skillforge.v1 import identity_pb2
from skillforge.v1.identity_pb2 import Role, UserStatus

_COLUMNS = "id, clerk_id, email, display_name, image_url, role, status, profile_version, create_time, update_time"


class UserRow(NamedTuple):
    """A row of `users`."""

    id: bytes
    clerk_id: str
    email: str
    display_name: str
    image_url: str
    role: Role.ValueType
    status: UserStatus.ValueType
    profile_version: int
    create_time: datetime
    update_time: datetime


async def user_by_clerk_id(db: Reader, clerk_id: str) -> UserRow | None:
    """The account of a Clerk user."""
    row = await db.fetch_one(f"SELECT {_COLUMNS} FROM users WHERE clerk_id = %s", (clerk_id,))
    return UserRow(*row) if row else None


async def user_by_id(db: Reader, user_id: bytes) -> UserRow | None:
    """One account."""
    row = await db.fetch_one(f"SELECT {_COLUMNS} FROM users WHERE id = %s", (user_id,))
    return UserRow(*row) if row else None


async def users_by_email(db: Reader, email: str) -> list[UserRow]:
    """The accounts with an e-mail address, whatever its letters' case, newest first; deleted ones are left out."""
    rows = await db.fetch_all(
        f"SELECT {_COLUMNS} FROM users WHERE email = %s AND status <> %s ORDER BY id DESC LIMIT 10",
        (email, identity_pb2.USER_STATUS_DELETED),
    )
    # The database takes accented letters for plain ones; an address with them is another person's.
    return [found for found in (UserRow(*row) for row in rows) if found.email.casefold() == email.casefold()]


async def session_revoked(db: Reader, session_id: str) -> bool:
    """Whether a session was signed out."""
    return await db.fetch_one("SELECT 1 FROM revoked_sessions WHERE session_id = %s", (session_id,)) is not None


async def insert_user(tx: Transaction, row: UserRow) -> None:
    """Add an account. Raises DuplicateKey ("users_clerk_id") when it exists."""
    await tx.execute(f"INSERT INTO users ({_COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)", row)


# An account's update_time is also its version in caches, so that every change moves it on, whatever the clocks say.
_TOUCH = "update_time = GREATEST(CAST(%s AS DATETIME(6)), update_time + INTERVAL 1 MICROSECOND)"


async def update_profile(
    tx: Transaction, clerk_id: str, email: str, display_name: str, image_url: str, version: int, now: datetime
) -> bool:
    """Take over a newer profile; False when the one stored is as new."""
    return bool(
        await tx.execute(
            f"UPDATE users SET email = %s, display_name = %s, image_url = %s, profile_version = %s, {_TOUCH}"
            " WHERE clerk_id = %s AND profile_version < %s",
            (email, display_name, image_url, version, now, clerk_id, version),
        )
    )


async def change_standing(
    tx: Transaction, before: UserRow, role: Role.ValueType, status: UserStatus.ValueType, now: datetime
) -> bool:
    """Set role and status where they are still as in `before`; False when somebody else changed them meanwhile."""
    return bool(
        await tx.execute(
            f"UPDATE users SET role = %s, status = %s, {_TOUCH} WHERE id = %s AND role = %s AND status = %s",
            (role, status, now, before.id, before.role, before.status),
        )
    )


async def move_admin_count(tx: Transaction, change: int, at_least: int) -> bool:
    """Move the number of active admins; False when that would leave fewer than `at_least`.

    One row decides, so that two admins who demote each other at once cannot both succeed.
    """
    return bool(
        await tx.execute(
            "UPDATE counters SET value = value + %s WHERE name = 'active_admins' AND value + %s >= %s",
            (change, change, at_least),
        )
    )


async def insert_revoked_session(tx: Transaction, session_id: str, user_id: bytes, now: datetime) -> None:
    """Note that a session was signed out; a repeat changes nothing."""
    await tx.execute(
        "INSERT INTO revoked_sessions (session_id, user_id, revoke_time) VALUES (%s, %s, %s)"
        " ON DUPLICATE KEY UPDATE revoke_time = revoke_time",
        (session_id, user_id, now),
    )


# The index that holds what is filtered for in the order of the list, by whether role and status are given: a server
# left to itself intersects two of them and sorts.
_INDEXES = {(False, False): "PRIMARY", (True, False): "users_by_role", (False, True): "users_status", (True, True): "users_role"}
# Who has a beginning is found in its indexes, and sorted. When these are many, the newest accounts are looked through
# before: mostly they fill the page.
_FEW = 1000
_NEWEST = 10_000
_MATCHES = "SELECT id FROM users WHERE email LIKE %s UNION SELECT id FROM users WHERE display_name LIKE %s"
_COUNT = """
SELECT GREATEST((SELECT COUNT(*) FROM (SELECT 1 FROM users WHERE email LIKE %s LIMIT %s) a),
  (SELECT COUNT(*) FROM (SELECT 1 FROM users WHERE display_name LIKE %s LIMIT %s) b))
"""


async def list_users(db: Reader, role: int, status: int, prefix: str, before_id: bytes | None, limit: int) -> Sequence[UserRow]:
    """Accounts, newest first, filtered by what is given (0 and "" are no filter)."""
    given = {"u.role = %s": role, "u.status = %s": status, "u.id < %s": before_id}
    where = " AND ".join(condition for condition, value in given.items() if value) or "TRUE"
    params = [value for value in given.values() if value]
    newest = f"users u FORCE INDEX ({_INDEXES[bool(role), bool(status)]})"
    if not prefix:
        return await _users(db, newest, where, params, limit)
    pattern = prefix.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
    counted = await db.fetch_one(_COUNT, (pattern, _FEW, pattern, _FEW))
    if counted is not None and counted[0] >= _FEW:
        sql = f"SELECT u.id FROM {newest} WHERE {where} ORDER BY u.id DESC LIMIT 1 OFFSET %s"
        last = await db.fetch_one(sql, (*params, _NEWEST))
        matching = f"{where} AND u.id >= %s AND (u.email LIKE %s OR u.display_name LIKE %s)"
        rows = await _users(db, newest, matching, [*params, last[0] if last else b"", pattern, pattern], limit)
        if last is None or len(rows) == limit:
            return rows
    return await _users(db, f"({_MATCHES}) found JOIN users u ON u.id = found.id", where, [pattern, pattern, *params], limit)


async def _users(db: Reader, source: str, where: str, params: Sequence[object], limit: int) -> Sequence[UserRow]:
    columns = ", ".join(f"u.{column}" for column in _COLUMNS.split(", "))
    rows = await db.fetch_all(f"SELECT {columns} FROM {source} WHERE {where} ORDER BY u.id DESC LIMIT %s", (*params, limit))
    return [UserRow(*row) for row in rows]
