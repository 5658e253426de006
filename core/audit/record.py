"""Writing the audit log: in the transaction of the change itself, so that neither exists without the other."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from core.audit import queries
from core.call import Call
from core.db import Transaction
from core.ids import new_id

# Fields as the contract's JSON names and writes them.
State = Mapping[str, Any]


class Change(NamedTuple):
    """What was done to what, with the fields that changed."""

    action: str
    target_type: str
    target_id: str
    before: State
    after: State


def changed(before: State, after: State) -> tuple[State, State]:
    """Both without the fields that are in both and equal."""
    same = {name for name, value in before.items() if name in after and after[name] == value}
    kept = ({name: value for name, value in state.items() if name not in same} for state in (before, after))
    return next(kept), next(kept)


def summary(content: str | bytes) -> str:
    """What is kept of a long text: enough to see whether it is another one."""
    raw = content.encode() if isinstance(content, str) else content
    unit = "characters" if isinstance(content, str) else "bytes"
    return f"{len(content)} {unit}, SHA-256 {hashlib.sha256(raw).hexdigest()[:16]}" if content else ""


async def record(
    tx: Transaction,
    call: Call,
    target_type: str,
    target_id: str,
    before: State | None = None,
    after: State | None = None,
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
    before, after = (orjson.dumps(state, default=_text).decode() for state in (change.before, change.after))
    row = (new_id(), actor_id, change.action, change.target_type, change.target_id, before, after, request_id, now)
    await queries.insert_event(tx, row)


def _text(value: object) -> str:
    """A value JSON has no form for: a time as the contract writes it, anything else as it prints itself."""
    return f"{value.isoformat()}Z" if isinstance(value, datetime) else str(value)
