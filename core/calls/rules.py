"""The state machine of a call. Pure: a call and what happens to it make the next call, or the same one.

Times are milliseconds of Redis's clock.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from core.errors import FailedPrecondition
from skillforge.v1 import calls_pb2
from skillforge.v1.calls_pb2 import CallEndReason, CallMedia, CallState

RING_MS: Final = 60_000
CONNECT_MS: Final = 30_000
# How long a party's device may be without a connection.
CALLER_GONE_MS: Final = 15_000
PEER_GONE_MS: Final = 30_000
CHECK_MS: Final = 5_000

RINGING, CONNECTING = calls_pb2.CALL_STATE_RINGING, calls_pb2.CALL_STATE_CONNECTING
ACTIVE, ENDED = calls_pb2.CALL_STATE_ACTIVE, calls_pb2.CALL_STATE_ENDED
# Ends of a call that nobody answered, which the callee did not choose.
_MISSED: Final = frozenset(
    {calls_pb2.CALL_END_REASON_BUSY, calls_pb2.CALL_END_REASON_CANCELLED, calls_pb2.CALL_END_REASON_TIMEOUT,
     calls_pb2.CALL_END_REASON_REPLACED, calls_pb2.CALL_END_REASON_FORBIDDEN}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Party:
    """One side: the device it is bound to ("" before it answers), since when that is without a connection (0: it has
    one), whether it reported media, and the client's own name of the invite ("": none)."""

    user_id: bytes
    name: str = ""
    image_url: str = ""
    device_id: str = ""
    gone_ms: int = 0
    connected: bool = False
    client_id: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """A call. `version` grows with every change of state; up to the version `settled` everybody was told. `due_ms`: when
    ringing or connecting is over; `changed_ms`: when the state changed. `held_ms`: when its locks were last carried on."""

    call_id: bytes
    caller: Party
    callee: Party
    media: CallMedia.ValueType
    start_ms: int
    due_ms: int
    changed_ms: int
    held_ms: int = 0
    state: CallState.ValueType = RINGING
    version: int = 1
    settled: int = 0
    answer_ms: int = 0
    reason: CallEndReason.ValueType = calls_pb2.CALL_END_REASON_UNSPECIFIED

    @property
    def live(self) -> bool:
        return self.state != ENDED

    @property
    def missed(self) -> bool:
        """Whether it ended unanswered, and the callee did not decline."""
        return not self.answer_ms and self.reason in _MISSED

    def side(self, user_id: bytes) -> Party | None:
        """The party a user is; None: neither."""
        return self.caller if user_id == self.caller.user_id else self.callee if user_id == self.callee.user_id else None

    def peer(self, user_id: bytes) -> Party:
        """The other party."""
        return self.callee if user_id == self.caller.user_id else self.caller

    def bound(self, user_id: bytes, device_id: str) -> bool:
        """Whether this device is a party's."""
        party = self.side(user_id)
        return party is not None and bool(device_id) and party.device_id == device_id


class Meeting(Enum):
    """What an invite comes to when the pair has a live call already."""

    SAME = "a repeat: the call itself is the answer"
    ACCEPT = "it crosses the other side's invite, and accepts that"
    REPLACE = "the old call is nobody's any more, and ends"
    REFUSE = "the pair is in a call on other devices"


def meet(call: Call, user_id: bytes, device_id: str, client_id: str, orphaned: bool) -> Meeting:
    """What an invite of this device comes to. `orphaned`: a bound device has no connection any more."""
    mine = call.side(user_id)
    if call.state == RINGING and mine is call.callee:
        return Meeting.ACCEPT
    if mine is not None and mine.device_id == device_id:
        repeated = mine.client_id == client_id and (bool(client_id) or call.state != ACTIVE)
        return Meeting.SAME if repeated or call.state == RINGING else Meeting.REPLACE
    return Meeting.REPLACE if orphaned else Meeting.REFUSE


def accept(call: Call, user_id: bytes, device_id: str, now: int, client_id: str = "") -> Call:
    """The callee answers on a device. Raises FailedPrecondition (ALREADY_ANSWERED)."""
    if call.state == RINGING:
        if now >= call.due_ms:
            return end(call, calls_pb2.CALL_END_REASON_TIMEOUT, now)
        callee = replace(call.callee, device_id=device_id, client_id=client_id)
        answered = replace(call, callee=callee, answer_ms=now, due_ms=now + CONNECT_MS)
        return _moved(answered, CONNECTING, now)
    if call.live and not call.bound(user_id, device_id):
        raise _already_answered()
    return call


def reject(call: Call, now: int) -> Call:
    """The callee declines on any device. Raises FailedPrecondition (ALREADY_ANSWERED)."""
    if call.state == RINGING:
        return end(call, calls_pb2.CALL_END_REASON_DECLINED, now)
    if call.live:
        raise _already_answered()
    return call


