"""What follows from a call's state: who is told, which locks go, what is kept. All of it may be done again.

Whoever changes a call settles it; if that process dies in between, whoever looks at the call next does.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from typing import Final

from google.protobuf.message import Message

from core.calls import messages, queries, rules, store
from core.calls.rules import Call, Party
from core.calls.store import CallStore, Step
from core.db import Database
from core.realtime.presence import Presence
from core.realtime.publisher import Publisher
from skillforge.v1 import calls_pb2

log = logging.getLogger("skillforge.calls")

RINGING, ACCEPTED, SIGNAL = "call.ringing", "call.accepted", "call.signal"
ENDED, ELSEWHERE = "call.ended", "call.elsewhere"
_RECORD_SECONDS: Final = 3.0


class Lifecycle:
    """Changes calls and sees to what follows. Every method may raise RedisAway."""

    def __init__(self, db: Database, calls: CallStore, publisher: Publisher, presence: Presence) -> None:
        self.store = calls
        self._db = db
        self._publisher = publisher
        self._presence = presence

    async def step(self, call_id: bytes, step: Step) -> Call | None:
        """Change a call by a rule and settle it; None: there is no such call. Raises what the rule raises."""
        moved = await self.store.step(call_id, step)
        return await self.settle(moved.after) if moved is not None else None

    async def settle(self, call: Call) -> Call:
        """Do what follows from the call's state, if nobody has; the call afterwards."""
        if call.settled >= call.version:
            return call
        await self._announce(call)
        if not call.live:
            await self.unlock(call)
        if not await self._record(call):
            return call
        moved = await self.store.step(call.call_id, lambda now_is, _: store.settled(now_is, call.version))
        return moved.after if moved is not None else call

    async def unlock(self, call: Call) -> None:
        """Unlock the call's people, as far as they are locked for it."""
        for party in (call.caller, call.callee):
            await self.store.release(party.user_id, call.call_id)

    async def relay(self, call: Call, sender_id: bytes, signal: calls_pb2.CallSignal, event_id: bytes) -> None:
        """Give a signal to the other party's device, once for each `event_id`."""
        peer = call.peer(sender_id)
        await self._publisher.publish(peer.user_id, SIGNAL, signal, event_id, peer.device_id)

    async def here(self, party: Party) -> bool:
        """Whether a party's device has a connection; one that is not bound yet counts as there."""
        if not party.device_id:
            return True
        connections = await self._presence.connections(party.user_id)
        return any(connection.device_id == party.device_id for connection in connections)

    async def orphaned(self, call: Call) -> bool:
        """Whether a bound device has no connection any more."""
        return not (await self.here(call.caller) and await self.here(call.callee))

    async def _announce(self, call: Call) -> None:
        """Tell those whom the state concerns; each event once, however often this runs."""
        if call.state == rules.RINGING:
            ringing = messages.ringing(call, await self.store.now())
            await self._publisher.push(call.callee.user_id, RINGING, ringing)
        elif call.state == rules.CONNECTING:
            # The callee first: what the caller signals then comes behind it.
            for party in (call.callee, call.caller):
                await self._tell(call, party, ACCEPTED, messages.accepted(call, party.user_id), party.device_id)
            elsewhere = calls_pb2.CallElsewhere(call_id=messages.call_id(call))
            await self._tell(call, call.callee, ELSEWHERE, elsewhere, f"!{call.callee.device_id}")
        elif call.state == rules.ENDED:
            for party in (call.callee, call.caller):
                await self._tell(call, party, ENDED, messages.ended(call, party.user_id))

    async def _tell(self, call: Call, party: Party, topic: str, message: Message, device_id: str = "") -> None:
        event_id = make_event_id(call.changed_ms, call.call_id, party.user_id, topic)
        await self._publisher.publish(party.user_id, topic, message, event_id, device_id)

    async def _record(self, call: Call) -> bool:
        """Keep the call; without MySQL that is done later."""
        try:
            async with asyncio.timeout(_RECORD_SECONDS):
                await queries.put(self._db, messages.row(call))
        except Exception as error:
            log.warning("a call is not recorded yet: %s", str(error) or type(error).__name__)
            return False
        return True


def make_event_id(time_ms: int, call_id: bytes, user_id: bytes, what: str) -> bytes:
    """The id of an event, the same each time it is published: a UUID of version 8 that begins as a UUIDv7 does."""
    digest = bytearray(hashlib.sha256(call_id + user_id + what.encode()).digest()[:10])
    digest[0] = digest[0] & 0x0F | 0x80
    digest[2] = digest[2] & 0x3F | 0x80
    return time_ms.to_bytes(6, "big") + bytes(digest)
