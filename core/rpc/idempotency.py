"""Idempotency keys: the first answer to a (caller, method, key) is kept a day and replayed to repeats.

Source: draft-ietf-httpapi-idempotency-key-header. Errors are not kept: a repeat of a failed call runs again. While Redis
is away calls run without this; the domain's own unique keys hold then.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from hashlib import sha256

import orjson
from google.protobuf.message import Message

from contract.client import Reply
from contract.errors import Violation
from contract.metadata import IDEMPOTENCY_REPLAYED, RATE_LIMIT, RATE_LIMIT_POLICY
from core.errors import AlreadyExists, Conflict, InvalidArgument
from core.redis import Redis, RedisAway, keys

log = logging.getLogger("skillforge.rpc")

MAX_KEY_LENGTH = 255
# Greater answers are not kept.
MAX_REPLY_BYTES = 1 << 20
_RUNNING, _DONE = b"R", b"D"
_DIGEST_BYTES = 32
# What belongs to the first call alone.
_NOT_KEPT = frozenset({RATE_LIMIT, RATE_LIMIT_POLICY})


class IdempotencyStore:
    """Runs a piece of work once per scope and key."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._replace_own = redis.script("replace_own")
        self._releases: set[asyncio.Task[None]] = set()

    async def run(
        self, scope: str, key: str, fingerprint: bytes, work: Callable[[], Awaitable[Reply]], reply_type: type[Message]
    ) -> Reply:
        """The reply of `work`, or of the first call with this scope and key; a replay says so in its metadata.

        `fingerprint` is the request. Raises InvalidArgument (no such key is possible), AlreadyExists (the key was used
        for another request) or Conflict (the first call is still running).
        """
        _check_key(key)
        name = keys.idempotency(scope, key)
        digest = sha256(fingerprint).digest()
        running = _RUNNING + digest + secrets.token_bytes(16)
        try:
            found: bytes | None = await self._redis.run(
                "SET", name, running, "NX", "GET", "PX", keys.IDEMPOTENCY_RUNNING_TTL_MS
            )  # fmt: skip
        except RedisAway:
            return await work()
        if found is not None:
            return _replay(found, digest, reply_type)
        try:
            reply = await work()
        except (Exception, asyncio.CancelledError):
            self._release(name, running)
            raise
        await self._keep(name, running, digest, reply)
        return reply

    async def _keep(self, name: str, running: bytes, digest: bytes, reply: Reply) -> None:
        done = _DONE + digest + _dump(reply)
        if len(done) > MAX_REPLY_BYTES:
            self._release(name, running)
            return
        try:
            await self._replace_own([name], [running, done, keys.IDEMPOTENCY_DONE_TTL_MS])
        except RedisAway:
            log.warning("an answer could not be kept for its idempotency key")

    def _release(self, name: str, running: bytes) -> None:
        """Let a repeat run, in the background: who asked is not to wait for it, and may be cancelled."""

        async def release() -> None:
            try:
                await self._replace_own([name], [running, b"", 0])
            except RedisAway:
                log.debug("an idempotency key has to run out by itself")

        task = asyncio.create_task(release())
        self._releases.add(task)
        task.add_done_callback(self._releases.discard)


def _check_key(key: str) -> None:
    if not (0 < len(key) <= MAX_KEY_LENGTH and key.isascii() and key.isprintable()):
        detail = f"The Idempotency-Key is 1 to {MAX_KEY_LENGTH} printable ASCII characters."
        raise InvalidArgument("INVALID_ARGUMENT", detail, violations=[Violation("Idempotency-Key", "format", detail)])


def _replay(found: bytes, digest: bytes, reply_type: type[Message]) -> Reply:
    state, first, rest = found[:1], found[1 : 1 + _DIGEST_BYTES], found[1 + _DIGEST_BYTES :]
    if first != digest:
        raise AlreadyExists("IDEMPOTENCY_KEY_REUSED", "This Idempotency-Key was used for another request. Take a new key.")
    if state == _RUNNING:
        raise Conflict("IDEMPOTENCY_KEY_IN_USE", "The first call with this Idempotency-Key is still running.", retry_after=1.0)
    return _load(rest, reply_type)


def _dump(reply: Reply) -> bytes:
    metadata = orjson.dumps({name: value for name, value in reply.metadata.items() if name not in _NOT_KEPT})
    return len(metadata).to_bytes(4, "big") + metadata + reply.message.SerializeToString()


def _load(raw: bytes, reply_type: type[Message]) -> Reply:
    end = 4 + int.from_bytes(raw[:4], "big")
    message = reply_type()
    message.ParseFromString(raw[end:])
    return Reply(message, {**orjson.loads(raw[4:end]), IDEMPOTENCY_REPLAYED: "true"})
