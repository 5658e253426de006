"""All SQL of links and link codes. What parents read of their children is in the queries of the features it belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from core.db import Reader, Transaction
from core.families.access import LINKS
from skillforge.v1 import identity_pb2

_PARENT = int(identity_pb2.ROLE_PARENT)
_STUDENT = int(identity_pb2.ROLE_STUDENT)
_ACTIVE = int(identity_pb2.USER_STATUS_ACTIVE)

# The last row of the page before.
After = tuple[datetime, bytes] | None


class LinkRow(NamedTuple):
    """A link with what each side sees of the other."""

    child_id: bytes
    child_name: str
    child_image_url: str
    parent_id: bytes
    parent_name: str
    parent_image_url: str
    create_time: datetime


# Codes


async def replace_code(tx: Transaction, child_id: bytes, code_hash: bytes, expire_time: datetime) -> bool:
    """Put the student's new code in the place of an old one; False: there is none."""
    sql = "UPDATE link_codes SET code_hash = %s, expire_time = %s WHERE child_id = %s"
    return await tx.execute(sql, (code_hash, expire_time, child_id)) == 1


async def insert_code(tx: Transaction, child_id: bytes, code_hash: bytes, expire_time: datetime) -> None:
    """The student's first code. Raises DuplicateKey."""
    sql = "INSERT INTO link_codes (child_id, code_hash, expire_time) VALUES (%s, %s, %s)"
    await tx.execute(sql, (child_id, code_hash, expire_time))


async def child_of_code(db: Reader, code_hash: bytes, now: datetime) -> bytes | None:
    """Whose code it is, if it is valid now."""
    row = await db.fetch_one("SELECT child_id FROM link_codes WHERE code_hash = %s AND expire_time > %s", (code_hash, now))
    return row[0] if row else None


async def use_code(tx: Transaction, code_hash: bytes, now: datetime) -> bool:
    """Use a code up; False: somebody else has, or it is too old."""
    return await tx.execute("DELETE FROM link_codes WHERE code_hash = %s AND expire_time > %s", (code_hash, now)) == 1


# Links

_SELECT = """
SELECT f.child_id, c.display_name, c.image_url, f.parent_id, p.display_name, p.image_url, f.create_time
FROM family_links f JOIN users c ON c.id = f.child_id JOIN users p ON p.id = f.parent_id
"""


async def lock_accounts(tx: Transaction, parent_id: bytes, child_id: bytes) -> bool:
    """Whether these are an active parent and an active student. Those who change or link one of them wait until the end."""
    sql = "SELECT id FROM users WHERE id IN %s AND role = IF(id = %s, %s, %s) AND status = %s ORDER BY id FOR UPDATE"
    return len(await tx.fetch_all(sql, ((parent_id, child_id), parent_id, _PARENT, _STUDENT, _ACTIVE))) == 2


async def link(db: Reader, parent_id: bytes, child_id: bytes) -> LinkRow | None:
    """The link between the two."""
    row = await db.fetch_one(_SELECT + "WHERE f.parent_id = %s AND f.child_id = %s", (parent_id, child_id))
    return LinkRow(*row) if row else None


async def taken_child_slots(tx: Transaction, parent_id: bytes) -> set[int]:
    """The parent's slots that hold a child."""
    return {row[0] for row in await tx.fetch_all("SELECT child_slot FROM family_links WHERE parent_id = %s", (parent_id,))}


async def taken_parent_slots(tx: Transaction, child_id: bytes) -> set[int]:
    """The child's slots that hold a parent."""
    return {row[0] for row in await tx.fetch_all("SELECT parent_slot FROM family_links WHERE child_id = %s", (child_id,))}


async def insert_link(
    tx: Transaction, parent_id: bytes, child_id: bytes, child_slot: int, parent_slot: int, now: datetime
) -> None:
    """Link the two. Raises DuplicateKey when they are linked, or a slot was taken meanwhile."""
    sql = "INSERT INTO family_links (parent_id, child_id, child_slot, parent_slot, create_time) VALUES (%s, %s, %s, %s, %s)"
    await tx.execute(sql, (parent_id, child_id, child_slot, parent_slot, now))


async def delete_link(tx: Transaction, parent_id: bytes, child_id: bytes) -> bool:
    """End the link; False: there is none."""
    return await tx.execute("DELETE FROM family_links WHERE parent_id = %s AND child_id = %s", (parent_id, child_id)) == 1


async def forget(tx: Transaction, user_id: bytes) -> None:
    """Delete every link of an account, and its code."""
    await tx.execute("DELETE FROM family_links WHERE parent_id = %s", (user_id,))
    await tx.execute("DELETE FROM family_links WHERE child_id = %s", (user_id,))
    await tx.execute("DELETE FROM link_codes WHERE child_id = %s", (user_id,))


async def is_linked(db: Reader, parent_id: bytes, child_id: bytes) -> bool:
    """Whether the parent may read what the child does."""
    sql = f"SELECT 1 FROM {LINKS} WHERE f.parent_id = %s AND f.child_id = %s"
    return await db.fetch_one(sql, (parent_id, child_id)) is not None


async def parents_of(tx: Transaction, child_ids: Sequence[bytes]) -> dict[bytes, list[bytes]]:
    """The active parents of each of these children who has any; their links stay until the end."""
    sql = """
        SELECT f.child_id, f.parent_id FROM family_links f
        WHERE f.child_id IN %s AND EXISTS (SELECT 1 FROM users u WHERE u.id = f.parent_id AND u.role = %s AND u.status = %s)
        ORDER BY f.child_id, f.parent_slot LOCK IN SHARE MODE
    """
    found: dict[bytes, list[bytes]] = {}
    for child_id, parent_id in await tx.fetch_all(sql, (child_ids, _PARENT, _ACTIVE)):
        found.setdefault(child_id, []).append(parent_id)
    return found


async def children(db: Reader, parent_id: bytes, after: After, limit: int) -> list[LinkRow]:
    """The parent's links, the latest first."""
    return await _links(db, "f.parent_id", parent_id, "f.child_id", after, limit)


async def parents(db: Reader, child_id: bytes, after: After, limit: int) -> list[LinkRow]:
    """The child's links, the latest first."""
    return await _links(db, "f.child_id", child_id, "f.parent_id", after, limit)


async def _links(db: Reader, own: str, user_id: bytes, other: str, after: After, limit: int) -> list[LinkRow]:
    where, params = "", ()  # type: tuple[str, tuple[object, ...]]
    if after is not None:
        where = f"AND f.create_time <= %s AND (f.create_time < %s OR {other} < %s)"
        params = (after[0], *after)
    sql = f"{_SELECT} WHERE {own} = %s {where} ORDER BY f.create_time DESC, {other} DESC LIMIT %s"
    return [LinkRow(*row) for row in await db.fetch_all(sql, (user_id, *params, limit))]
