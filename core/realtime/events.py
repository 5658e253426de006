"""The contract's `Event` from what the log and the channels hold."""

from __future__ import annotations

import logging

from google.protobuf.message import DecodeError
from google.protobuf.timestamp_pb2 import Timestamp

from core.call import Connection
from core.ids import to_text
from skillforge.v1 import realtime_pb2
from skillforge.v1.realtime_pb2 import Event

log = logging.getLogger("skillforge.realtime")

PRESENCE = "presence.changed"

# By topic: the field of `Event.data`. The field's first underscore is the topic's dot.
FIELDS = {item.name.replace("_", ".", 1): item.name for item in Event.DESCRIPTOR.oneofs_by_name["data"].fields}


def make_event(topic: str, payload: bytes, offset: int = 0, event_id: str = "") -> Event | None:
    """An event from its encoded payload, `topic` as the log has it; None when this version knows no such topic or cannot read it.

    `event_id` is the hex of a UUIDv7, which holds the time; "" for an event that is not kept.
    """
    topic, _, device_id = topic.partition("@")
    field = FIELDS.get(topic)
    if field is None:
        log.warning("an event has the topic %s, which is unknown here", topic)
        return None
    event = Event(id=to_text(bytes.fromhex(event_id)) if event_id else "", topic=topic, offset=offset, device_id=device_id)
    data = getattr(event, field)
    data.SetInParent()
    try:
        data.MergeFromString(payload)
    except DecodeError:
        log.warning("an event of the topic %s cannot be read", topic)
        return None
    if event_id:
        milliseconds = int(event_id[:12], 16)
        event.time.CopyFrom(Timestamp(seconds=milliseconds // 1000, nanos=milliseconds % 1000 * 1_000_000))
    return event


def elsewhere(topic: str, connection: Connection | None) -> str:
    """The topic of an event for all connections but the one that caused it, which has the reply."""
    return f"{topic}@~{connection.connection_id}" if connection is not None else topic


def closing(code: int, reason: str) -> Event:
    """The event that ends a connection."""
    return Event(topic="closing", closing=realtime_pb2.Closing(code=code, reason=reason))
