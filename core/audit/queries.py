"""All SQL of the audit log."""

from __future__ import annotations

from core.db import Transaction

_INSERT = """
INSERT INTO audit_events
  (id, actor_id, action, target_type, target_id, before_state, after_state, request_id, create_time)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
"""


async def insert_event(tx: Transaction, row: tuple[object, ...]) -> None:
    """Append one event; the columns in the order of the statement."""
    await tx.execute(_INSERT, row)
