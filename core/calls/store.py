"""Calls in Redis: every change is a compare-and-set of the whole call; the rules decide what it changes to.

A call, its pair's lock and the mark of its invite share a slot; each party's busy lock stands in the user's own. A lock
counts only while the call it names is live, so one that was left behind stops nobody.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, NamedTuple

from core.calls import rules
from core.calls.rules import Call, Party
from core.errors import Conflict
from core.ids import new_id
from core.redis import Redis, keys
from core.redis.client import Value

# Each round that fails is one in which somebody else changed the call; nobody does that so often.
_ROUNDS: Final = 50
_CLAIM_MS: Final = 15_000
_NUMBERS: Final = ("media", "start_ms", "due_ms", "changed_ms", "held_ms", "state", "version", "settled", "answer_ms", "reason")

# What becomes of a call, by the time now; the same call: nothing.
Step = Callable[[Call, int], Call]


class Moved(NamedTuple):
    """A call before and after a step."""

    before: Call
    after: Call


class CallStore:
    """Every method may raise RedisAway. `shift_ms` is added to Redis's clock."""

    def __init__(self, redis: Redis, shift_ms: int = 0) -> None:
        self.shift_ms = shift_ms
        self._redis = redis
        self._start = redis.script("call_start")
        self._read = redis.script("call_read")
        self._change = redis.script("call_change")
        self._claim = redis.script("calls_claim")
        self._replace = redis.script("replace_own")

    async def now(self) -> int:
        """The time in milliseconds."""
        seconds, micros = await self._redis.run("TIME")
        return int(seconds) * 1000 + int(micros) // 1000 + self.shift_ms

    async def start(self, caller: Party, callee: Party, media: Any) -> tuple[bool, Call]:
        """A ringing call, looked at from now on; False: the one that stands in its place.

        Raises Conflict when others keep starting and ending calls of the pair meanwhile.
        """
        for _ in range(_ROUNDS):
            now = await self.now()
            call = Call(new_call_id(caller.user_id, callee.user_id), caller, callee, media, now, now + rules.RING_MS, now, now)
            # First, so that a call never stands unwatched.
            await self.schedule(call.call_id, rules.next_check(call, now))
            mark_ttl = keys.CALL_MARK_TTL_MS if caller.client_id else 0
            names = [_pair(call), keys.call(call.call_id), keys.call_mark(_low(call), caller.user_id, caller.client_id)]
            fields: list[Value] = ["revision", 1, *_dump(call)]
            standing = await self._start(names, [call.call_id.hex(), keys.CALL_TTL_MS, mark_ttl, *fields])
            if standing.decode() == call.call_id.hex():
                return True, call
            await self.unschedule(call.call_id)
            found = await self.get(bytes.fromhex(standing.decode()))
            if found is not None:
                return False, found
            for name in (_pair(call), names[2]):  # what it names is gone
                await self._replace([name], [standing, "", 0])
        raise _crowded()

    async def get(self, call_id: bytes) -> Call | None:
        """A call, live or ended lately."""
        _, _, call = await self._load(call_id)
        return call

    async def step(self, call_id: bytes, step: Step) -> Moved | None:
        """Change a call by a rule; None: there is no such call. Raises what the rule raises."""
        for _ in range(_ROUNDS):
            now, revision, before = await self._load(call_id)
            if before is None:
                return None
            after = step(before, now)
            if after == before:
                return Moved(before, after)
            ttl, lock_ttl = (keys.CALL_TTL_MS, keys.CALL_TTL_MS) if after.live else (keys.CALL_ENDED_TTL_MS, 0)
            arguments: list[Value] = [revision, call_id.hex(), ttl, lock_ttl, *_dump(after)]
            if await self._change([keys.call(call_id), _pair(after)], arguments):
                return Moved(before, after)
        raise _crowded()

    async def hold(self, user_id: bytes, call_id: bytes) -> Call | None:
        """Lock a user for a call, or carry the lock on; or the other live call the user is in."""
        name, mine = keys.call_busy(user_id), call_id.hex()
        for _ in range(_ROUNDS):
            if await self._redis.set(name, mine, ttl_ms=keys.CALL_TTL_MS, only_new=True):
                return None
            holder = await self._redis.get(name)
            if holder is None:
                continue
            other = await self.get(bytes.fromhex(holder.decode())) if holder.decode() != mine else None
            if other is not None and other.live:
                return other
            if await self._replace([name], [holder, mine, keys.CALL_TTL_MS]):
                return None
        raise _crowded()

    async def release(self, user_id: bytes, call_id: bytes) -> None:
        """Unlock a user, if it is this call's lock."""
        await self._replace([keys.call_busy(user_id)], [call_id.hex(), "", 0])

    async def current(self, user_id: bytes) -> Call | None:
        """The live call a user is in."""
        holder = await self._redis.get(keys.call_busy(user_id))
        call = await self.get(bytes.fromhex(holder.decode())) if holder is not None else None
        return call if call is not None and call.live else None

    async def claim(self, limit: int) -> list[bytes]:
        """Calls to look at, which nobody else gets for a while."""
        due = await self._claim([keys.CALLS_DUE], [self.shift_ms, _CLAIM_MS, limit])
        return [bytes.fromhex(member.decode()) for member in due]

    async def schedule(self, call_id: bytes, due_ms: int) -> None:
        """Have a call looked at."""
        await self._redis.run("ZADD", keys.CALLS_DUE, due_ms, call_id.hex())

    async def unschedule(self, call_id: bytes) -> None:
        """Have a call looked at no more."""
        await self._redis.run("ZREM", keys.CALLS_DUE, call_id.hex())

    async def _load(self, call_id: bytes) -> tuple[int, bytes, Call | None]:
        """The time, and the call with its revision."""
        now, flat = await self._read([keys.call(call_id)], [])
        fields = dict(zip(flat[::2], flat[1::2], strict=True))
        return now + self.shift_ms, fields.get(b"revision", b""), _parse(call_id, fields) if fields else None


