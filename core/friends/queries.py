"""All SQL of friendships. Rows are kept in the order of the ids; callers see them from their own side."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from core.db import Reader, Transaction
from core.friends.rules import Relation, View
from skillforge.v1 import identity_pb2

_ACTIVE = int(identity_pb2.USER_STATUS_ACTIVE)
_SUSPENDED = int(identity_pb2.USER_STATUS_SUSPENDED)
_FRIENDS = int(Relation.FRIENDS)

# The last row of the page before.
After = tuple[datetime, bytes] | None
# Two people, in any order.
Pair = tuple[bytes, bytes]


class PersonRow(NamedTuple):
    """Somebody, and since when they are what the list is of."""

    user_id: bytes
    display_name: str
    image_url: str
    since: datetime


async def person(db: Reader, user_id: bytes) -> PersonRow | None:
    """Somebody with an account that is not erased."""
    sql = "SELECT id, display_name, image_url, create_time FROM users WHERE id = %s AND status IN %s"
    row = await db.fetch_one(sql, (user_id, (_ACTIVE, _SUSPENDED)))
    return PersonRow(*row) if row else None


async def user_of_email(db: Reader, email: str) -> bytes | None:
    """Whose address it is; of several accounts the oldest."""
    sql = "SELECT id FROM users WHERE email = %s AND status IN %s ORDER BY id LIMIT 1"
    row = await db.fetch_one(sql, (email, (_ACTIVE, _SUSPENDED)))
    return row[0] if row else None


async def view(db: Reader, me: bytes, other: bytes) -> View | None:
    """The pair as I see it; None: there is no row yet."""
    sql = "SELECT state, low_blocks, high_blocks, by_email FROM friendships WHERE low_id = %s AND high_id = %s"
    row = await db.fetch_one(sql, _ordered(me, other))
    if row is None:
        return None
    state, low_blocks, high_blocks, by_email = row
    mine, theirs = (low_blocks, high_blocks) if me < other else (high_blocks, low_blocks)
    return View(_turned(state, me, other), bool(mine), bool(theirs), bool(by_email))


async def insert(tx: Transaction, me: bytes, other: bytes, after: View, now: datetime) -> None:
    """A pair's first row. Raises DuplicateKey."""
    sql = """
        INSERT INTO friendships (state, low_blocks, high_blocks, by_email, change_time, low_id, high_id)
        VALUES (%s, %s, %s, %s, %s, %s, %s)
    """
    await tx.execute(sql, (*_columns(me, other, after), now, *_ordered(me, other)))


async def move(tx: Transaction, me: bytes, other: bytes, before: View, after: View, now: datetime) -> bool:
    """Bring a pair from one state into another; False: it is no longer in the first."""
    sql = """
        UPDATE friendships SET state = %s, low_blocks = %s, high_blocks = %s, by_email = %s, change_time = %s
        WHERE low_id = %s AND high_id = %s AND state = %s AND low_blocks = %s AND high_blocks = %s AND by_email = %s
    """
    params = (*_columns(me, other, after), now, *_ordered(me, other), *_columns(me, other, before))
    return await tx.execute(sql, params) == 1


async def since(db: Reader, me: bytes, other: bytes) -> datetime | None:
    """When the pair last changed."""
    row = await db.fetch_one("SELECT change_time FROM friendships WHERE low_id = %s AND high_id = %s", _ordered(me, other))
    return row[0] if row else None


async def count(db: Reader, me: bytes, relation: Relation) -> int:
    """How many people are this to me."""
    sql = """
        SELECT (SELECT COUNT(*) FROM friendships WHERE low_id = %s AND state = %s)
             + (SELECT COUNT(*) FROM friendships WHERE high_id = %s AND state = %s)
    """
    row = await db.fetch_one(sql, (me, _state(relation, low=True), me, _state(relation, low=False)))
    assert row is not None  # a count always answers
    return int(row[0])