def hangup(call: Call, user_id: bytes, device_id: str, now: int) -> Call:
    """A bound device hangs up. Raises FailedPrecondition (NOT_IN_CALL)."""
    if not call.live:
        return call
    _require_bound(call, user_id, device_id)
    ringing = call.state == RINGING
    return end(call, calls_pb2.CALL_END_REASON_CANCELLED if ringing else calls_pb2.CALL_END_REASON_HANGUP, now)


def connected(call: Call, user_id: bytes, device_id: str, now: int) -> Call:
    """A bound device reports media. Raises FailedPrecondition (NOT_IN_CALL, CALL_NOT_ANSWERED)."""
    if not call.live:
        return call
    _require_bound(call, user_id, device_id)
    if call.state == RINGING:
        raise _not_answered()
    if call.state == ACTIVE:
        return call
    if now >= call.due_ms:
        return end(call, calls_pb2.CALL_END_REASON_ICE_FAILED, now)
    call = _with_party(call, replace(_party(call, user_id), connected=True))
    return _moved(replace(call, due_ms=0), ACTIVE, now) if call.caller.connected and call.callee.connected else call


def require_signaling(call: Call, user_id: bytes, device_id: str) -> None:
    """Raise FailedPrecondition unless this device may signal now (CALL_ENDED, NOT_IN_CALL, CALL_NOT_ANSWERED)."""
    if not call.live:
        raise FailedPrecondition("CALL_ENDED", "The call is over.")
    _require_bound(call, user_id, device_id)
    if call.state == RINGING:
        raise _not_answered()


def tick(call: Call, now: int, caller_here: bool, callee_here: bool) -> Call:
    """Time passes; whether the bound devices have a connection now."""
    if not call.live:
        return call
    call = _with_party(call, _seen(call.caller, caller_here, now))
    if call.state == RINGING:
        if now >= call.due_ms:
            return end(call, calls_pb2.CALL_END_REASON_TIMEOUT, now)
        return end(call, calls_pb2.CALL_END_REASON_CANCELLED, now) if _gone(call.caller, now, CALLER_GONE_MS) else call
    call = _with_party(call, _seen(call.callee, callee_here, now))
    if call.state == CONNECTING and now >= call.due_ms:
        return end(call, calls_pb2.CALL_END_REASON_ICE_FAILED, now)
    lost = _gone(call.caller, now, PEER_GONE_MS) or _gone(call.callee, now, PEER_GONE_MS)
    return end(call, calls_pb2.CALL_END_REASON_PEER_LOST, now) if lost else call


def end(call: Call, reason: CallEndReason.ValueType, now: int) -> Call:
    """End a live call."""
    return _moved(replace(call, reason=reason, due_ms=0), ENDED, now) if call.live else call


def busy(call: Call, now: int) -> Call:
    """The callee, or the caller, turned out to be in another call."""
    early = call.state in (RINGING, CONNECTING)
    return end(replace(call, answer_ms=0), calls_pb2.CALL_END_REASON_BUSY, now) if early else call


def next_check(call: Call, now: int) -> int:
    """When `tick` is to be called again."""
    limit = CALLER_GONE_MS if call.state == RINGING else PEER_GONE_MS
    times = [call.due_ms, *(party.gone_ms + limit for party in (call.caller, call.callee) if party.gone_ms)]
    return min([now + CHECK_MS, *(time for time in times if time > now)])


def _moved(call: Call, state: CallState.ValueType, now: int) -> Call:
    return replace(call, state=state, version=call.version + 1, changed_ms=now)


def _party(call: Call, user_id: bytes) -> Party:
    return call.caller if user_id == call.caller.user_id else call.callee


def _with_party(call: Call, party: Party) -> Call:
    return replace(call, caller=party) if party.user_id == call.caller.user_id else replace(call, callee=party)


def _seen(party: Party, here: bool, now: int) -> Party:
    return replace(party, gone_ms=0 if here else party.gone_ms or now)


def _gone(party: Party, now: int, limit: int) -> bool:
    return bool(party.gone_ms) and now - party.gone_ms >= limit


def _require_bound(call: Call, user_id: bytes, device_id: str) -> None:
    if not call.bound(user_id, device_id):
        raise FailedPrecondition("NOT_IN_CALL", "This device does not take part in the call.")


def _already_answered() -> FailedPrecondition:
    return FailedPrecondition("ALREADY_ANSWERED", "The call was answered already. Who takes part in it may hang up.")


def _not_answered() -> FailedPrecondition:
    return FailedPrecondition("CALL_NOT_ANSWERED", "The call still rings.")
