"""Calls as messages of the contract."""

from __future__ import annotations

from core.calls.queries import CallRow, HistoryRow
from core.calls.rules import Call, Party
from core.ids import to_text
from core.times import from_unix, to_timestamp
from skillforge.v1 import calls_pb2, friends_pb2


def call_id(call: Call) -> str:
    """A call's id as text."""
    return to_text(call.call_id)


def status(call: Call, user_id: bytes) -> calls_pb2.CallStatus:
    """A call as one of its parties sees it."""
    peer = call.peer(user_id)
    return calls_pb2.CallStatus(
        call_id=call_id(call), state=call.state, reason=call.reason, version=call.version, media=call.media,
        peer=_person(peer), peer_device_id=peer.device_id, outgoing=user_id == call.caller.user_id,
        deadline=to_timestamp(from_unix(call.due_ms / 1000)) if call.due_ms else None,
    )  # fmt: skip


def ringing(call: Call, now_ms: int) -> calls_pb2.CallRinging:
    """To the callee's devices."""
    return calls_pb2.CallRinging(
        call_id=call_id(call), caller=_person(call.caller), media=call.media, age_ms=max(0, now_ms - call.start_ms),
        deadline=to_timestamp(from_unix(call.due_ms / 1000)), version=call.version,
    )  # fmt: skip


def accepted(call: Call, user_id: bytes) -> calls_pb2.CallAccepted:
    """To a party's device."""
    peer = call.peer(user_id)
    return calls_pb2.CallAccepted(
        call_id=call_id(call), peer_id=to_text(peer.user_id), peer_device_id=peer.device_id,
        polite=user_id == call.callee.user_id, media=call.media, version=call.version,
    )  # fmt: skip


def ended(call: Call, user_id: bytes) -> calls_pb2.CallEnded:
    """To all devices of a party."""
    return calls_pb2.CallEnded(
        call_id=call_id(call), reason=call.reason, version=call.version, peer=_person(call.peer(user_id)),
        missed=call.missed and user_id == call.callee.user_id,
    )  # fmt: skip


def record(row: HistoryRow, user_id: bytes) -> calls_pb2.Call:
    """A call of the history."""
    call, peer = row
    outgoing = call.caller_id == user_id
    return calls_pb2.Call(
        id=to_text(call.call_id),
        peer=friends_pb2.Person(id=to_text(peer.user_id), display_name=peer.display_name, image_url=peer.image_url),
        outgoing=outgoing, media=calls_pb2.CallMedia.ValueType(call.media), start_time=to_timestamp(call.start_time),
        answer_time=to_timestamp(call.answer_time), end_time=to_timestamp(call.end_time),
        reason=calls_pb2.CallEndReason.ValueType(call.reason), missed=bool(call.missed) and not outgoing,
    )  # fmt: skip


def row(call: Call) -> CallRow:
    """What is kept of a call."""
    end_ms = 0 if call.live else call.changed_ms
    return CallRow(
        call.call_id, call.caller.user_id, call.callee.user_id, call.media, from_unix(call.start_ms / 1000),
        from_unix(call.answer_ms / 1000) if call.answer_ms else None, from_unix(end_ms / 1000) if end_ms else None,
        call.reason, call.missed,
    )  # fmt: skip


def _person(party: Party) -> friends_pb2.Person:
    return friends_pb2.Person(id=to_text(party.user_id), display_name=party.name, image_url=party.image_url)
