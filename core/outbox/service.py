"""The outbox: events are committed with the change they tell of, then published in order, each user's apart.

What a transaction tells a user, or many users at once, is one row. Rows of events that need no order have a user that is nobody:
no row waits for those, and they are deleted behind the next ones' back. Delivery is at least once with stable ids, and the
publishing script takes each row once, so a relay that died between publishing and deleting does no harm.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Collection, Sequence
from functools import partial
from typing import TypeAlias

from google.protobuf.message import Message
from redis.exceptions import ResponseError

from core.db import Database, Transaction
from core.errors import DomainError
from core.ids import new_id
from core.outbox import queries
from core.outbox.publishing import Publishing
from core.outbox.rows import SEVERAL, Row, make_ordered_rows, make_rows, make_shared_rows, ready
from core.redis import Redis, RedisAway
from core.redis.event_log import LogEvent

log = logging.getLogger("skillforge.outbox")

POLL_SECONDS = 1.0
MAX_BATCH = 200
MAX_BACKOFF_SECONDS = 5.0
_CLOSE_SECONDS = 2.0
_ROUND_SECONDS = 8.0
_AGAIN_SECONDS = 0.1
# Rows known here and not published yet; those beyond are taken from the table once their claim has run out.
_MAX_FRESH = 5000
# A backlog is counted no further: beyond, only its age matters.
MAX_COUNTED = 100_000
# Shared rows that are published are deleted so many at a time, with pauses.
_MAX_DELETED = 1000
_DELETE_PAUSE_SECONDS = 0.05

# Whom to tell, the topic, and what to tell.
News: TypeAlias = tuple[bytes, str, Message]


class Outbox:
    """Takes events in transactions, and relays them to Redis."""

    def __init__(self, db: Database, redis: Redis) -> None:
        self._db = db
        self._publishing = Publishing(redis)
        self._fresh: deque[Row] = deque()
        self._wake = asyncio.Event()
        self._poll_at = 0.0
        self._relay: asyncio.Task[None] | None = None
        # Shared rows to delete; those beyond are taken from the table, known to be published, and deleted then.
        self._published: deque[Row] = deque(maxlen=_MAX_FRESH)
        self._deleting: asyncio.Task[None] | None = None
        self._closing = False

    async def add(self, tx: Transaction, user_id: bytes, topic: str, message: Message) -> None:
        """Tell a user of something, if and only if the transaction commits; in order with the user's other events."""
        await self.add_many(tx, [(user_id, topic, message)])

    async def add_many(self, tx: Transaction, news: Sequence[News]) -> None:
        """`add` for many at once; what many users are told is one row, for as long as it fits."""
        await self._insert(tx, make_ordered_rows(_events(news)))

    async def add_together(self, tx: Transaction, news: Sequence[News]) -> None:
        """`add_many` of events that order themselves, such as numbered messages: they wait for none, and share rows."""
        await self._insert(tx, make_shared_rows(_events(news)))

    async def backlog(self) -> tuple[int, float]:
        """How many events of all processes wait, up to MAX_COUNTED, and for how many seconds the first."""
        return await queries.backlog(self._db, MAX_COUNTED)

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
        if self._deleting is not None:
            self._deleting.cancel()
            await asyncio.gather(self._deleting, return_exceptions=True)
        await self._delete_published()

    async def _insert(self, tx: Transaction, rows: Sequence[Row]) -> None:
        if rows:
            queries.insert(tx, rows)
            tx.after_commit(partial(self._committed, rows))

    async def _committed(self, rows: Sequence[Row]) -> None:
        self._fresh.extend(rows[: max(0, _MAX_FRESH - len(self._fresh))])
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
        # Rows that nothing can be done for are looked at again after a pause: they wait for another's.
        while not self._fresh and (rows := await queries.claim(self._db, MAX_BATCH)):
            if not await self._relay_batch(rows):
                return

    async def _relay_batch(self, rows: list[Row]) -> bool:
        """Publish claimed rows, and say whether any was; those that are not, for whatever reason, are free for anybody again."""
        done: list[Row] = []
        try:
            ordered = [row for row in rows if row.ordered]
            waiting = await queries.users_with_earlier(self._db, ordered) if ordered else set()
            refused: dict[bytes, Exception] = {}
            tried = ready(rows, waiting)
            failure = await self._publishing.publish(tried, done, refused)
            if in_order := [row for row in done if row.ordered]:
                await queries.delete(self._db, in_order)
            self._delete_soon([row for row in done if not row.ordered])
            if isinstance(failure, ResponseError):
                await self._split(tried, done, refused)
            if failure is not None:
                raise failure
            return bool(done)
        finally:
            published = {row.id for row in done}
            left = [row for row in rows if row.id not in published]
            if left:
                self._poll_at = min(self._poll_at, _now() + _AGAIN_SECONDS)
                await self._release(left)

    async def _split(self, tried: Sequence[Row], done: Sequence[Row], refused: Collection[bytes]) -> None:
        """Cut what is left of rows of several users to those whose logs refused it, so that nobody else waits for it."""
        published = {row.id for row in done}
        for row in tried:
            if row.user_id == SEVERAL and row.id not in published:
                parts = make_rows(item for item in zip(row.users, row.events, strict=True) if item[0] in refused)
                await self._db.transact(partial(queries.split, row=row, parts=parts))

    async def _release(self, rows: Sequence[Row]) -> None:
        try:
            await queries.release(self._db, rows)
        except Exception as error:
            log.debug("claims could not be given up and have to run out: %s", error)

    def _delete_soon(self, rows: Sequence[Row]) -> None:
        """Delete rows that nobody waits for, with those published in the next moments."""
        self._published.extend(rows)
        if rows and (self._deleting is None or self._deleting.done()):
            self._deleting = asyncio.create_task(self._delete())

    async def _delete(self) -> None:
        while self._published:
            await asyncio.sleep(_DELETE_PAUSE_SECONDS)
            await self._delete_published()

    async def _delete_published(self) -> None:
        some = [self._published.popleft() for _ in range(min(_MAX_DELETED, len(self._published)))]
        try:
            if some:
                await queries.delete(self._db, some)
        except DomainError as error:
            log.debug("published rows are not deleted; their claims run out: %s", error)


def _events(news: Sequence[News]) -> list[tuple[bytes, LogEvent]]:
    return [(user_id, LogEvent(new_id(), topic, message.SerializeToString())) for user_id, topic, message in news]


def _now() -> float:
    return asyncio.get_running_loop().time()
