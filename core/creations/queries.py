"""All SQL of creations."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from core.db import Database, Reader, Transaction


class Creation(NamedTuple):
    """What a call with an idempotency key created: digests of the key and of the request."""

    key_digest: bytes
    request_digest: bytes
    resource_id: bytes


async def insert(tx: Transaction, row: Creation, now: datetime) -> None:
    """Note a creation. Raises DuplicateKey when there is one by this key; waits for one that is not committed yet."""
    sql = "INSERT INTO creations (key_digest, request_digest, resource_id, create_time) VALUES (%s, %s, %s, %s)"
    await tx.execute(sql, (*row, now))


async def by_key(db: Reader, key_digest: bytes) -> Creation | None:
    """What was created by this key."""
    sql = "SELECT key_digest, request_digest, resource_id FROM creations WHERE key_digest = %s"
    row = await db.fetch_one(sql, (key_digest,))
    return Creation(*row) if row else None


async def drop(db: Database, before: datetime, limit: int) -> int:
    """Drop up to `limit` rows from before a time, the oldest first; how many there were."""
    return await db.execute("DELETE FROM creations WHERE create_time < %s ORDER BY create_time LIMIT %s", (before, limit))
