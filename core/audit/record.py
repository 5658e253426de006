"""Writing the audit log: in the transaction of the change itself, so that neither exists without the other."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from core.audit import queries
from core.call import Call
from core.db import Transaction
from core.ids import new_id


class Change(NamedTuple):
    """What was done to what, with the fields that changed."""

    action: str
    target_type: str
    target_id: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]


async def record(
    tx: Transaction,
    call: Call,
    target_type: str,
    target_id: str,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Say what an audited call changed: its target and the fields before and after (no secrets, no long texts).

    The action is the method's `audit` option, the actor the caller.
    """
    call.audited = True
    actor = call.caller.user_id if call.caller else None
    change = Change(call.method.audit, target_type, target_id, before or {}, after or {})
    await record_change(tx, change, actor, call.request_id, call.now)


async def record_change(tx: Transaction, change: Change, actor_id: bytes | None, request_id: str, now: datetime) -> None:
    """Record a change that no call made, such as one from the command line (`actor_id` None)."""
    before, after = (orjson.dumps(state, default=str).decode() for state in (change.before, change.after))
    row = (new_id(), actor_id, change.action, change.target_type, change.target_id, before, after, request_id, now)
    await queries.insert_event(tx, row)
