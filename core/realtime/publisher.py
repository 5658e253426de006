"""Events that are no part of a database transaction: passing ones, such as typing, and kept ones, such as a call's."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from google.protobuf.message import Message

from core.redis import Redis, RedisAway, keys
from core.redis.event_log import Group, LogEvent, addressed, passing, publish_call

log = logging.getLogger("skillforge.realtime")

MAX_AT_ONCE = 500


class Publisher:
    """Publishes to the connections of users, whichever process holds them."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._keep = redis.script("publish_events")
        self._pass = redis.script("publish_passing")

    async def push(self, user_id: bytes, topic: str, message: Message) -> None:
        """Tell a user's connections of something that is not kept: at most once, and never while Redis is away."""
        await self.send(user_id, topic, message.SerializeToString())

    async def push_many(self, user_ids: Iterable[bytes], topic: str, message: Message) -> None:
        """`push` the same to many users."""
        data = passing(topic, message.SerializeToString())
        by_tag: dict[str, list[bytes]] = {}
        for user_id in user_ids:
            by_tag.setdefault(keys.user_tag(user_id), []).append(user_id)
        try:
            for users in by_tag.values():
                for start in range(0, len(users), MAX_AT_ONCE):
                    some = users[start : start + MAX_AT_ONCE]
                    await self._pass([keys.events(some[0])], [data, *map(keys.events_channel, some)])
        except RedisAway as error:
            log.debug("%s is not pushed: %s", topic, error)

    async def publish(self, user_id: bytes, topic: str, message: Message, event_id: bytes, device_id: str = "") -> None:
        """Append an event to a user's log and tell the connections, once for each `event_id` (16 bytes, UUIDv7).

        `device_id`: for the connections of this device alone; with "!" before it for all others.
        Raises RedisAway: it may be done or not, and may be repeated with the same id.
        """
        event = LogEvent(event_id, addressed(topic, device_id), message.SerializeToString())
        await self._keep(*publish_call([Group(event_id, [(user_id, [event])])]))

    async def send(self, user_id: bytes, topic: str, payload: bytes) -> None:
        """`push` of a payload that is encoded already."""
        try:
            await self._redis.run("SPUBLISH", keys.events_channel(user_id), passing(topic, payload))
        except RedisAway as error:
            log.debug("%s is not pushed: %s", topic, error)
