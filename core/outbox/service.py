"""The outbox: events are committed with the change they tell of, then published in order, each user's apart.

Delivery is at least once with a stable event id, and the publishing script takes each id once, so a relay that died
between publishing and deleting does no harm.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Sequence
from functools import partial

from google.protobuf.message import Message

from core.db import Database, Transaction
from core.errors import DomainError
from core.ids import new_id
from core.outbox import queries
from core.outbox.queries import Event
from core.redis import Redis, RedisAway
from core.redis.event_log import publish_call

log = logging.getLogger("skillforge.outbox")

POLL_SECONDS = 1.0
MAX_BATCH = 200
MAX_BACKOFF_SECONDS = 5.0
_CLOSE_SECONDS = 2.0
_ROUND_SECONDS = 8.0
_AGAIN_SECONDS = 0.1
# Events known here and not published yet; those beyond are taken from the table once their claim has run out.
_MAX_FRESH = 5000
_MAX_USERS_AT_ONCE = 16
_MAX_EVENTS_A_SCRIPT = 100


class Outbox:
    """Takes events in transactions, and relays them to Redis."""

    def __init__(self, db: Database, redis: Redis) -> None:
        self._db = db
        self._publish_script = redis.script("publish_events")
        self._fresh: deque[Event] = deque()
        self._wake = asyncio.Event()
        self._poll_at = 0.0
        self._relay: asyncio.Task[None] | None = None
        self._closing = False

    async def add(self, tx: Transaction, user_id: bytes, topic: str, message: Message) -> None:
        """Tell a user of something, if and only if the transaction commits; in order with the user's other events."""
        await self.add_many(tx, [(user_id, topic, message)])

    async def add_many(self, tx: Transaction, news: Sequence[tuple[bytes, str, Message]]) -> None:
        """`add` for many (user, topic, message) at once, in one statement."""
        events = [Event(new_id(), user_id, topic, message.SerializeToString()) for user_id, topic, message in news]
        await queries.insert(tx, events)
        for event in events:
            tx.after_commit(partial(self._committed, event))

    async def start(self) -> None:
        """Begin relaying, in the background; MySQL and Redis may come later."""
        self._relay = asyncio.create_task(self._run(), name="outbox relay")

    async def close(self) -> None:
        """Publish what is known here, if that is quick, and stop; another process takes over the rest."""
        if self._relay is None:
            return
        self._closing = True
        self._wake.set()
        await asyncio.wait((self._relay,), timeout=_CLOSE_SECONDS)
        self._relay.cancel()
        await asyncio.gather(self._relay, return_exceptions=True)

    async def _committed(self, event: Event) -> None:
        if len(self._fresh) < _MAX_FRESH:
            self._fresh.append(event)
            self._wake.set()

    async def _run(self) -> None:
        failures = 0
        while not (self._closing and not self._fresh):
            try:
                async with asyncio.timeout(_ROUND_SECONDS):
                    await self._round()
            except (DomainError, RedisAway, TimeoutError) as error:
                failures += 1
                if failures == 1:
                    log.warning("events are not published for now: %s", str(error) or type(error).__name__)
            except Exception:
                failures += 1
                log.exception("events could not be published")
            else:
                failures = 0
            if failures:
                await asyncio.sleep(random.uniform(0.5, 1.0) * min(MAX_BACKOFF_SECONDS, 0.1 * 2 ** min(failures, 10)))
            else:
                await self._rest()

    async def _rest(self) -> None:
        """Until there is something to do."""
        pause = self._poll_at - _now()
        if self._fresh or self._closing or pause <= 0:
            return
        self._wake.clear()
        try:
            async with asyncio.timeout(pause):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _round(self) -> None:
        """Relay what was committed here, and now and then what others left."""
        while self._fresh:
            await self._relay_batch([self._fresh.popleft() for _ in range(min(MAX_BATCH, len(self._fresh)))])
        if _now() < self._poll_at or self._closing:
            return
        self._poll_at = _now() + POLL_SECONDS * random.uniform(0.8, 1.2)
        while not self._fresh and (events := await queries.claim(self._db, MAX_BATCH)):
            await self._relay_batch(events)

    async def _relay_batch(self, events: list[Event]) -> None:
        """Publish claimed events; those that are not, for whatever reason, are free for anybody again."""
        done: list[Event] = []
        try:
            waiting = await queries.users_with_earlier(self._db, events)
            ready = [event for event in events if event.user_id not in waiting]
            failure = await self._publish(ready, done)
            if done:
                await queries.delete(self._db, done)
            if failure is not None:
                raise failure
        finally:
            published = set(done)
            left = [event for event in events if event not in published]
            if left:
                self._poll_at = min(self._poll_at, _now() + _AGAIN_SECONDS)
                await self._release(left)

    async def _release(self, events: Sequence[Event]) -> None:
        try:
            await queries.release(self._db, events)
        except Exception as error:
            log.debug("claims could not be given up and have to run out: %s", error)

    async def _publish(self, events: Sequence[Event], done: list[Event]) -> Exception | None:
        """Publish each user's events in order; what is published is added to `done`. The first failure, if any."""
        by_user: dict[bytes, list[Event]] = {}
        for event in sorted(events):
            by_user.setdefault(event.user_id, []).append(event)
        users = list(by_user.values())
        for start in range(0, len(users), _MAX_USERS_AT_ONCE):
            group = users[start : start + _MAX_USERS_AT_ONCE]
            results = await asyncio.gather(*(self._publish_user(own, done) for own in group), return_exceptions=True)
            for result in results:
                if isinstance(result, Exception):
                    return result
        return None

    async def _publish_user(self, events: list[Event], done: list[Event]) -> None:
        for start in range(0, len(events), _MAX_EVENTS_A_SCRIPT):
            some = events[start : start + _MAX_EVENTS_A_SCRIPT]
            await self._publish_script(*publish_call(some[0].user_id, ((event.id, event.topic, event.payload) for event in some)))
            done.extend(some)


def _now() -> float:
    return asyncio.get_running_loop().time()
