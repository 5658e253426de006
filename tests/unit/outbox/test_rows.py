"""Rows of the outbox hold events as they were given, and no more than fit."""

from __future__ import annotations

from itertools import groupby

from hypothesis import given
from hypothesis import strategies as st

from core.ids import new_id
from core.outbox.rows import MAX_BYTES, MAX_EVENTS, Row, make_rows, make_shared_rows
from core.redis.event_log import LogEvent

_USERS = [bytes([number]) * 16 for number in range(3)]
_TOPICS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=64)
_NEWS = st.lists(st.tuples(st.sampled_from(_USERS), _TOPICS, st.binary(max_size=40)), max_size=30)


@given(_NEWS)
def test_a_user_s_events_come_back_in_their_order(news: list[tuple[bytes, str, bytes]]) -> None:
    told = [(user, LogEvent(new_id(), topic, payload)) for user, topic, payload in news]
    stored = [Row.read(*row.columns) for row in make_rows(told)]
    assert len(stored) == len({user for user, _ in told})
    for user in _USERS:
        assert [event for row in stored if row.user_id == user for event in row.events] == [it for of, it in told if of == user]


@given(_NEWS.filter(bool))
def test_a_shared_row_keeps_whose_each_event_is(news: list[tuple[bytes, str, bytes]]) -> None:
    told = [(user, LogEvent(new_id(), topic, payload)) for user, topic, payload in news]
    (stored,) = [Row.read(*row.columns) for row in make_shared_rows(told)]
    assert stored.id == told[0][1].id
    assert stored.by_user() == {user: [event for of, event in told if of == user] for user, _ in told}


def test_a_shared_row_takes_so_many_events() -> None:
    told = [(_USERS[number % 3], LogEvent(new_id(), "a", b"")) for number in range(MAX_EVENTS * 2 + 1)]
    rows = make_shared_rows(told)
    assert [len(row.events) for row in rows] == [MAX_EVENTS, MAX_EVENTS, 1]
    assert [item for row in rows for item in zip(row.users, row.events, strict=True)] == told


def test_rows_written_by_an_earlier_version_are_read() -> None:
    events = (LogEvent(bytes(15) + b"1", "chat.message", b"one"), LogEvent(bytes(15) + b"2", "call.ended", b""))
    packed = bytes(15) + b"1\x0c\0\0\0\x03chat.messageone" + bytes(15) + b"2\x0a\0\0\0\0call.ended"
    assert Row.read(events[0].id, _USERS[1], "", packed) == Row(events[0].id, _USERS[1], events)
    assert Row.read(events[0].id, _USERS[1], "chat.message", b"one") == Row(events[0].id, _USERS[1], events[:1])


def test_a_row_takes_so_many_events() -> None:
    told = [(_USERS[0], LogEvent(new_id(), "a", b"")) for _ in range(MAX_EVENTS * 2 + 1)]
    rows = make_rows(told)
    assert [len(row.events) for row in rows] == [MAX_EVENTS, MAX_EVENTS, 1]
    assert [row.id for row in rows] == sorted(row.id for row in rows)


@given(st.lists(st.integers(0, MAX_BYTES + 10), max_size=8))
def test_a_row_takes_so_many_bytes_but_of_a_single_event(sizes: list[int]) -> None:
    rows = make_rows((_USERS[0], LogEvent(new_id(), "a", bytes(size))) for size in sizes)
    assert [len(event.payload) for row in rows for event in row.events] == sizes
    for row in rows:
        assert len(row.events) == 1 or sum(len(event.payload) for event in row.events) <= MAX_BYTES
    assert [user for user, _ in groupby(rows, lambda row: row.user_id)] == ([_USERS[0]] if sizes else [])
