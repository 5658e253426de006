"""Publishing rows: each with one mark a partition, so that it is published once however often it is tried."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from redis.exceptions import ResponseError

from core.outbox.rows import MAX_EVENTS, Row
from core.redis import Redis, keys
from core.redis.event_log import Group, LogEvent, publish_call

_MAX_SCRIPTS_AT_ONCE = 16


class _Part(NamedTuple):
    """What of a row one script may publish."""

    row: Row
    group: Group

    @property
    def size(self) -> int:
        return sum(len(events) for _, events in self.group.news)


class Publishing:
    """Publishes rows of the outbox."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._publish_script = redis.script("publish_events")

    async def publish(self, rows: Sequence[Row], done: list[Row], refused: dict[bytes, Exception]) -> Exception | None:
        """Publish rows, each user's in order; those that are published whole are added to `done`, and to `refused` the users
        whose logs take nothing: of a row of several users nothing but theirs is left then, unless the answer is another failure
        than a refusal. The first failure, if any.
        """
        # One script may touch the users of one partition of a Cluster, and all where there is none.
        partitions: dict[str, list[_Part]] = {}
        left: dict[bytes, int] = {}
        for row in sorted(rows):
            parts = self._parts(row)
            left[row.id] = len(parts)
            for tag, part in parts.items():
                partitions.setdefault(tag, []).append(part)

        def published(parts: Iterable[_Part]) -> None:
            for part in parts:
                left[part.row.id] -= 1
                if left[part.row.id] == 0:
                    done.append(part.row)

        gate = asyncio.Semaphore(_MAX_SCRIPTS_AT_ONCE)

        async def publish_partition(parts: Iterable[_Part]) -> None:
            for some in _scripts(parts):
                async with gate:
                    published(await self._run(some, refused))

        results = await asyncio.gather(*map(publish_partition, partitions.values()), return_exceptions=True)
        return next((result for result in (*results, *refused.values()) if isinstance(result, Exception)), None)

    def _parts(self, row: Row) -> dict[str, _Part]:
        """A row's parts by partition."""
        found: dict[str, list[tuple[bytes, Sequence[LogEvent]]]] = {}
        for user_id, events in row.by_user().items():
            tag = keys.user_tag(user_id) if self._redis.is_cluster else ""
            found.setdefault(tag, []).append((user_id, events))
        return {tag: _Part(row, Group(row.id, news)) for tag, news in found.items()}

    async def _run(self, parts: Sequence[_Part], refused: dict[bytes, Exception]) -> Sequence[_Part]:
        """Publish parts, but nothing more of users whose log refused something; those that are published whole."""
        if not refused:
            try:
                await self._publish_script(*publish_call(part.group for part in parts))
                return parts
            except ResponseError:
                pass
        # One user's log must not hold up the others'.
        return [part for part in parts if await self._run_alone(part, refused)]

    async def _run_alone(self, part: _Part, refused: dict[bytes, Exception]) -> bool:
        """Publish a part; whether all of it is published. What cannot be published together is published user by user."""
        news, is_shared = part.group.news, bool(part.row.users)
        if not is_shared and news[0][0] in refused:
            return False
        try:
            await self._publish_script(*publish_call([part.group]))
            return True
        except ResponseError as error:
            if not is_shared:
                refused[news[0][0]] = error
                return False
        for user_id, events in news:
            try:
                if user_id not in refused:
                    await self._publish_script(*publish_call([Group(part.group.mark + user_id, [(user_id, events)])]))
            except ResponseError as error:
                refused[user_id] = error
        return refused.keys().isdisjoint(user_id for user_id, _ in news)


def _scripts(parts: Iterable[_Part]) -> Iterator[list[_Part]]:
    """Parts, cut into what one script publishes: up to MAX_EVENTS events, which no row exceeds."""
    some: list[_Part] = []
    room = MAX_EVENTS
    for part in parts:
        if part.size > room:
            yield some
            some, room = [], MAX_EVENTS
        room -= part.size
        some.append(part)
    if some:
        yield some
