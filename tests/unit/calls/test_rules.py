"""The state machine of calls against the table of the protocol's description, by random histories."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.calls import rules
from core.calls.rules import Call, Meeting, Party
from core.errors import FailedPrecondition
from skillforge.v1 import calls_pb2

ANN, BOB = b"a" * 16, b"b" * 16
# Who acts: a bound device, or another one of the callee.
CALLER, CALLEE, OTHER = (ANN, "laptop"), (BOB, "phone"), (BOB, "tablet")
NOT_IN_CALL, NOT_ANSWERED, ALREADY = "NOT_IN_CALL", "CALL_NOT_ANSWERED", "ALREADY_ANSWERED"

# (state, event, who) → the next state, how it ended, or why it is refused. Both parties of an answered call act alike.
TABLE: dict[tuple[str, str, Any], str] = {
    ("RINGING", "accept", CALLEE): "CONNECTING",
    ("RINGING", "reject", CALLEE): "DECLINED",
    ("RINGING", "reject", OTHER): "DECLINED",
    ("RINGING", "hangup", CALLER): "CANCELLED",
    ("RINGING", "hangup", CALLEE): NOT_IN_CALL,
    ("RINGING", "hangup", OTHER): NOT_IN_CALL,
    ("RINGING", "signal", CALLER): NOT_ANSWERED,
    ("RINGING", "signal", CALLEE): NOT_IN_CALL,
    ("RINGING", "signal", OTHER): NOT_IN_CALL,
    **{("RINGING", "report", who): NOT_ANSWERED if who is CALLER else NOT_IN_CALL for who in (CALLER, CALLEE, OTHER)},
    **{
        (state, event, who): result
        for state in ("CONNECTING", "ACTIVE")
        for event, who, result in [
            ("accept", CALLEE, state), ("accept", OTHER, ALREADY), ("reject", CALLEE, ALREADY), ("reject", OTHER, ALREADY),
            ("hangup", CALLER, "HANGUP"), ("hangup", CALLEE, "HANGUP"), ("hangup", OTHER, NOT_IN_CALL),
            ("signal", CALLER, state), ("signal", CALLEE, state), ("signal", OTHER, NOT_IN_CALL),
            ("report", OTHER, NOT_IN_CALL),
        ]
    },
}  # fmt: skip


@dataclass
class Model:
    """What the table says, with its deadlines kept apart from it."""

    state: str = "RINGING"
    due: int = rules.RING_MS
    reported: frozenset[Any] = frozenset()
    gone: dict[bytes, int] | None = None

    def act(self, event: str, who: Any, now: int) -> str:
        """The state afterwards, or the refusal."""
        if self.state not in ("RINGING", "CONNECTING", "ACTIVE"):
            return "CALL_ENDED" if event == "signal" else self.state
        if event == "report" and who is not OTHER and self.state != "RINGING":
            return self._report(who, now)
        result = TABLE[self.state, event, who]
        if event == "accept" and self.state == "RINGING" and now >= self.due:
            result = "TIMEOUT"
        if result in (NOT_IN_CALL, NOT_ANSWERED, ALREADY):
            return result
        if (self.state, result) == ("RINGING", "CONNECTING"):
            self.due = now + rules.CONNECT_MS
        self.state = result
        return result

    def _report(self, who: Any, now: int) -> str:
        if self.state == "CONNECTING":
            if now >= self.due:
                self.state = "ICE_FAILED"
                return self.state
            self.reported |= {who}
            if len(self.reported) == 2:
                self.state = "ACTIVE"
        return self.state

    def tick(self, now: int, caller_here: bool, callee_here: bool) -> str:
        if self.state not in ("RINGING", "CONNECTING", "ACTIVE"):
            return self.state
        self.gone = self.gone or {}
        watched = {ANN: caller_here} if self.state == "RINGING" else {ANN: caller_here, BOB: callee_here}
        for user, here in watched.items():
            if here:
                self.gone.pop(user, None)
            else:
                self.gone.setdefault(user, now)
        limit, lost = (15_000, "CANCELLED") if self.state == "RINGING" else (30_000, "PEER_LOST")
        if self.state != "ACTIVE" and now >= self.due:
            self.state = "TIMEOUT" if self.state == "RINGING" else "ICE_FAILED"
        elif any(now - since >= limit for since in self.gone.values()):
            self.state = lost
        return self.state


def ringing() -> Call:
    return Call(
        b"c" * 16, Party(ANN, device_id="laptop", client_id="x"), Party(BOB), calls_pb2.CALL_MEDIA_AUDIO, 0, rules.RING_MS, 0
    )


def shown(call: Call) -> str:
    if call.live:
        return calls_pb2.CallState.Name(call.state).removeprefix("CALL_STATE_")
    return calls_pb2.CallEndReason.Name(call.reason).removeprefix("CALL_END_REASON_")


def act(call: Call, event: str, who: Any, now: int) -> Call:
    if event == "signal":
        rules.require_signaling(call, *who)
        return call
    if event == "reject":
        return rules.reject(call, now)
    functions: dict[str, Any] = {"accept": rules.accept, "hangup": rules.hangup, "report": rules.connected}
    changed: Call = functions[event](call, *who, now)
    return changed


def attempt(call: Call, event: str, who: Any, now: int) -> tuple[Call, str]:
    """The call afterwards, and why it was refused."""
    try:
        return act(call, event, who, now), ""
    except FailedPrecondition as error:
        return call, error.reason


EVENTS = st.one_of(
    st.tuples(st.sampled_from(["accept"]), st.just(CALLEE)),
    st.tuples(st.just("reject"), st.sampled_from([CALLEE, OTHER])),
    st.tuples(st.sampled_from(["hangup", "signal", "report"]), st.sampled_from([CALLER, CALLEE, OTHER])),
    st.tuples(st.just("tick"), st.tuples(st.booleans(), st.booleans())),
)
STEPS = st.lists(st.tuples(st.integers(0, 20_000), EVENTS), max_size=25)


@given(STEPS, st.booleans())
def test_a_call_follows_the_table(steps: list[tuple[int, tuple[str, Any]]], answered: bool) -> None:
    call, model, now = ringing(), Model(), 0
    if answered:
        steps = [(100, ("accept", CALLEE)), *steps]
    for pause, (event, who) in steps:
        now += pause
        before = call
        if event == "accept" and before.live and before.callee.device_id:
            who = OTHER if pause % 2 else CALLEE
        if event == "tick":
            expected = model.tick(now, *who)
            call = rules.tick(call, now, *who)
            assert shown(call) == expected
        else:
            expected = model.act(event, who, now)
            call, refusal = attempt(call, event, who, now)
            assert (refusal or shown(call)) == expected
        _check(before, call, now)


def _check(before: Call, after: Call, now: int) -> None:
    assert after.version - before.version == (after.state != before.state)
    assert after.live == (after.reason == calls_pb2.CALL_END_REASON_UNSPECIFIED)
    if not before.live:
        assert after == before
    for was, is_now in ((before.caller, after.caller), (before.callee, after.callee)):
        assert was.device_id in ("", is_now.device_id)
    if after.live:
        assert now < rules.next_check(after, now) <= now + rules.CHECK_MS
    assert not (after.missed and after.answer_ms)


def test_a_deadline_is_over_at_its_very_moment() -> None:
    call, due = ringing(), rules.RING_MS
    assert [shown(rules.accept(call, *CALLEE, now)) for now in (due - 1, due)] == ["CONNECTING", "TIMEOUT"]
    assert [shown(rules.tick(call, now, True, True)) for now in (due - 1, due)] == ["RINGING", "TIMEOUT"]
    call = rules.connected(rules.accept(call, *CALLEE, 0), *CALLER, 0)
    due = rules.CONNECT_MS
    assert [shown(rules.connected(call, *CALLEE, now)) for now in (due - 1, due)] == ["ACTIVE", "ICE_FAILED"]
    assert [shown(rules.tick(call, now, True, True)) for now in (due - 1, due)] == ["CONNECTING", "ICE_FAILED"]


@pytest.mark.parametrize(
    ("state", "who", "name", "orphaned", "expected"),
    [
        ("RINGING", CALLER, "x", False, Meeting.SAME),
        ("RINGING", CALLER, "another", True, Meeting.SAME),
        ("RINGING", (ANN, "tablet"), "", False, Meeting.REFUSE),
        ("RINGING", (ANN, "tablet"), "", True, Meeting.REPLACE),
        ("RINGING", CALLEE, "", False, Meeting.ACCEPT),
        ("RINGING", OTHER, "", True, Meeting.ACCEPT),
        ("CONNECTING", CALLER, "x", False, Meeting.SAME),
        ("CONNECTING", CALLER, "another", False, Meeting.REPLACE),
        ("CONNECTING", CALLEE, "", False, Meeting.SAME),
        ("CONNECTING", CALLEE, "another", False, Meeting.REPLACE),
        ("CONNECTING", OTHER, "", False, Meeting.REFUSE),
        ("ACTIVE", CALLER, "x", False, Meeting.SAME),
        ("ACTIVE", CALLEE, "", False, Meeting.REPLACE),
        ("ACTIVE", OTHER, "x", True, Meeting.REPLACE),
        ("ACTIVE", OTHER, "x", False, Meeting.REFUSE),
    ],
)
def test_what_an_invite_comes_to_when_there_is_a_call(
    state: str, who: tuple[bytes, str], name: str, orphaned: bool, expected: Meeting
) -> None:
    call = ringing()
    if state != "RINGING":
        call = rules.accept(call, *CALLEE, 1)
    if state == "ACTIVE":
        call = rules.connected(rules.connected(call, *CALLER, 2), *CALLEE, 3)
    assert rules.meet(call, *who, name, orphaned) is expected


def test_only_a_call_that_is_not_active_turns_out_busy() -> None:
    call = rules.accept(ringing(), *CALLEE, 1)
    busy = rules.busy(call, 2)
    assert (shown(busy), busy.missed) == ("BUSY", True)
    active = replace(call, state=rules.ACTIVE)
    assert rules.busy(active, 2) == active
