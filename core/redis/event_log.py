"""A user's event log, and what is published when it grows: how the scripts and the subscribers write it."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from core.redis import keys
from core.redis.client import Value

# Stands for the epoch of what is published and not kept.
PASSING = b"-"


class Published(NamedTuple):
    """An event as subscribers get it. `epoch` is PASSING and `offset` 0 when it stands in no log."""

    epoch: bytes
    offset: int
    id: bytes
    topic: bytes
    payload: bytes


class LogEvent(NamedTuple):
    """An event to be published: its id (16 bytes, UUIDv7), topic and payload."""

    id: bytes
    topic: str
    payload: bytes


class Group(NamedTuple):
    """Events of users that are published together or not at all, and once for each `mark`."""

    mark: bytes
    news: Sequence[tuple[bytes, Sequence[LogEvent]]]


def publish_call(groups: Iterable[Group]) -> tuple[list[str], list[Value]]:
    """Keys and arguments of the script `publish_events`. In a Cluster the users are of one partition."""
    names: list[str] = []
    arguments: list[Value] = [
        secrets.token_hex(8), keys.EVENTS_TTL_MS, keys.EVENTS_HEAD_TTL_MS, keys.PUBLISHED_TTL_MS, keys.EVENTS_MAX,
    ]  # fmt: skip
    for mark, news in groups:
        names.append(keys.published(news[0][0], mark))
        arguments.append(len(news))
        for user_id, events in news:
            names += (keys.events_head(user_id), keys.events(user_id))
            arguments += (keys.events_channel(user_id), len(events))
            for event_id, topic, payload in events:
                arguments += (event_id.hex(), topic, payload)
    return names, arguments


def read_call(user_id: bytes, epoch: str, offset: int) -> tuple[list[str], list[Value]]:
    """Keys and arguments of the script `read_events` for what came after a position."""
    names = [keys.events_head(user_id), keys.events(user_id)]
    return names, [secrets.token_hex(8), keys.EVENTS_HEAD_TTL_MS, epoch, offset]


def passing(topic: str, payload: bytes) -> bytes:
    """What to publish of an event that is not kept."""
    return b"-\n0\n\n" + topic.encode() + b"\n" + payload


def addressed(topic: str, device_id: str) -> str:
    """A topic as it stands in the log when the event is for some devices alone (see `Event.device_id`)."""
    return f"{topic}@{device_id}" if device_id else topic


def parse(data: bytes) -> Published:
    """A published message; ValueError when it is none."""
    epoch, offset, event_id, topic, payload = data.split(b"\n", 4)
    return Published(epoch, int(offset), event_id, topic, payload)