async def related(db: Reader, me: bytes, relation: Relation, after: After, limit: int) -> list[PersonRow]:
    """The people who are this to me, the latest first. Requests of theirs that I block, and of mine by address, are not
    among them."""
    hidden = {Relation.ASKED_ME: "AND {own}_blocks = 0", Relation.ASKED: "AND by_email = 0"}.get(relation, "")
    return await _listed(db, me, "state = %s " + hidden, relation, after, limit)


async def blocked(db: Reader, me: bytes, after: After, limit: int) -> list[PersonRow]:
    """The people I block, the latest first."""
    return await _listed(db, me, "{own}_blocks = 1", None, after, limit)


async def friends_among(db: Reader, me: bytes, others: Collection[bytes]) -> set[bytes]:
    """Which of them are friends of mine."""
    sql = """
        SELECT high_id FROM friendships WHERE low_id = %s AND high_id IN %s AND state = %s
        UNION ALL SELECT low_id FROM friendships WHERE high_id = %s AND low_id IN %s AND state = %s
    """
    asked = tuple(others)
    return {row[0] for row in await db.fetch_all(sql, (me, asked, _FRIENDS, me, asked, _FRIENDS))} if asked else set()


async def standings(db: Reader, pairs: Collection[Pair]) -> dict[Pair, tuple[bool, bool]]:
    """Pairs (the smaller id first) that have a row: whether they are friends, and whether one of them blocks the other."""
    # Left to itself, MariaDB finds the rows by another index and compares each with the whole list.
    sql = """
        SELECT low_id, high_id, state = %s, low_blocks OR high_blocks FROM friendships FORCE INDEX (PRIMARY)
        WHERE (low_id, high_id) IN %s
    """
    rows = await db.fetch_all(sql, (_FRIENDS, tuple(pairs))) if pairs else ()
    return {(low, high): (bool(friends), bool(blocked)) for low, high, friends, blocked in rows}


async def forget(tx: Transaction, user_id: bytes) -> None:
    """Delete all that stands between an account and others."""
    await tx.execute("DELETE FROM friendships WHERE low_id = %s", (user_id,))
    await tx.execute("DELETE FROM friendships WHERE high_id = %s", (user_id,))


async def _listed(db: Reader, me: bytes, condition: str, relation: Relation | None, after: After, limit: int) -> list[PersonRow]:
    """Both halves of the table by their own indexes, merged."""
    halves, params = [], []  # type: tuple[list[str], list[object]]
    for own, other in (("low", "high"), ("high", "low")):
        where = f"{own}_id = %s AND {condition.format(own=own)}"
        params += [me] if relation is None else [me, _state(relation, low=own == "low")]
        if after is not None:
            where += f" AND change_time <= %s AND (change_time < %s OR {other}_id < %s)"
            params += [after[0], *after]
        halves.append(
            f"(SELECT {other}_id AS other_id, change_time FROM friendships WHERE {where}"
            f" ORDER BY change_time DESC, {other}_id DESC LIMIT %s)"
        )
        params.append(limit)
    sql = f"""
        SELECT u.id, u.display_name, u.image_url, f.change_time
        FROM ({" UNION ALL ".join(halves)}) f JOIN users u ON u.id = f.other_id
        ORDER BY f.change_time DESC, f.other_id DESC LIMIT %s
    """
    return [PersonRow(*row) for row in await db.fetch_all(sql, (*params, limit))]


def _ordered(me: bytes, other: bytes) -> Pair:
    return (me, other) if me < other else (other, me)


def _columns(me: bytes, other: bytes, seen: View) -> tuple[int, bool, bool, bool]:
    low, high = (seen.i_block, seen.blocks_me) if me < other else (seen.blocks_me, seen.i_block)
    return _state(seen.relation, low=me < other), low, high, seen.by_email


def _state(relation: Relation, *, low: bool) -> int:
    """A relation seen from the low or the high side, as it is stored: from the low side."""
    asked = {Relation.ASKED: Relation.ASKED_ME, Relation.ASKED_ME: Relation.ASKED}
    return int(relation if low else asked.get(relation, relation))


def _turned(state: int, me: bytes, other: bytes) -> Relation:
    return Relation(_state(Relation(state), low=me < other))
