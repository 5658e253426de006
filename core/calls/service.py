"""Inviting, answering, hanging up, signaling, and the history of calls."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

from google.protobuf.empty_pb2 import Empty

from core.call import Call
from core.calls import messages, queries, rules, turn
from core.calls.lifecycle import RINGING, Lifecycle, make_event_id
from core.calls.rules import Meeting, Party
from core.calls.store import CallStore, Step
from core.calls.watch import CallWatch
from core.db import Database
from core.errors import Conflict, FailedPrecondition, InvalidArgument, NotAllowed, Unavailable, missing
from core.friends.service import FriendsService
from core.ids import new_id, to_bytes, to_text
from core.pages import Pages
from core.realtime.presence import Presence
from core.realtime.publisher import Publisher
from core.redis import Redis, RedisAway
from core.times import to_timestamp, to_unix
from skillforge.v1 import calls_pb2
from skillforge.v1.realtime_pb2 import Event

log = logging.getLogger("skillforge.calls")

# An invite begins anew when the pair's old call ended just then.
_ROUNDS: Final = 10


class CallsService:
    """Implements skillforge.v1.CallsService. `watch` has to be repeated by whoever composes the core."""

    def __init__(
        self,
        db: Database,
        redis: Redis,
        friends: FriendsService,
        publisher: Publisher,
        presence: Presence,
        pages: Pages,
        *,
        ice_urls: Sequence[str] = (),
        turn_secret: str = "",
    ) -> None:
        self._db = db
        self._friends = friends
        self._pages = pages
        self._ice_urls = tuple(ice_urls)
        self._turn_secret = turn_secret
        self.store = CallStore(redis)
        self._life = Lifecycle(db, self.store, publisher, presence)
        self.watch = CallWatch(db, self._life, friends)

    # The RPCs. Those of frames raise FailedPrecondition (NOT_CONNECTED) without a connection, and Unavailable without Redis.

    async def invite(self, call: Call, request: calls_pb2.InviteRequest) -> calls_pb2.CallStatus:
        """Ring somebody; the call may have ended (busy) or be answered (crossing invites) already.

        Raises InvalidArgument (oneself), NotAllowed (MAY_NOT_CALL), FailedPrecondition (IN_ANOTHER_CALL), Conflict.
        """
        device, me, other = _device(call), call.user.user_id, to_bytes(request.to)
        if other == me:
            raise InvalidArgument("INVALID_ARGUMENT", "You cannot call yourself.")
        await self._require_may_call(me, other)
        people = await queries.people(self._db, (me, other))
        caller = Party(*people[me], device_id=device, client_id=request.client_call_id)
        callee = Party(*people[other])
        with _needs_redis():
            await self._leave_other(me, other, device)
            for _ in range(_ROUNDS):
                created, found = await self.store.start(caller, callee, request.media)
                standing = await self._ring(found) if created else await self._meet(found, caller)
                if standing is not None:
                    return messages.status(standing, me)
        raise Conflict("CONFLICT", "Calls with this person begin and end all the time. Try again.")

    async def accept(self, call: Call, request: calls_pb2.AcceptRequest) -> calls_pb2.CallStatus:
        """Answer on this device. Raises NotFound, FailedPrecondition (ALREADY_ANSWERED)."""
        device, me = _device(call), call.user.user_id
        with _needs_redis():
            found = await self._call_to(me, request.call_id)
            return await self._step(found, me, lambda now_is, now: rules.accept(now_is, me, device, now))

    async def reject(self, call: Call, request: calls_pb2.RejectRequest) -> calls_pb2.CallStatus:
        """Decline. Raises NotFound, FailedPrecondition (ALREADY_ANSWERED)."""
        _device(call)
        with _needs_redis():
            found = await self._call_to(call.user.user_id, request.call_id)
            return await self._step(found, call.user.user_id, rules.reject)

    async def hangup(self, call: Call, request: calls_pb2.HangupRequest) -> calls_pb2.CallStatus:
        """Hang up. Raises NotFound, FailedPrecondition (NOT_IN_CALL)."""
        device, me = _device(call), call.user.user_id
        with _needs_redis():
            found = await self._call_of(me, request.call_id)
            return await self._step(found, me, lambda now_is, now: rules.hangup(now_is, me, device, now))

    async def report_connected(self, call: Call, request: calls_pb2.ReportConnectedRequest) -> calls_pb2.CallStatus:
        """Media flow. Raises NotFound, FailedPrecondition (NOT_IN_CALL, CALL_NOT_ANSWERED)."""
        device, me = _device(call), call.user.user_id
        with _needs_redis():
            found = await self._call_of(me, request.call_id)
            return await self._step(found, me, lambda now_is, now: rules.connected(now_is, me, device, now))

    async def signal(self, call: Call, request: calls_pb2.SignalRequest) -> Empty:
        """Relay to the other device. Raises NotFound, FailedPrecondition (CALL_ENDED, NOT_IN_CALL, CALL_NOT_ANSWERED)."""
        device, me = _device(call), call.user.user_id
        if not (request.HasField("description") or request.candidates or request.end_of_candidates):
            raise InvalidArgument("INVALID_ARGUMENT", "A signal has a description, candidates or the end of these.")
        with _needs_redis():
            found = await self._call_of(me, request.call_id)
            rules.require_signaling(found, me, device)
            name = request.client_signal_id
            event_id = make_event_id(found.start_ms, found.call_id, me, f"{device} {name}") if name else new_id()
            signal = calls_pb2.CallSignal(
                call_id=messages.call_id(found), candidates=request.candidates, end_of_candidates=request.end_of_candidates,
                description=request.description if request.HasField("description") else None,
            )  # fmt: skip
            await self._life.relay(found, me, signal, event_id)
        return Empty()

    async def get_ice_servers(self, call: Call, request: calls_pb2.GetIceServersRequest) -> calls_pb2.IceServers:
        """STUN servers, and TURN servers with credentials for the caller."""
        servers = []
        expires = call.now.replace(microsecond=0) + timedelta(seconds=turn.LIFE_SECONDS)
        stun = [url for url in self._ice_urls if url.startswith("stun")]
        relays = [url for url in self._ice_urls if url.startswith("turn")]
        if stun:
            servers.append(calls_pb2.IceServer(urls=stun))
        if relays and self._turn_secret:
            user = to_text(call.user.user_id)
            username, credential = turn.credentials(self._turn_secret, user, int(to_unix(expires)))
            servers.append(calls_pb2.IceServer(urls=relays, username=username, credential=credential))
        return calls_pb2.IceServers(ice_servers=servers, expire_time=to_timestamp(expires))

    async def list_calls(self, call: Call, request: calls_pb2.ListCallsRequest) -> calls_pb2.ListCallsResponse:
        """The caller's calls, the latest first."""
        page, me = self._pages.open(call, request), call.user.user_id
        before = bytes.fromhex(str(page.after[0])) if page.after else None
        rows = await queries.history(self._db, me, before, page.size + 1)
        kept, token = page.close(rows, lambda row: (row.call.call_id.hex(),))
        return calls_pb2.ListCallsResponse(calls=[messages.record(row, me) for row in kept], next_page_token=token)

    # What others tell this feature. None of it raises RedisAway: the watch finds out as well, only later.

    async def greet(self, user_id: bytes) -> list[Event]:
        """What a device that connects is told: that a call rings."""
        with _without_redis("a device is not told of a call"):
            found = await self.store.current(user_id)
            if found is not None and found.state == rules.RINGING and user_id == found.callee.user_id:
                ringing = messages.ringing(found, await self.store.now())
                return [Event(topic=RINGING, call_ringing=ringing)]
        return []

    async def parted(self, user_id: bytes, other_id: bytes) -> None:
        """Two people are no longer friends, or one blocks the other."""
        await self.access_ended(user_id)

    async def access_ended(self, user_id: bytes) -> None:
        """Somebody lost the access to a course, or a friend."""
        with _without_redis("a call goes on for now"):
            found = await self.store.current(user_id)
            if found is not None and not await self._friends.may_talk(self._db, found.caller.user_id, found.callee.user_id):
                await self._forbid(found)

    async def barred(self, user_id: bytes) -> None:
        """An account was suspended or deleted."""
        with _without_redis("a call goes on for now"):
            found = await self.store.current(user_id)
            if found is not None:
                await self._forbid(found)

    # Inviting.

    async def _require_may_call(self, me: bytes, other: bytes) -> None:
        if not await self._friends.may_talk(self._db, me, other):
            raise NotAllowed("MAY_NOT_CALL", "You can call friends, and the teachers and students of your courses.")

    async def _leave_other(self, me: bytes, other: bytes, device: str) -> None:
        """A device is in one call: whoever calls somebody else from it is no longer in the old one."""
        old = await self.store.current(me)
        if old is None or old.peer(me).user_id == other:
            return
        if not old.bound(me, device):
            raise FailedPrecondition("IN_ANOTHER_CALL", "You are in another call. End it first.")
        await self._end(old, calls_pb2.CALL_END_REASON_REPLACED)

    async def _ring(self, begun: rules.Call) -> rules.Call:
        """Lock both people for a new call and ring, or end it as busy; the call as it is then."""
        for party in (begun.caller, begun.callee):
            if await self.store.hold(party.user_id, begun.call_id) is not None:
                return await self._life.step(begun.call_id, rules.busy) or begun
        await self._life.settle(begun)
        # The other side's invite may have answered it meanwhile; or its people have parted, which nobody could end then.
        if not await self._friends.may_talk(self._db, begun.caller.user_id, begun.callee.user_id):
            await self._forbid(begun)
        return await self.store.get(begun.call_id) or begun

    async def _meet(self, found: rules.Call, caller: Party) -> rules.Call | None:
        """What an invite comes to when there is a call already; None: that one is over, begin anew."""
        if not found.live:
            return await self._life.settle(found)
        me, device, client_id = caller.user_id, caller.device_id, caller.client_id
        orphaned = await self._life.orphaned(found)
        match rules.meet(found, me, device, client_id, orphaned):
            case Meeting.SAME:
                return await self._life.settle(found)
            case Meeting.ACCEPT:
                step: Step = lambda now_is, now: rules.accept(now_is, me, device, now, client_id)  # noqa: E731
                answered = await self._life.step(found.call_id, step)
                return answered if answered is not None and answered.live else None
            case Meeting.REPLACE:
                await self._end(found, calls_pb2.CALL_END_REASON_REPLACED)
                return None
        raise FailedPrecondition("IN_ANOTHER_CALL", "You are in a call with this person on another device.")

    # Changing a call.

    async def _call_of(self, me: bytes, call_id: str) -> rules.Call:
        """A call of the user's. Raises NotFound."""
        raw = to_bytes(call_id)
        found = await self.store.get(raw)
        if found is None or found.side(me) is None:
            raise missing("call")
        return found

    async def _call_to(self, me: bytes, call_id: str) -> rules.Call:
        """A call that somebody else made to the user. Raises NotFound."""
        found = await self._call_of(me, call_id)
        if found.callee.user_id != me:
            raise missing("call")
        return found

    async def _step(self, found: rules.Call, me: bytes, step: Step) -> calls_pb2.CallStatus:
        changed = await self._life.step(found.call_id, step)
        if changed is None:
            raise missing("call")
        return messages.status(changed, me)

    async def _forbid(self, found: rules.Call) -> None:
        await self._end(found, calls_pb2.CALL_END_REASON_FORBIDDEN)

    async def _end(self, found: rules.Call, reason: calls_pb2.CallEndReason.ValueType) -> None:
        await self._life.step(found.call_id, lambda now_is, now: rules.end(now_is, reason, now))


def _device(call: Call) -> str:
    if call.connection is None:
        raise FailedPrecondition("NOT_CONNECTED", "Only a frame of a WebSocket connection can do this.")
    return call.connection.device_id


@contextmanager
def _needs_redis() -> Iterator[None]:
    try:
        yield
    except RedisAway as error:
        raise Unavailable("UNAVAILABLE", "Calls are not available right now. Try again.") from error


@contextmanager
def _without_redis(what: str) -> Iterator[None]:
    try:
        yield
    except RedisAway as error:
        log.warning("%s: %s", what, error)
