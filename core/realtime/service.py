"""The use cases of `skillforge.v1.RealtimeService`."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable
from datetime import timedelta

import orjson

from contract.metadata import CONNECTION_CREDENTIAL
from core.call import Call, Caller, Claims, Connection
from core.errors import FailedPrecondition, NotAllowed, Unauthenticated, Unavailable
from core.identity.sessions import Sessions
from core.ids import new_id, to_bytes, to_text
from core.realtime.connections import Connections
from core.realtime.hub import Joined
from core.realtime.presence import MAX_WATCHED
from core.realtime.streams import Stream
from core.redis import Redis, RedisAway, keys
from core.times import from_unix, to_timestamp
from skillforge.v1 import identity_pb2, realtime_pb2
from skillforge.v1.realtime_pb2 import Event

log = logging.getLogger("skillforge.realtime")

# How often a client is asked for a sign of life.
HEARTBEAT_SECONDS = 25
LIMITS = realtime_pb2.ConnectionLimits(
    frame_bytes=65_536, message_bytes=8_192, description_bytes=32_768, frames_per_second=20, frames_burst=60,
    sockets_per_user=10, watched_users=MAX_WATCHED,
)  # fmt: skip
# Connections that are opened at once; others wait, for so many seconds at most.
_OPENING = 16
_OPEN_SECONDS = 30.0
_ATTEMPTS = 5

# Of the users, those whose presence the caller may watch.
Friends = Callable[[bytes, Collection[bytes]], Awaitable[Collection[bytes]]]

Greet = Callable[[bytes], Awaitable[Iterable[Event]]]


class RealtimeService:
    """Tickets, connections and the presence. `friends` is set by whoever composes the core."""

    def __init__(self, redis: Redis, sessions: Sessions, connections: Connections) -> None:
        self._redis = redis
        self._sessions = sessions
        self._connections = connections
        self._opening = asyncio.Semaphore(_OPENING)
        self.friends: Friends | None = None
        # What a user's connection is told first, beside what it missed.
        self.greet: Greet | None = None

    async def create_ticket(self, call: Call, request: realtime_pb2.CreateTicketRequest) -> realtime_pb2.RealtimeTicket:
        """A ticket that stands for the caller's token."""
        claims = _claims(call)
        ticket = secrets.token_urlsafe(24)
        value = orjson.dumps([claims.subject, claims.session_id, claims.expires_at])
        try:
            await self._redis.set(_ticket_key(ticket), value, ttl_ms=keys.TICKET_TTL_MS)
        except RedisAway as error:
            raise _away() from error
        return realtime_pb2.RealtimeTicket(
            ticket=ticket, expire_time=to_timestamp(call.now + timedelta(milliseconds=keys.TICKET_TTL_MS))
        )

    async def connect(self, call: Call, request: realtime_pb2.ConnectRequest) -> AsyncIterator[Event]:
        """The events of one connection, until it is closed."""
        stream, first = await self._begin(call, request)
        del request  # the stream may last for hours, and there may be thousands
        try:
            yield first
            del first
            for event in await self.greet(stream.caller.user_id) if self.greet is not None else ():
                yield event
            async for event in stream:
                yield event
                del event
        finally:
            self._connections.close(stream)

    async def stream_events(self, call: Call, request: realtime_pb2.StreamEventsRequest) -> AsyncIterator[Event]:
        """The caller's events, without a connection."""
        claims = _claims(call)
        stream = Stream(call.user, None, claims.expires_at)
        try:
            joined = await self._connections.open(stream, claims, request.resume if request.HasField("resume") else None)
            yield _connected(call, stream, joined)
            async for event in stream:
                yield event
        except RedisAway as error:
            raise _away() from error
        finally:
            self._connections.close(stream)

    async def refresh_connection(
        self, call: Call, request: realtime_pb2.RefreshConnectionRequest
    ) -> realtime_pb2.RefreshConnectionResponse:
        """A new credential, under a new token of the same account and session."""
        if call.connection is None:
            raise FailedPrecondition("NOT_CONNECTED", "Only a frame of a WebSocket connection can do this.")
        claims, _ = await self._sessions.identify(request.token)
        known = _claims(call)
        if (claims.subject, claims.session_id) != (known.subject, known.session_id):
            raise Unauthenticated("TOKEN_INVALID", "The token is of another session. Connect anew with it.")
        call.reply_metadata[CONNECTION_CREDENTIAL] = self._sessions.credentials.issue(claims, call.connection)
        return realtime_pb2.RefreshConnectionResponse(expire_time=to_timestamp(from_unix(claims.expires_at)))

    async def pong(self, call: Call, request: realtime_pb2.PongRequest) -> realtime_pb2.PongResponse:
        """A sign of life; that the session still stands was checked on the way here."""
        return realtime_pb2.PongResponse(server_time=to_timestamp(call.now))

    async def watch_presence(self, call: Call, request: realtime_pb2.WatchPresenceRequest) -> realtime_pb2.WatchPresenceResponse:
        """How friends stand; changes are pushed from now on, to the connection that asked."""
        me = call.user.user_id
        wanted = list(dict.fromkeys(to_bytes(text) for text in request.user_ids))
        friends = set(await self.friends(me, wanted)) if self.friends is not None and wanted else set()
        allowed = [user_id for user_id in wanted if user_id in friends]
        try:
            standings = await self._connections.watch(me, allowed, call.connection)
        except RedisAway as error:
            raise _away() from error
        return realtime_pb2.WatchPresenceResponse(presences=[standings[user_id].message(user_id) for user_id in allowed])

    async def _begin(self, call: Call, request: realtime_pb2.ConnectRequest) -> tuple[Stream, Event]:
        """An open stream and its first event. Raises what keeps somebody out."""
        try:
            async with asyncio.timeout(_OPEN_SECONDS), self._opening:
                claims, caller = await self._identify(request)
                stream, joined = await self._open(caller, claims, request)
        except RedisAway as error:
            raise _away() from error
        assert stream.connection is not None
        first = _connected(call, stream, joined)
        part = realtime_pb2.Connected(
            connection_id=stream.connection.connection_id,
            credential=self._sessions.credentials.issue(claims, stream.connection),
            expire_time=to_timestamp(from_unix(claims.expires_at)),
        )
        first.connected.MergeFrom(part)
        return stream, first

    async def _open(self, caller: Caller, claims: Claims, request: realtime_pb2.ConnectRequest) -> tuple[Stream, Joined]:
        """A stream that is open. A process that is busy with thousands of them may find Redis slow: it tries again, for
        a client that was refused would only come back."""
        resume = request.resume if request.HasField("resume") else None
        for attempt in range(_ATTEMPTS):
            stream = Stream(caller, Connection(to_text(new_id()), request.device_id, request.tab_id))
            try:
                return stream, await self._connections.open(stream, claims, resume)
            except RedisAway:
                self._connections.close(stream)
                if attempt == _ATTEMPTS - 1:
                    raise
                await asyncio.sleep(random.uniform(0.5, 1.0))
            except BaseException:
                self._connections.close(stream)
                raise
        raise AssertionError  # the last attempt has raised

    async def _identify(self, request: realtime_pb2.ConnectRequest) -> tuple[Claims, Caller]:
        if request.WhichOneof("credentials") == "token":
            claims, caller = await self._sessions.identify(request.token)
        else:
            value = await self._redis.getdel(_ticket_key(request.ticket))
            if value is None:
                raise Unauthenticated("TICKET_INVALID", "The ticket was used, or has expired. Get another one.")
            subject, session_id, expires_at = orjson.loads(value)
            claims, caller = await self._sessions.identify_claims(
                Claims(subject, session_id, expires_at, identity_pb2.ROLE_UNSPECIFIED)
            )
        if caller is None:
            raise NotAllowed("ACCOUNT_MISSING", "There is no account for this token yet: POST /auth/sync-user first.")
        if caller.status != identity_pb2.USER_STATUS_ACTIVE:
            raise NotAllowed("ACCOUNT_SUSPENDED", "This account is suspended. Ask an administrator.")
        return claims, caller


def _claims(call: Call) -> Claims:
    if call.claims is None:
        raise Unauthenticated("TOKEN_MISSING", "Sign in: send `Authorization: Bearer <token>`.")
    return call.claims


def _ticket_key(ticket: str) -> str:
    return keys.ticket(hashlib.sha256(ticket.encode()).hexdigest())


def _away() -> Unavailable:
    return Unavailable("UNAVAILABLE", "Realtime is not available right now. Try again.")


def _connected(call: Call, stream: Stream, joined: Joined) -> Event:
    connected = realtime_pb2.Connected(
        user_id=to_text(stream.caller.user_id), epoch=joined.epoch, offset=joined.offset, recovered=joined.recovered,
        replay=joined.replay, heartbeat_seconds=HEARTBEAT_SECONDS, limits=LIMITS, server_time=to_timestamp(call.now),
    )  # fmt: skip
    return Event(topic="connected", connected=connected)
