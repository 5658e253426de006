"""Deadlines of calls and leases of their devices: each live call is looked at every few seconds, by one process at a time."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from core.calls import messages, queries, rules
from core.calls.lifecycle import Lifecycle
from core.calls.rules import Call
from core.db import Database
from core.friends.service import FriendsService
from core.redis import RedisAway
from skillforge.v1 import calls_pb2

log = logging.getLogger("skillforge.calls")

_CLAIMED_AT_ONCE: Final = 50
_SIDE_BY_SIDE: Final = 8
# How often a live call's locks are carried on, and it is asked whether its people may still talk.
HOLD_MS: Final = 30_000
# Rows that are older and without an end are compared with Redis.
_OPEN_AGE: Final = timedelta(minutes=2)


class CallWatch:
    """`round` and `sweep` are to be repeated; any number of processes may."""

    def __init__(self, db: Database, life: Lifecycle, friends: FriendsService) -> None:
        self._db = db
        self._life = life
        self._store = life.store
        self._friends = friends
        self._swept = bytes(16)

    async def round(self) -> None:
        """Look at the calls that are due. What fails is looked at again later."""
        room = asyncio.Semaphore(_SIDE_BY_SIDE)
        try:
            while claimed := await self._store.claim(_CLAIMED_AT_ONCE):
                await asyncio.gather(*(self._look(call_id, room) for call_id in claimed))
        except RedisAway as error:
            log.debug("calls are not looked at: %s", error)

    async def sweep(self, now: datetime, limit: int) -> None:
        """Close rows of calls that Redis knows no more. May raise RedisAway."""
        rows = await queries.left_open(self._db, now - _OPEN_AGE, self._swept, limit)
        for row in rows:
            call = await self._store.get(row.call_id)
            if call is None:
                reason = calls_pb2.CALL_END_REASON_PEER_LOST if row.answered else calls_pb2.CALL_END_REASON_TIMEOUT
                await queries.close(self._db, row.call_id, reason, not row.answered, now)
            elif not call.live:
                await queries.put(self._db, messages.row(call))
        self._swept = rows[-1].call_id if len(rows) == limit else bytes(16)

    async def _look(self, call_id: bytes, room: asyncio.Semaphore) -> None:
        async with room:
            try:
                await self._check(call_id)
            except RedisAway as error:
                log.debug("a call waits: %s", error)
            except Exception:
                log.exception("a call could not be looked at")

    async def _check(self, call_id: bytes) -> None:
        call = await self._store.get(call_id)
        if call is not None and call.live:
            call = await self._tick(call)
        elif call is not None:
            call = await self._life.settle(call)
        if call is None or (not call.live and call.settled >= call.version):
            await self._store.unschedule(call_id)
        else:
            await self._store.schedule(call_id, rules.next_check(call, await self._store.now()))

    async def _tick(self, call: Call) -> Call | None:
        caller_here, callee_here = await self._life.here(call.caller), await self._life.here(call.callee)
        hold = await self._store.now() - call.held_ms >= HOLD_MS
        forbidden = hold and not await self._hold(call)

        def step(present: Call, now: int) -> Call:
            if forbidden:
                return rules.end(present, calls_pb2.CALL_END_REASON_FORBIDDEN, now)
            ticked = rules.tick(present, now, caller_here, callee_here)
            return replace(ticked, held_ms=now) if hold and ticked.live else ticked

        after = await self._life.step(call.call_id, step)
        if hold and (after is None or not after.live):
            # It ended while its locks were carried on, and one that was gone may have been set anew.
            await self._life.unlock(call)
        return after

    async def _hold(self, call: Call) -> bool:
        """Carry a call's locks on; whether its people may still talk, as far as that can be asked."""
        people = (call.caller.user_id, call.callee.user_id)
        for user_id in people:
            await self._store.hold(user_id, call.call_id)
        try:
            return await self._friends.may_talk(self._db, *people)
        except Exception as error:
            log.warning("whether a call may go on is not known: %s", str(error) or type(error).__name__)
            return True
