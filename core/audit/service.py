"""Reading the audit log."""

from __future__ import annotations

from datetime import datetime

import orjson
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp

from contract.errors import Violation
from core.audit import queries
from core.audit.queries import EventFilter, EventRow
from core.call import Call
from core.db import Database
from core.errors import InvalidArgument
from core.ids import to_bytes, to_text
from core.pages import Pages, time_key
from core.times import from_unix, to_timestamp
from skillforge.v1 import audit_pb2


class AuditService:
    """Implements skillforge.v1.AuditService."""

    def __init__(self, db: Database, pages: Pages) -> None:
        self._db = db
        self._pages = pages

    async def list_audit_events(self, call: Call, request: audit_pb2.ListAuditEventsRequest) -> audit_pb2.ListAuditEventsResponse:
        """The events, newest first. Raises InvalidArgument for a target id without its type, or a time that is none."""
        wanted = _filter(request)
        page = self._pages.open(call, request, scope=("audit", *wanted))
        rows = await queries.list_events(self._db, wanted, page.after_time, page.size + 1)
        kept, token = page.close(rows, lambda row: time_key(row.create_time, row.id))
        return audit_pb2.ListAuditEventsResponse(events=[event_message(row) for row in kept], next_page_token=token)


def event_message(row: EventRow) -> audit_pb2.AuditEvent:
    """An event as the contract shows it."""
    actor = audit_pb2.AuditActor(id=to_text(row.actor_id), display_name=row.actor_name or "") if row.actor_id else None
    return audit_pb2.AuditEvent(
        id=to_text(row.id), actor=actor, action=row.action, target_type=row.target_type, target_id=row.target_id,
        before=_struct(row.before), after=_struct(row.after), request_id=row.request_id,
        create_time=to_timestamp(row.create_time),
    )  # fmt: skip


def _struct(state: str) -> Struct:
    struct = Struct()
    struct.update(orjson.loads(state))
    return struct


def _filter(request: audit_pb2.ListAuditEventsRequest) -> EventFilter:
    if request.target_id and not request.target_type:
        raise _invalid("targetType", "required", "must be there beside targetId")
    return EventFilter(
        actor_id=to_bytes(request.actor_id) if request.actor_id else None,
        action=request.action,
        target_type=request.target_type,
        target_id=request.target_id,
        start=_time("startTime", request.start_time) if request.HasField("start_time") else None,
        end=_time("endTime", request.end_time) if request.HasField("end_time") else None,
    )


def _time(field: str, value: Timestamp) -> datetime:
    try:
        return from_unix(value.seconds).replace(microsecond=value.nanos // 1000)
    except (ValueError, OverflowError, OSError):
        raise _invalid(field, "timestamp", "must be a time of the years 1 to 9999") from None


def _invalid(field: str, rule: str, description: str) -> InvalidArgument:
    violation = Violation(field, rule, description)
    return InvalidArgument("INVALID_ARGUMENT", f"{field}: {description}.", violations=[violation])
