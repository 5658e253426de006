"""The connections of this process: their events, their presence, and whether they may go on."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

from core.call import Caller, Claims, Connection
from core.errors import TooMany
from core.identity.sessions import Sessions
from core.realtime import codes
from core.realtime.hub import Hub, Joined
from core.realtime.presence import Presence, PresenceTimes, Standing
from core.realtime.presence_keeper import PresenceKeeper
from core.realtime.publisher import Publisher
from core.realtime.streams import Stream
from core.redis import Redis, RedisAway
from skillforge.v1.realtime_pb2 import EventPosition

log = logging.getLogger("skillforge.realtime")

SOCKETS_PER_USER = 10
# How often the streams that end by themselves are looked at.
_TICK_SECONDS = 1.0
_RETRY_SECONDS = 0.5
_CHECKED_AT_ONCE = 500


class Connections:
    """Opens and closes streams, and ends those whose session or account fell."""

    def __init__(
        self,
        redis: Redis,
        sessions: Sessions,
        publisher: Publisher,
        *,
        times: PresenceTimes | None = None,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._sessions = sessions
        self._publisher = publisher
        self._wall_clock = wall_clock
        self.hub = Hub(redis, self._control)
        self.presence = Presence(redis, publisher, sockets_per_user=SOCKETS_PER_USER, times=times)
        self._keeper = PresenceKeeper(self.presence, self.hub.streams)
        self.hub.on_restored = self._keeper.restored
        # Streams by the Clerk id of the account; the doubtful ones are looked at anew.
        self._by_account: dict[str, list[Stream]] = {}
        self._doubtful: set[str] = set()
        self._doubt = asyncio.Event()
        self._checker: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin, in the background; Redis and MySQL may come later."""
        self._sessions.on_doubt(self._account_changed, self._session_changed)
        await self.hub.start()
        await self._keeper.start()
        self._checker = asyncio.create_task(self._check(), name="connections")

    async def close_all(self) -> None:
        """Stop, and take this process's connections out of the presence."""
        if self._checker is not None:
            self._checker.cancel()
            await asyncio.gather(self._checker, return_exceptions=True)
        for stream in self.hub.streams():
            self.close(stream)
        await self._keeper.close()
        await self.hub.close()

    async def open(self, stream: Stream, claims: Claims, resume: EventPosition | None) -> Joined:
        """Begin a stream. Raises TooMany and RedisAway; `close` it then, as ever."""
        caller = stream.caller
        self._by_account.setdefault(caller.clerk_id, []).append(stream)
        known = self._sessions.recall_claims(claims)
        if known is None or known[1].role != caller.role:
            self._account_changed(caller.clerk_id)  # it may have changed before it was on the list
        if stream.connection is not None:
            was_online = await self.presence.join(caller.user_id, stream.connection)
            if was_online is None:
                raise TooMany("TOO_MANY_SOCKETS", f"At most {SOCKETS_PER_USER} connections a user. Close another one first.")
            stream.present = True
            if not was_online:
                self._keeper.came(caller.user_id)
        return await self.hub.join(stream, resume)

    def close(self, stream: Stream) -> None:
        """End a stream; a second time does nothing."""
        self.hub.leave(stream)
        known = self._by_account.get(stream.caller.clerk_id, [])
        if stream in known:
            known.remove(stream)
            if not known:
                del self._by_account[stream.caller.clerk_id]
        if stream.present and stream.connection is not None:
            stream.present = False
            self._keeper.left(stream.caller.user_id, stream.connection)

    async def watch(self, user_id: bytes, watched: Sequence[bytes], connection: Connection | None) -> dict[bytes, Standing]:
        """How users stand; the connection's process keeps the watch, wherever that is."""
        if connection is not None:
            payload = connection.connection_id.encode() + b"".join(watched)
            await self._publisher.send(user_id, "!watch", payload)
        return await self.presence.standings(watched, user_id if connection is not None else None)

    async def parted(self, user_id: bytes, other_id: bytes) -> None:
        """Two people may not see each other's presence any more."""
        try:
            await self.presence.unwatch(user_id, other_id)
        except RedisAway as error:
            log.warning("a watch of presence lasts until its connection ends: %s", error)

    def _control(self, user_id: bytes, topic: str, payload: bytes) -> None:
        """What another process, or this one, has to say to the holder of a user's streams."""
        streams = self.hub.streams_of(user_id)
        if topic == "!close":
            connection_id, code, reason = payload.decode().split("\n")
            for stream in streams:
                if stream.connection is not None and stream.connection.connection_id == connection_id:
                    stream.close(int(code), reason)
        elif topic == "!watch":
            for stream in streams:
                if stream.connection is not None and stream.connection.connection_id.encode() == payload[:36]:
                    stream.watched = tuple(payload[start : start + 16] for start in range(36, len(payload), 16))
        elif topic == "!unwatch":
            for stream in streams:
                stream.watched = tuple(watched for watched in stream.watched if watched != payload)

    def _account_changed(self, clerk_id: str | None) -> None:
        if clerk_id is None:
            self._doubtful.update(self._by_account)
        elif clerk_id in self._by_account:
            self._doubtful.add(clerk_id)
        if self._doubtful:
            self._doubt.set()

    def _session_changed(self, session_id: str | None) -> None:
        for clerk_id, streams in self._by_account.items():
            if session_id is None or any(stream.caller.session_id == session_id for stream in streams):
                self._doubtful.add(clerk_id)
        if self._doubtful:
            self._doubt.set()

    async def _check(self) -> None:
        """Look at the doubtful callers, and end the streams whose time is over."""
        while True:
            try:
                async with asyncio.timeout(_TICK_SECONDS):
                    await self._doubt.wait()
            except TimeoutError:
                self._end_expired()
                continue
            self._doubt.clear()
            try:
                async with asyncio.timeout(10.0):
                    await self._check_doubtful()
            except Exception as error:
                log.warning("sessions could not be checked: %s", str(error) or type(error).__name__)
                self._doubt.set()
                await asyncio.sleep(_RETRY_SECONDS)

    async def _check_doubtful(self) -> None:
        while self._doubtful:
            some = [self._doubtful.pop() for _ in range(min(len(self._doubtful), _CHECKED_AT_ONCE))]
            streams = [stream for clerk_id in some for stream in self._by_account.get(clerk_id, ())]
            try:
                fallen = await self._sessions.fallen([stream.caller for stream in streams])
            except BaseException:
                self._doubtful.update(some)
                raise
            ended = {_key(caller) for caller in fallen}
            for stream in streams:
                if _key(stream.caller) in ended:
                    stream.close(codes.REVOKED, "signed out, suspended, or another role")

    def _end_expired(self) -> None:
        """Streams without a connection end with their token; a connection's door sees to its own."""
        now = self._wall_clock()
        for streams in self._by_account.values():
            for stream in streams:
                if stream.expires_at and now >= stream.expires_at:
                    stream.close(codes.TOKEN_EXPIRED, "the token has expired")


def _key(caller: Caller) -> tuple[str, str, int]:
    return caller.clerk_id, caller.session_id, caller.role
