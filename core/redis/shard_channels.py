"""Sharded pub/sub (SSUBSCRIBE) for many channels: one connection a node, subscribed anew by itself after every break.

Source: https://redis.io/docs/latest/develop/interact/pubsub/#sharded-pubsub. A Cluster's slots may move: a node then
answers MOVED, or ends the subscription by itself, and the channels go to where the slot is now.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterable
from contextlib import suppress
from time import monotonic
from typing import Any

import hiredis

from core.redis import keys
from core.redis.client import Node, Redis, RedisAway
from core.redis.shard_wire import ShardWire, connect

log = logging.getLogger("skillforge.redis")

PING_SECONDS = 1.0
SILENCE_SECONDS = 2.5
# How long a subscription may take to be confirmed.
CONFIRM_SECONDS = 2.0
_MAX_BACKOFF_SECONDS = 1.0
_MAX_CHANNELS_A_COMMAND = 500


class _Channel:
    """A channel somebody wants: who waits for its confirmation, and whether it is confirmed, or was once (`known`)."""

    __slots__ = ("confirmed", "known", "waiting", "wire")

    def __init__(self) -> None:
        self.confirmed = False
        self.known = False
        self.wire: ShardWire | None = None
        self.waiting: list[asyncio.Future[None]] = []


class ShardChannels:
    """`heard(channel, data)` is called for every message; `restored(channels)` when channels are subscribed again after
    a break, during which messages may have been missed. Neither may block."""

    def __init__(self, redis: Redis, heard: Callable[[str, bytes], None], restored: Callable[[list[str]], None]) -> None:
        self._redis = redis
        self._on_message = heard
        self._restored = restored
        self._channels: dict[str, _Channel] = {}
        self._wires: dict[Node, ShardWire] = {}
        # Channels to subscribe, or to take leave of.
        self._due: set[str] = set()
        self._wake = asyncio.Event()
        self._stale = False
        self._failures = 0
        self._keeper: asyncio.Task[None] | None = None
        self._closing = False

    async def start(self) -> None:
        """Begin, in the background; Redis may come later."""
        self._keeper = asyncio.create_task(self._keep(), name="channels")

    async def close(self) -> None:
        """Give everything up."""
        # The Redis client may swallow a cancellation: the loop looks by itself, too.
        self._closing = True
        self._wake.set()
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        for wire in list(self._wires.values()):
            wire.close()

    async def subscribe(self, name: str) -> None:
        """Return when the subscription is confirmed; at once when it is already. Raises RedisAway."""
        channel = self._channels.get(name)
        if channel is None:
            channel = self._channels[name] = _Channel()
            self._ask(name)
        if channel.confirmed:
            return
        confirmed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        channel.waiting.append(confirmed)
        try:
            async with asyncio.timeout(CONFIRM_SECONDS):
                await confirmed
        except TimeoutError:
            raise RedisAway("the subscription is not confirmed") from None
        finally:
            with suppress(ValueError):
                channel.waiting.remove(confirmed)

    def unsubscribe(self, name: str) -> None:
        """Nobody wants the channel any more."""
        channel = self._channels.pop(name, None)
        self._due.discard(name)
        if channel is not None and channel.wire is not None:
            channel.wire.send("SUNSUBSCRIBE", name)

    def _ask(self, name: str) -> None:
        self._due.add(name)
        self._wake.set()

    async def _keep(self) -> None:
        """Subscribe what is due, and watch over the connections."""
        ping_at = 0.0
        while not self._closing:
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, ping_at - monotonic())):
                    await self._wake.wait()
            self._wake.clear()
            try:
                if self._due:
                    await self._subscribe_due()
                if monotonic() >= ping_at:
                    ping_at = monotonic() + PING_SECONDS
                    self._watch()
            except (RedisAway, OSError, TimeoutError) as error:
                self._failed(error)
                await asyncio.sleep(random.uniform(0.5, 1.0) * min(_MAX_BACKOFF_SECONDS, 0.05 * 2 ** min(self._failures, 10)))
                self._wake.set()
            except Exception:
                log.exception("channels could not be subscribed")
                await asyncio.sleep(_MAX_BACKOFF_SECONDS)
                self._wake.set()

    def _failed(self, error: Exception) -> None:
        self._failures += 1
        self._stale = True
        if self._failures == 1:
            log.warning("events are not heard for now: %s", str(error) or type(error).__name__)

    async def _subscribe_due(self) -> None:
        await self._redis.find_nodes(anew=self._stale)
        self._stale = False
        failure: Exception | None = None
        for node, names in self._by_node().items():
            try:
                wire = await self._wire(node)
            except (RedisAway, OSError, TimeoutError) as error:
                failure = error
                continue
            self._send(wire, [name for name in names if name in self._channels])
        if failure is not None:
            raise failure
        if self._failures:
            log.info("events are heard again")
        self._failures = 0

    def _by_node(self) -> dict[Node, list[str]]:
        found: dict[Node, list[str]] = {}
        for name in self._due:
            found.setdefault(self._redis.node_of(name), []).append(name)
        return found

    async def _wire(self, node: Node) -> ShardWire:
        wire = self._wires.get(node)
        if wire is None:
            wire = await connect(node, self._redis.login, self._heard, self._lost)
            self._wires[node] = wire
        return wire

    def _send(self, wire: ShardWire, names: Iterable[str]) -> None:
        """One command for the channels of a slot, as a Cluster wants it."""
        by_tag: dict[str, list[str]] = {}
        for name in names:
            tag = keys.hash_tag(name) if self._redis.is_cluster else ""
            by_tag.setdefault(tag, []).append(name)
            self._channels[name].wire = wire
            self._due.discard(name)
        for group in by_tag.values():
            for start in range(0, len(group), _MAX_CHANNELS_A_COMMAND):
                wire.send("SSUBSCRIBE", *group[start : start + _MAX_CHANNELS_A_COMMAND])

    def _watch(self) -> None:
        """Ask every connection for a sign of life; one that gave none is given up."""
        now = monotonic()
        for wire in list(self._wires.values()):
            if now - wire.heard_at > SILENCE_SECONDS:
                wire.close()
            else:
                wire.send("PING")

    def _heard(self, wire: ShardWire, reply: Any) -> None:
        if isinstance(reply, list) and len(reply) == 3:
            kind, name = reply[0], reply[1].decode()
            if kind == b"smessage":
                self._on_message(name, reply[2])
            elif kind == b"ssubscribe":
                self._confirm(wire, name)
            elif kind == b"sunsubscribe":
                self._ended(wire, name)
        elif isinstance(reply, hiredis.ReplyError):
            # MOVED, or a node that cannot serve: all of its channels are looked up and asked for anew.
            log.debug("a node refused a subscription: %s", reply)
            self._stale = True
            wire.close()

    def _confirm(self, wire: ShardWire, name: str) -> None:
        channel = self._channels.get(name)
        if channel is None or channel.wire is not wire:
            return
        again, channel.confirmed, channel.known = channel.known, True, True
        for waiting in channel.waiting:
            if not waiting.done():
                waiting.set_result(None)
        if again:
            self._restored([name])

    def _ended(self, wire: ShardWire, name: str) -> None:
        """A subscription ended: by our wish, or because the slot has moved."""
        channel = self._channels.get(name)
        if channel is not None and channel.wire is wire and channel.confirmed:
            self._stale = True
            channel.confirmed, channel.wire = False, None
            self._ask(name)

    def _lost(self, wire: ShardWire) -> None:
        for node, known in list(self._wires.items()):
            if known is wire:
                del self._wires[node]
        for name, channel in self._channels.items():
            if channel.wire is wire:
                channel.confirmed, channel.wire = False, None
                self._due.add(name)
        if self._due:
            self._stale = True
        self._wake.set()
