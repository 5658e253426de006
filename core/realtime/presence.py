"""Who is connected, for all processes together.

A user is connected while one of the connections in Redis has not expired, and for some seconds after the last one left.
Each process carries its connections on, and holds a lease; the users of one whose lease ran out are put in order by
whichever process notices first. All times are compared with Redis's own clock.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp

from core.call import Connection
from core.ids import to_text
from core.realtime import codes
from core.realtime.events import PRESENCE
from core.realtime.publisher import Publisher
from core.redis import Redis, keys
from core.redis.client import Value
from skillforge.v1 import realtime_pb2

MAX_WATCHED = 200
MAX_WATCHERS = 1000
# Users in one call of a script.
_AT_ONCE = 100
_PROCESS_USERS_TTL_MS = 86_400_000
_MAX_CLAIMS = 8


@dataclass(frozen=True, slots=True)
class PresenceTimes:
    """In seconds: how long a connection counts without being carried on, and how often that is done; how long a user
    counts after the last connection left; a process's lease, and how often it is carried on; how often watches are."""

    lifetime: float = 60.0
    refresh: float = 25.0
    grace: float = 10.0
    lease: float = 15.0
    beat: float = 5.0
    watch_refresh: float = 300.0


class Standing(NamedTuple):
    """Whether a user is connected, and when an offline one last was, in milliseconds since 1970 (None: unknown)."""

    online: bool
    seen_ms: int | None

    def message(self, user_id: bytes) -> realtime_pb2.Presence:
        """As the contract shows it."""
        presence = realtime_pb2.Presence(user_id=to_text(user_id), online=self.online)
        if not self.online and self.seen_ms is not None:
            presence.last_seen_time.CopyFrom(Timestamp(seconds=self.seen_ms // 1000, nanos=self.seen_ms % 1000 * 1_000_000))
        return presence


class Presence:
    """Reads and writes the presence; every method may raise RedisAway. `PresenceKeeper` calls what must be repeated."""

    def __init__(
        self, redis: Redis, publisher: Publisher, *, sockets_per_user: int = 10, times: PresenceTimes | None = None
    ) -> None:
        self.times = times or PresenceTimes()
        self.process = secrets.token_hex(8)
        self._redis = redis
        self._publisher = publisher
        self._sockets_per_user = sockets_per_user
        self._join = redis.script("presence_join")
        self._leave = redis.script("presence_leave")
        self._settle = redis.script("presence_settle")
        self._refresh = redis.script("presence_refresh")
        self._read = redis.script("presence_read")
        self._beat = redis.script("presence_beat")
        # By `time.monotonic`.
        self._leased_until = 0.0

    async def online(self, user_ids: Iterable[bytes]) -> dict[bytes, bool]:
        """Whether each user is connected, on any device."""
        return {user_id: standing.online for user_id, standing in (await self.standings(user_ids)).items()}

    async def standings(self, user_ids: Iterable[bytes], watcher: bytes | None = None) -> dict[bytes, Standing]:
        """How each user stands; a `watcher` is told of changes from now on, for keys.WATCH_TTL_MS."""
        arguments: list[Value] = [watcher.hex() if watcher is not None else "", keys.WATCH_TTL_MS, MAX_WATCHERS]
        found: dict[bytes, Standing] = {}
        for _, users in _partitions(user_ids):
            answer = await self._read([name for user_id in users for name in _person(user_id)], arguments)
            for number, user_id in enumerate(users):
                online, seen = answer[number * 2 : number * 2 + 2]
                found[user_id] = Standing(bool(online), int(seen) if seen is not None else None)
        return found

    async def connections(self, user_id: bytes) -> list[Connection]:
        """A user's live connections."""
        now = await self._redis.run("TIME")
        low = int(now[0]) * 1000
        members = await self._redis.run("ZRANGEBYSCORE", keys.presence(user_id), low, "+inf")
        parts = [member.decode().split("|") for member in members if member != b"gone"]
        return [Connection(connection_id, device_id, tab_id) for connection_id, device_id, tab_id, _ in parts]

    async def join(self, user_id: bytes, connection: Connection) -> bool | None:
        """Count a connection; the one of the same device and tab is told to close. Whether the user was connected
        already; None when there are too many connections. Without a lease nobody would notice this process's death."""
        if monotonic() >= self._leased_until:
            await self._carry_on(0)
        answer = await self._join(
            [keys.presence(user_id), keys.presence_users(keys.user_tag(user_id), self.process)],
            [connection.connection_id, connection.device_id, connection.tab_id, self.process, _ms(self.times.lifetime),
             self._sockets_per_user, user_id.hex(), _PROCESS_USERS_TTL_MS],
        )  # fmt: skip
        if answer[0] < 0:
            return None
        for older in answer[1:]:
            await self._publisher.send(user_id, "!close", b"%s\n%d\nsuperseded" % (older, codes.SUPERSEDED))
        return bool(answer[0])

    async def leave(self, user_id: bytes, connections: Iterable[Connection]) -> bool:
        """Count connections no more; whether the user has none left."""
        members = [self._member(connection) for connection in connections]
        arguments: list[Value] = [_ms(self.times.grace), keys.SEEN_TTL_MS, *members]
        return bool(await self._leave([keys.presence(user_id), keys.presence_seen(user_id)], arguments))

    async def settle(self, user_ids: Iterable[bytes], process: str = "") -> None:
        """Announce who of the users went offline: of this process after leaving, or of a `process` that is gone."""
        for tag, users in _partitions(user_ids):
            names = [keys.presence_users(tag, process or self.process)]
            names += [name for user_id in users for name in _person(user_id)]
            arguments: list[Value] = [process or self.process, int(bool(process)), keys.SEEN_TTL_MS]
            for number, seen, *watchers in await self._settle(names, [*arguments, *(user_id.hex() for user_id in users)]):
                standing = Standing(False, int(seen) if seen is not None else None)
                await self._tell(users[number - 1], standing, watchers)

    async def announce(self, user_id: bytes) -> None:
        """Tell the watchers that a user is connected."""
        watchers = await self._redis.run("ZRANGE", keys.presence_watchers(user_id), 0, -1)
        await self._tell(user_id, Standing(True, None), watchers)

    async def refresh(self, connections: Mapping[bytes, Sequence[Connection]]) -> None:
        """Carry the connections of this process on, by user."""
        for tag, users in _partitions(connections):
            names = [keys.presence_users(tag, self.process), *(keys.presence(user_id) for user_id in users)]
            arguments: list[Value] = [_ms(self.times.lifetime), _PROCESS_USERS_TTL_MS]
            for user_id in users:
                members = [self._member(connection) for connection in connections[user_id]]
                arguments += (user_id.hex(), len(members), *members)
            await self._refresh(names, arguments)

    async def unwatch(self, first: bytes, second: bytes) -> None:
        """Neither of the two is told of the other any more."""
        for watched, watcher in ((first, second), (second, first)):
            await self._redis.run("ZREM", keys.presence_watchers(watched), watcher.hex())
            await self._publisher.send(watcher, "!unwatch", watched)

    async def beat(self) -> None:
        """Carry this process's lease on, and put in order what processes without one left."""
        for process in await self._carry_on(_MAX_CLAIMS):
            if await self._sweep(process.decode()):
                await self._redis.run("ZREM", keys.PRESENCE_PROCESSES, process)

    async def _carry_on(self, claims: int) -> list[bytes]:
        """Carry the lease on; so many processes at most that are without one, and now this one's to put in order."""
        until = monotonic() + self.times.lease
        dead: list[bytes] = await self._beat([keys.PRESENCE_PROCESSES], [self.process, _ms(self.times.lease), claims])
        self._leased_until = until
        return dead

    async def _sweep(self, process: str) -> bool:
        """Whether nothing is left of a process; what is left is another claim's."""
        clean = True
        names = [keys.presence_users(tag, process) for tag in keys.partition_tags()]
        # Asked at once: most have none, and each by itself would take a round trip.
        held = await asyncio.gather(*(self._redis.run("EXISTS", name) for name in names))
        for name in (name for name, exists in zip(names, held, strict=True) if exists):
            while users := await self._redis.run("SRANDMEMBER", name, _AT_ONCE):
                await self.settle([bytes.fromhex(user.decode()) for user in users], process)
                if await self._redis.run("SISMEMBER", name, users[0]):
                    clean = False
                    break
        return clean

    async def _tell(self, user_id: bytes, standing: Standing, watchers: Iterable[bytes]) -> None:
        whom = [bytes.fromhex(watcher.decode()) for watcher in watchers]
        await self._publisher.push_many(whom, PRESENCE, standing.message(user_id))

    def _member(self, connection: Connection) -> str:
        return f"{connection.connection_id}|{connection.device_id}|{connection.tab_id}|{self.process}"


def _person(user_id: bytes) -> tuple[str, str, str]:
    return keys.presence(user_id), keys.presence_seen(user_id), keys.presence_watchers(user_id)


def _partitions(user_ids: Iterable[bytes]) -> list[tuple[str, list[bytes]]]:
    """Hash tag and users, at most _AT_ONCE together."""
    by_tag: dict[str, list[bytes]] = {}
    for user_id in user_ids:
        by_tag.setdefault(keys.user_tag(user_id), []).append(user_id)
    return [(tag, users[start : start + _AT_ONCE]) for tag, users in by_tag.items() for start in range(0, len(users), _AT_ONCE)]


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
