"""Rows of the outbox: what one transaction tells one user, or many, in its order; or tells many, where no order matters."""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from core.redis.event_log import LogEvent

# What one row holds at most, but for a single event that is larger.
MAX_EVENTS = 100
MAX_BYTES = 64 * 1024

# So many users have rows of their own, which wait for nobody else's.
FEW = 4

# Of an event in the payload of a row with several: its id, and the lengths of topic and payload, which follow. In a shared
# row its user stands before that.
_HEAD = struct.Struct(">16sBI")
_USER_BYTES = 16
# The topics of a row with several events, and of a shared one: no topic has a line end.
_SEVERAL = ""
_SHARED = "\n"
# Stand for the user of a shared row: one that needs no order, and one whose users have their other rows before and behind it.
NOBODY = bytes(_USER_BYTES)
SEVERAL = bytes((255,)) * _USER_BYTES


class Row(NamedTuple):
    """Events published together: a user's, or, of a shared row, those of many, whose `users` say which is whose. The id is
    the first event's, so that rows sort by time."""

    id: bytes
    user_id: bytes
    events: tuple[LogEvent, ...]
    users: tuple[bytes, ...] = ()

    @classmethod
    def read(cls, row_id: bytes, user_id: bytes, topic: str, payload: bytes) -> Row:
        """A row as it is stored."""
        if topic == _SHARED:
            users, events = zip(*_unpack(payload, _USER_BYTES), strict=True)
            return cls(row_id, user_id, events, users)
        events = (LogEvent(row_id, topic, payload),) if topic != _SEVERAL else tuple(event for _, event in _unpack(payload, 0))
        return cls(row_id, user_id, events)

    @property
    def columns(self) -> tuple[bytes, bytes, str, bytes]:
        """What is stored: id, user, topic and payload."""
        if self.users:
            return self.id, self.user_id, _SHARED, _pack(zip(self.users, self.events, strict=True))
        if len(self.events) == 1:
            return self.id, self.user_id, self.events[0].topic, self.events[0].payload
        return self.id, self.user_id, _SEVERAL, _pack((b"", event) for event in self.events)

    @property
    def ordered(self) -> bool:
        """Whether it waits for its users' earlier rows, and the later ones for it."""
        return self.user_id != NOBODY

    @property
    def whose(self) -> Collection[bytes]:
        """The users of its events."""
        return self.users or (self.user_id,)

    def by_user(self) -> dict[bytes, list[LogEvent]]:
        """The events with their users."""
        if not self.users:
            return {self.user_id: list(self.events)}
        found: dict[bytes, list[LogEvent]] = {}
        for user_id, event in zip(self.users, self.events, strict=True):
            found.setdefault(user_id, []).append(event)
        return found


def make_rows(news: Iterable[tuple[bytes, LogEvent]]) -> list[Row]:
    """The fewest rows that hold one user's events each, in their order."""
    by_user: dict[bytes, list[LogEvent]] = {}
    for user_id, event in news:
        by_user.setdefault(user_id, []).append(event)
    return [Row(events[0].id, user_id, tuple(events)) for user_id, own in by_user.items() for events in _groups(own)]


def make_ordered_rows(news: Sequence[tuple[bytes, LogEvent]]) -> list[Row]:
    """Rows for events of any users, the fewest where the users are many; each user's keep their order."""
    return make_rows(news) if len({user_id for user_id, _ in news}) <= FEW else make_shared_rows(news, SEVERAL)


def make_shared_rows(news: Sequence[tuple[bytes, LogEvent]], for_whom: bytes = NOBODY) -> list[Row]:
    """The fewest rows for events of any users, `for_whom` NOBODY or SEVERAL."""
    users = iter(user_id for user_id, _ in news)
    groups = _groups(event for _, event in news)
    return [Row(events[0].id, for_whom, tuple(events), tuple(next(users) for _ in events)) for events in groups]


def ready(rows: Iterable[Row], waiting: Collection[bytes]) -> list[Row]:
    """The rows, in order, that wait for none: not those of users who wait for a row that is not here, nor those behind them."""
    found, waits = [], set(waiting)
    for row in sorted(rows):
        if row.ordered and not waits.isdisjoint(row.whose):
            waits.update(row.whose)
        else:
            found.append(row)
    return found


def _groups(events: Iterable[LogEvent]) -> Iterator[list[LogEvent]]:
    """The events, cut into what a row takes."""
    group: list[LogEvent] = []
    size = 0
    for event in events:
        size += len(event.payload)
        if group and (len(group) >= MAX_EVENTS or size > MAX_BYTES):
            yield group
            group, size = [], len(event.payload)
        group.append(event)
    if group:
        yield group


def _pack(news: Iterable[tuple[bytes, LogEvent]]) -> bytes:
    parts: list[bytes] = []
    for user_id, (event_id, topic, payload) in news:
        parts += (user_id, _HEAD.pack(event_id, len(topic), len(payload)), topic.encode("ascii"), payload)
    return b"".join(parts)


def _unpack(data: bytes, user_bytes: int) -> Iterator[tuple[bytes, LogEvent]]:
    position = 0
    while position < len(data):
        user_id = data[position : position + user_bytes]
        event_id, topic_length, payload_length = _HEAD.unpack_from(data, position + user_bytes)
        start = position + user_bytes + _HEAD.size
        middle, position = start + topic_length, start + topic_length + payload_length
        yield user_id, LogEvent(event_id, data[start:middle].decode("ascii"), data[middle:position])
