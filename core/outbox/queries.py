"""All SQL of the outbox. The server's clock decides about claims."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from datetime import timedelta
from operator import itemgetter

from core.db import Database, Reader, Transaction
from core.outbox.rows import SEVERAL, Row

# A claim older than this is a dead process's.
CLAIM_SECONDS = 10
# Of the earlier rows of several users no more are read; all rows that are later still wait.
_MAX_READ = 30


def insert(tx: Transaction, rows: Sequence[Row]) -> None:
    """Add rows, claimed by the process that adds them: it knows them and publishes them after the commit."""
    sql = """
        INSERT INTO outbox (id, user_id, topic, payload, create_time, claim_time)
        VALUES (%s, %s, %s, %s, UTC_TIMESTAMP(6), UTC_TIMESTAMP(6))
        """
    tx.post_many(sql, [row.columns for row in rows])


async def users_with_earlier(db: Reader, rows: Sequence[Row]) -> set[bytes]:
    """Of the rows' users, those who have an earlier row that is not among these: theirs must wait for it."""
    last: dict[bytes, bytes] = {}
    for row in rows:
        for user_id in row.whose:
            last[user_id] = max(row.id, last.get(user_id, b""))
    sql = """
        (SELECT user_id, MIN(id), '', '' FROM outbox WHERE user_id IN %s AND id NOT IN %s GROUP BY user_id)
        UNION ALL
        (SELECT user_id, id, topic, payload FROM outbox WHERE user_id = %s AND id < %s AND id NOT IN %s ORDER BY id LIMIT %s)
    """
    ids = _ids(rows)
    others = await db.fetch_all(sql, (tuple(last), ids, SEVERAL, max(ids), ids, _MAX_READ))
    waiting: set[bytes] = set()
    shared = 0
    for user_id, row_id, topic, payload in sorted(others, key=itemgetter(1)):
        whose: Iterable[bytes] = (user_id,)
        if user_id == SEVERAL:
            whose, shared = Row.read(row_id, user_id, topic, payload).whose, shared + 1
            if shared == _MAX_READ:  # those behind it are not known
                whose = last
        waiting.update(each for each in whose if row_id < last.get(each, b""))
    return waiting


async def claim(db: Database, limit: int) -> list[Row]:
    """Claim the earliest rows that nobody has, or whose claim has run out."""
    free = f"(claim_time IS NULL OR claim_time < UTC_TIMESTAMP(6) - INTERVAL {CLAIM_SECONDS} SECOND)"
    found = await db.fetch_all(f"SELECT id, UTC_TIMESTAMP(6) FROM outbox WHERE {free} ORDER BY id LIMIT %s", (limit,))
    if not found:
        return []
    ids = tuple(row[0] for row in found)
    # The time tells this claim from another's. Should two be equal, a row is published twice and appended once.
    mark = found[0][1] - timedelta(microseconds=random.randrange(1_000_000))
    await db.execute(f"UPDATE outbox SET claim_time = %s WHERE id IN %s AND {free}", (mark, ids))
    sql = "SELECT id, user_id, topic, payload FROM outbox WHERE id IN %s AND claim_time = %s ORDER BY id"
    return [Row.read(*row) for row in await db.fetch_all(sql, (ids, mark))]


async def backlog(db: Reader, most: int) -> tuple[int, float]:
    """How many events wait, counted up to `most`, and how many seconds the first has waited (0: none waits)."""
    sql = """
        SELECT (SELECT COUNT(*) FROM (SELECT id FROM outbox LIMIT %s) AS waiting),
          (SELECT TIMESTAMPDIFF(MICROSECOND, create_time, UTC_TIMESTAMP(6)) FROM outbox ORDER BY id LIMIT 1)
        """
    row = await db.fetch_one(sql, (most,))
    assert row is not None
    return row[0], (row[1] or 0) / 1e6


async def split(tx: Transaction, row: Row, parts: Sequence[Row]) -> None:
    """Put rows in the place of one, free for anybody to take."""
    if await tx.execute("DELETE FROM outbox WHERE id = %s", (row.id,)):
        insert(tx, parts)
        await release(tx, parts)


async def release(db: Database | Transaction, rows: Sequence[Row]) -> None:
    """Give up claims, so that anybody may take the rows."""
    await db.execute("UPDATE outbox SET claim_time = NULL WHERE id IN %s", (_ids(rows),))


async def delete(db: Database, rows: Sequence[Row]) -> None:
    """Delete what is published."""
    await db.execute("DELETE o FROM outbox o FORCE INDEX (PRIMARY) WHERE o.id IN %s", (_ids(rows),))


def _ids(rows: Sequence[Row]) -> tuple[bytes, ...]:
    return tuple(row.id for row in rows)
