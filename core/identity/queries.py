"""All SQL of identity."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from core.db import Database, Reader, Transaction
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


async def sessions_revoked(db: Reader, session_ids: Sequence[str]) -> set[str]:
    """Of the sessions, those that were signed out."""
    if not session_ids:
        return set()
    rows = await db.fetch_all("SELECT session_id FROM revoked_sessions WHERE session_id IN %s", (tuple(session_ids),))
    return {session_id for (session_id,) in rows}


async def standings(db: Reader, clerk_ids: Sequence[str]) -> dict[str, tuple[Role.ValueType, UserStatus.ValueType]]:
    """Role and status of the accounts, by their ids at Clerk."""
    if not clerk_ids:
        return {}
    rows = await db.fetch_all("SELECT clerk_id, role, status FROM users WHERE clerk_id IN %s", (tuple(clerk_ids),))
    return {clerk_id: (role, status) for clerk_id, role, status in rows}


async def drop_revoked_sessions(db: Database, before: datetime, limit: int) -> int:
    """Drop up to `limit` sign-outs from before a time, the oldest first; how many there were."""
    return await db.execute("DELETE FROM revoked_sessions WHERE revoke_time < %s ORDER BY revoke_time LIMIT %s", (before, limit))


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
# How many index entries or accounts are looked at for a page: so few with a beginning are found in its indexes and sorted;
# of more, mostly some of the newest accounts fill the page; where they don't, so many are sorted after all; and of still
# more the page holds what many of the newest give. However many accounts there are, a page costs no more.
_FEW = 1_000
_SOME_NEWEST = 2_000
_MANY = 20_000
_MANY_NEWEST = 20_000
# Both hold role and status too, so that no account but those found is read.
_BEGINNINGS = {"users_email_standing": "email", "users_name_standing": "display_name"}


class FoundUsers(NamedTuple):
    """A page of accounts; `reached`, where it is not full though there may be more: the last account looked at."""

    rows: Sequence[UserRow]
    reached: bytes | None = None


async def list_users(db: Reader, role: int, status: int, prefix: str, before_id: bytes | None, limit: int) -> FoundUsers:
    """Accounts, newest first, filtered by what is given (0 and "" are no filter)."""
    given = {"u.role = %s": role, "u.status = %s": status, "u.id < %s": before_id}
    where = " AND ".join(condition for condition, value in given.items() if value) or "TRUE"
    params = [value for value in given.values() if value]
    newest = f"users u FORCE INDEX ({_INDEXES[bool(role), bool(status)]})"
    if not prefix:
        return FoundUsers(await _users(db, newest, where, params, limit))
    pattern = prefix.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
    if await _matches(db, pattern, _FEW) < _FEW:
        return FoundUsers(await _beginning(db, where, params, pattern, limit))
    found = await _among_newest(db, newest, where, params, pattern, limit, _SOME_NEWEST)
    if found.reached is None:
        return found
    if await _matches(db, pattern, _MANY) < _MANY:
        return FoundUsers(await _beginning(db, where, params, pattern, limit))
    return await _among_newest(db, newest, where, params, pattern, limit, _MANY_NEWEST)


async def _among_newest(
    db: Reader, newest: str, where: str, params: Sequence[object], pattern: str, limit: int, looked_at: int
) -> FoundUsers:
    """The accounts with a beginning among so many of the newest."""
    sql = f"SELECT u.id FROM {newest} WHERE {where} ORDER BY u.id DESC LIMIT 1 OFFSET %s"
    last = await db.fetch_one(sql, (*params, looked_at - 1))
    matching = f"{where} AND u.id >= %s AND (u.email LIKE %s OR u.display_name LIKE %s)"
    rows = await _users(db, newest, matching, [*params, last[0] if last else b"", pattern, pattern], limit)
    return FoundUsers(rows, None if last is None or len(rows) == limit else last[0])


async def _matches(db: Reader, pattern: str, limit: int) -> int:
    """How many accounts, of whatever standing, one of the indexes holds with a beginning, counted up to a limit."""
    counts = [
        f"(SELECT COUNT(*) FROM (SELECT 1 FROM users u FORCE INDEX ({index}) WHERE u.{column} LIKE %s LIMIT %s) m)"
        for index, column in _BEGINNINGS.items()
    ]
    row = await db.fetch_one(f"SELECT GREATEST({', '.join(counts)})", (pattern, limit) * len(counts))
    return int(row[0]) if row else 0


async def _beginning(db: Reader, where: str, params: Sequence[object], pattern: str, limit: int) -> Sequence[UserRow]:
    """The newest accounts with a beginning: those of each index, together."""
    newest = [
        f"(SELECT u.id FROM users u FORCE INDEX ({index}) WHERE u.{column} LIKE %s AND {where} ORDER BY u.id DESC LIMIT %s)"
        for index, column in _BEGINNINGS.items()
    ]
    source = f"({' UNION '.join(newest)}) found JOIN users u ON u.id = found.id"
    return await _users(db, source, "TRUE", (pattern, *params, limit) * len(newest), limit)


async def _users(db: Reader, source: str, where: str, params: Sequence[object], limit: int) -> Sequence[UserRow]:
    columns = ", ".join(f"u.{column}" for column in _COLUMNS.split(", "))
    rows = await db.fetch_all(f"SELECT {columns} FROM {source} WHERE {where} ORDER BY u.id DESC LIMIT %s", (*params, limit))
    return [UserRow(*row) for row in rows]