def new_call_id(one: bytes, other: bytes) -> bytes:
    """A new UUIDv7 whose last byte is the pair's partition, by which the call is found."""
    return new_id()[:15] + bytes((keys.call_partition(min(one, other)),))


def _low(call: Call) -> bytes:
    return min(call.caller.user_id, call.callee.user_id)


def _pair(call: Call) -> str:
    return keys.call_pair(_low(call), max(call.caller.user_id, call.callee.user_id))


def _dump(call: Call) -> list[Value]:
    flat: list[Value] = []
    for side, party in (("caller", call.caller), ("callee", call.callee)):
        values: tuple[Value, ...] = (
            party.user_id.hex(), party.name, party.image_url, party.device_id, party.gone_ms, int(party.connected),
            party.client_id,
        )  # fmt: skip
        for name, value in zip(_PARTY, values, strict=True):
            flat += (f"{side}_{name}", value)
    for name in _NUMBERS:
        flat += (name, int(getattr(call, name)))
    return flat


_PARTY: Final = ("id", "name", "image_url", "device", "gone_ms", "connected", "client_id")


def _parse(call_id: bytes, fields: dict[bytes, bytes]) -> Call:
    text = {name.decode(): value.decode() for name, value in fields.items()}

    def party(side: str) -> Party:
        user_id, name, image_url, device, gone, connected, client_id = (text[f"{side}_{part}"] for part in _PARTY)
        return Party(bytes.fromhex(user_id), name, image_url, device, int(gone), connected == "1", client_id)

    numbers: dict[str, Any] = {name: int(text[name]) for name in _NUMBERS}
    return Call(call_id=call_id, caller=party("caller"), callee=party("callee"), **numbers)


def settled(call: Call, version: int) -> Call:
    """The call, when everybody was told of a version."""
    return replace(call, settled=max(call.settled, version))


def _crowded() -> Conflict:
    return Conflict("CONFLICT", "The call is being changed by too many at once. Try again.")
