"""All SQL of the audit log: it is appended to and read, nothing else."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from core.db import Reader, Transaction


class EventRow(NamedTuple):
    """One event with its actor's name; `before` and `after` are JSON."""

    id: bytes
    actor_id: bytes | None
    actor_name: str | None
    action: str
    target_type: str
    target_id: str
    before: str
    after: str
    request_id: str
    create_time: datetime


class EventFilter(NamedTuple):
    """Which events: None and "" let everything through."""

    actor_id: bytes | None
    action: str
    target_type: str
    target_id: str
    start: datetime | None
    end: datetime | None


# The last row of the page before.
After = tuple[datetime, bytes] | None

_INSERT = """
INSERT INTO audit_events
  (id, actor_id, action, target_type, target_id, before_state, after_state, request_id, create_time)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
_SELECT = """
SELECT a.id, a.actor_id, u.display_name, a.action, a.target_type, a.target_id, a.before_state, a.after_state,
  a.request_id, a.create_time
FROM audit_events a LEFT JOIN users u ON u.id = a.actor_id
"""


async def insert_event(tx: Transaction, row: tuple[object, ...]) -> None:
    """Append one event; the columns in the order of the statement."""
    await tx.execute(_INSERT, row)


async def list_events(db: Reader, wanted: EventFilter, after: After, limit: int) -> list[EventRow]:
    """Events, newest first."""
    last = after[0] if after else None
    conditions = {
        "a.actor_id = %s": wanted.actor_id,
        "a.action = %s": wanted.action,
        "a.target_type = %s": wanted.target_type,
        "a.target_id = %s": wanted.target_id,
        "a.create_time >= %s": wanted.start,
        "a.create_time < %s": wanted.end,
        "a.create_time <= %s": last,
    }
    given = {condition: value for condition, value in conditions.items() if value}
    where, params = [*given, "TRUE"], list(given.values())
    if after is not None:
        where.append("(a.create_time < %s OR a.id < %s)")
        params += after
    sql = f"{_SELECT} WHERE {' AND '.join(where)} ORDER BY a.create_time DESC, a.id DESC LIMIT %s"
    return [EventRow(*row) for row in await db.fetch_all(sql, (*params, limit))]
