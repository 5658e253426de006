"""Who a verified token belongs to: the account and whether the session still stands.

Looked up in this process, then in Redis, then in MySQL. After a change Redis gets a note, under the change's version,
that MySQL must be asked, so that a slow reader cannot put an older copy back; then the invalidation stream drops the
processes' copies. The note holds no state of its own: it does no harm if the change was lost with its commit.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from time import monotonic
from typing import Any, NamedTuple

import orjson

from core.call import Caller, Claims, Connection
from core.db import Database
from core.errors import Unauthenticated
from core.identity import queries
from core.identity.connections import Credentials
from core.identity.queries import UserRow
from core.identity.tokens import TokenVerifier
from core.redis import Invalidations, LocalCache, Redis, RedisAway, keys
from core.times import to_unix
from skillforge.v1 import identity_pb2
from skillforge.v1.identity_pb2 import Role, UserStatus

log = logging.getLogger("skillforge.identity")

LOCAL_SECONDS = 30.0
_RETRY_PAUSE_SECONDS = 0.25
_MAX_LATE = 10_000
_ASK_MYSQL = b""
_LIVE, _REVOKED = b"live", b"revoked"

# (user id, role, status, display name)
_Account = tuple[bytes, Role.ValueType, UserStatus.ValueType, str]


class _Late(NamedTuple):
    """A change that Redis has yet to hear of, until every older copy there has expired."""

    cache: LocalCache[str, Any]
    name: str
    version: int
    until: float


class Sessions:
    """The authenticator of the pipeline (`core.rpc.dispatcher.Authenticator`)."""

    def __init__(
        self, db: Database, redis: Redis, invalidations: Invalidations, verifier: TokenVerifier, credentials: Credentials
    ) -> None:
        self._db = db
        self._redis = redis
        self._verifier = verifier
        self.credentials = credentials
        self._accounts: LocalCache[str, _Account] = invalidations.cache("accounts", 20_000, LOCAL_SECONDS)
        self._live: LocalCache[str, bool] = invalidations.cache("sessions", 20_000, LOCAL_SECONDS)
        self._set_if_newer = redis.script("set_if_newer")
        # What Redis could not be told yet, by key.
        self._late: dict[str, _Late] = {}
        self._telling: asyncio.Task[None] | None = None

    def recall(self, token: str) -> tuple[Claims, Caller] | None:
        """The answer when token, account and session are all known in this process."""
        claims = self._verifier.recall(token)
        return self.recall_claims(claims) if claims is not None else None

    def recall_claims(self, claims: Claims) -> tuple[Claims, Caller] | None:
        """The answer for verified claims when account and session are known in this process."""
        if self._live.get(claims.session_id) is None:
            return None
        account = self._accounts.get(claims.subject)
        caller = _caller(account, claims) if account is not None else None
        return (claims, caller) if caller is not None else None

    async def identify(self, token: str) -> tuple[Claims, Caller | None]:
        """Verify the token and find its account. Raises Unauthenticated (also SESSION_REVOKED) or Unavailable."""
        return await self.identify_claims(self._verifier.recall(token) or await self._verifier.verify(token))

    async def identify_claims(self, claims: Claims) -> tuple[Claims, Caller | None]:
        """`identify` for claims that were verified before."""
        await self._require_live(claims.session_id)
        account = await self._account(claims.subject)
        return claims, _caller(account, claims) if account is not None else None

    def connection(self, credential: str) -> tuple[Claims, Connection]:
        """Whose frame a connection's credential lets through. Raises Unauthenticated."""
        return self.credentials.read(credential)

    def on_doubt(self, account: Callable[[str | None], None], session: Callable[[str | None], None]) -> None:
        """Have functions told of the Clerk id of every account, and of every session, that may have changed; None: of
        any of them. Whoever keeps a caller for longer than a call asks `fallen` then."""
        self._accounts.on_forget = lambda key: account(str(key) if key is not None else None)
        self._live.on_forget = lambda key: session(str(key) if key is not None else None)

    async def fallen(self, callers: Sequence[Caller]) -> list[Caller]:
        """Of the callers, those who may not go on as they are: the session was revoked, the account suspended or deleted,
        or its role is another. Asks MySQL."""
        standings = await queries.standings(self._db, [caller.clerk_id for caller in callers])
        revoked = await queries.sessions_revoked(self._db, [caller.session_id for caller in callers])
        return [
            caller
            for caller in callers
            if caller.session_id in revoked or standings.get(caller.clerk_id) != (caller.role, identity_pb2.USER_STATUS_ACTIVE)
        ]

    async def changed(self, row: UserRow) -> None:
        """Make a committed change of an account seen everywhere."""
        await self._announce(self._accounts, row.clerk_id, keys.account(row.clerk_id), _version(row))

    async def revoked(self, session_id: str) -> None:
        """Make a committed sign-out seen everywhere."""
        await self._announce(self._live, session_id, keys.session(session_id), 1)

    async def close(self) -> None:
        """Stop telling Redis of changes it could not take."""
        if self._telling is not None:
            self._telling.cancel()
            await asyncio.gather(self._telling, return_exceptions=True)

    async def _require_live(self, session_id: str) -> None:
        if self._live.get(session_id):
            return
        fill = self._live.begin(session_id)
        key = keys.session(session_id)
        state = await self._get(key)
        if state not in (_LIVE, _REVOKED):
            revoked = await queries.session_revoked(self._db, session_id)
            state = _REVOKED if revoked else _LIVE
            await self._put(key, int(revoked), state)
        if state == _REVOKED:
            raise Unauthenticated("SESSION_REVOKED", "This session was signed out. Sign in again.")
        self._live.put_if(fill, True)

    async def _account(self, clerk_id: str) -> _Account | None:
        known = self._accounts.get(clerk_id)
        if known is not None:
            return known
        fill = self._accounts.begin(clerk_id)
        key = keys.account(clerk_id)
        account = _load(await self._get(key))
        if account is None:
            row = await queries.user_by_clerk_id(self._db, clerk_id)
            if row is None:
                return None
            account = (row.id, row.role, row.status, row.display_name)
            await self._put(key, _version(row), _dump(account))
        self._accounts.put_if(fill, account)
        return account

    async def _announce(self, cache: LocalCache[str, Any], name: str, key: str, version: int) -> None:
        """Redis first: whoever hears of the drop reads there next."""
        cache.forget(name)
        if not await self._put(key, version, _ASK_MYSQL):
            self._announce_later(key, _Late(cache, name, version, monotonic() + keys.SESSION_TTL_MS / 1000))
        await cache.drop(name)

    def _announce_later(self, key: str, late: _Late) -> None:
        if len(self._late) >= _MAX_LATE:
            log.warning("too many changes wait for Redis; one account or session may be seen as it was for a minute")
            return
        self._late[key] = late
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell_late())

    async def _tell_late(self) -> None:
        """Tell Redis what it could not take, for as long as an older copy may live there. Whoever has read that copy
        meanwhile drops it again."""
        while self._late:
            key, late = next(iter(self._late.items()))
            if monotonic() < late.until and not await self._put(key, late.version, _ASK_MYSQL):
                await asyncio.sleep(_RETRY_PAUSE_SECONDS)
                continue
            if self._late.get(key) is late:
                del self._late[key]
            await late.cache.drop(late.name)

    async def _get(self, key: str) -> bytes | None:
        try:
            value = await self._redis.get(key)
        except RedisAway:
            return None
        return value.partition(b"|")[2] if value is not None else None

    async def _put(self, key: str, version: int, value: bytes) -> bool:
        """Write unless something newer stands there; False when Redis is away."""
        with suppress(RedisAway):
            await self._set_if_newer([key], [version, value, keys.SESSION_TTL_MS])
            return True
        return False


def _caller(account: _Account, claims: Claims) -> Caller | None:
    """The account as a caller; None while it has no role: Clerk told of it, but its first login is still to come."""
    user_id, role, status, display_name = account
    if role == identity_pb2.ROLE_UNSPECIFIED and status == identity_pb2.USER_STATUS_ACTIVE:
        return None
    return Caller(user_id, role, status, display_name, claims.subject, claims.session_id)


def _version(row: UserRow) -> int:
    return round(to_unix(row.update_time) * 1_000_000)


def _dump(account: _Account) -> bytes:
    user_id, role, status, display_name = account
    return orjson.dumps([user_id.hex(), role, status, display_name])


def _load(raw: bytes | None) -> _Account | None:
    """The account in a copy; None where MySQL must be asked."""
    if not raw:
        return None
    try:
        user_id, role, status, display_name = orjson.loads(raw)
        return bytes.fromhex(user_id), role, status, str(display_name)
    except (ValueError, TypeError):
        return None
