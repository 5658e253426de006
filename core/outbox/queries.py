"""All SQL of the outbox. The server's clock decides about claims."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

from core.db import Database, Reader, Transaction

# A claim older than this is a dead process's.
CLAIM_SECONDS = 10


class Event(NamedTuple):
    """One event for one user."""

    id: bytes
    user_id: bytes
    topic: str
    payload: bytes


async def insert(tx: Transaction, events: Sequence[Event]) -> None:
    """Add events, claimed by the process that adds them: it knows them and publishes them after the commit."""
    sql = """
        INSERT INTO outbox (id, user_id, topic, payload, create_time, claim_time)
        VALUES (%s, %s, %s, %s, UTC_TIMESTAMP(6), UTC_TIMESTAMP(6))
        """
    await tx.insert_many(sql, events)


async def users_with_earlier(db: Reader, events: Sequence[Event]) -> set[bytes]:
    """Of the events' users, those who have an earlier event that is not among these: theirs must wait for it."""
    last: dict[bytes, bytes] = {}
    for event in events:
        last[event.user_id] = max(event.id, last.get(event.user_id, b""))
    sql = "SELECT user_id, MIN(id) FROM outbox WHERE user_id IN %s AND id NOT IN %s GROUP BY user_id"
    others = await db.fetch_all(sql, (tuple(last), tuple(event.id for event in events)))
    return {user_id for user_id, earliest in others if earliest < last[user_id]}


async def claim(db: Database, max_events: int) -> list[Event]:
    """Claim the earliest events that nobody has, or whose claim has run out."""
    free = f"(claim_time IS NULL OR claim_time < UTC_TIMESTAMP(6) - INTERVAL {CLAIM_SECONDS} SECOND)"
    rows = await db.fetch_all(f"SELECT id, UTC_TIMESTAMP(6) FROM outbox WHERE {free} ORDER BY id LIMIT %s", (max_events,))
    if not rows:
        return []
    ids = tuple(row[0] for row in rows)
    # The time tells this claim from another's. Should two be equal, an event is published twice and appended once.
    mark = rows[0][1] - timedelta(microseconds=random.randrange(1_000_000))
    await db.execute(f"UPDATE outbox SET claim_time = %s WHERE id IN %s AND {free}", (mark, ids))
    sql = "SELECT id, user_id, topic, payload FROM outbox WHERE id IN %s AND claim_time = %s ORDER BY id"
    return [Event(*row) for row in await db.fetch_all(sql, (ids, mark))]


async def release(db: Database, events: Sequence[Event]) -> None:
    """Give up claims, so that anybody may take the events."""
    await db.execute("UPDATE outbox SET claim_time = NULL WHERE id IN %s", (tuple(event.id for event in events),))


async def delete(db: Database, events: Sequence[Event]) -> None:
    """Delete what is published."""
    await db.execute("DELETE FROM outbox WHERE id IN %s", (tuple(event.id for event in events),))
