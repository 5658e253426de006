"""The load of `benchmarks.chat`: messages sent when they are due, whatever became of those before, over many sockets.

Sender and recipient are in one process and on one clock. A message's delay counts from the moment it was due. Frames are
written and read by hand (RFC 6455), without a task or a queue a socket, so that the generator is not what is measured.
"""

from __future__ import annotations

import asyncio
import base64
import os
import random
import re
from collections.abc import Callable, Sequence
from time import monotonic, process_time
from typing import NamedTuple

CONNECT_SECONDS = 60.0
TICK_SECONDS = 0.001
# How long after the last message the rest may take to arrive.
SETTLE_SECONDS = 3.0
_AT_ONCE = 32
_MARK = re.compile(rb"@(\d+)-(\d+)@")
_MASKED = 0x80
_ZERO_MASK = bytes(4)
_CLOSE = 0x88


class Protocol(NamedTuple):
    """What a side says on the wire: the path to connect at for a token; the first frame, if any, for a token; the beginning
    of the frame that says the socket is ready; a message from its own id, the recipient and the body; and the beginning of
    the frame that answers it."""

    path: Callable[[str], str]
    hello: Callable[[str], str] | None
    ready: bytes
    message: Callable[[str, str, str], str]
    answer: bytes


class Outcome(NamedTuple):
    """Of one run: messages a second, delays in milliseconds, how many were lost, delivered twice or refused, how late the
    generator was at worst of 99 % (ms), and its share of a core."""

    rate: float
    p50: float
    p99: float
    lost: int
    doubled: int
    refused: int
    late: float
    busy: float


class Person(NamedTuple):
    """A user: the gateway it is connected to, its token, and the ids of those it writes to, in turn."""

    port: int
    token: str
    friends: Sequence[str]


class Wire(asyncio.Protocol):
    """A client's end of a socket; `heard` gets every text frame."""

    def __init__(self, number: int, port: int, protocol: Protocol, heard: Callable[[Wire, bytes], None]) -> None:
        self.number = number
        self._port = port
        self._protocol = protocol
        self._heard = heard
        self._data = b""
        self._upgraded = False
        self._transport: asyncio.Transport | None = None
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def open(self, token: str) -> None:
        """Connect and be known."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(CONNECT_SECONDS):
            transport, _ = await loop.create_connection(lambda: self, "127.0.0.1", self._port)
            self._transport = transport
            key = base64.b64encode(os.urandom(16)).decode()
            transport.write(
                f"GET {self._protocol.path(token)} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nUpgrade: websocket\r\n"
                f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
            )
            if self._protocol.hello is not None:
                self.send(self._protocol.hello(token))
            await self.ready

    def send(self, text: str) -> None:
        """Write a text frame; its mask is zero, so that it is sent as it is."""
        assert self._transport is not None
        payload = text.encode()
        length = len(payload)
        size = bytes((_MASKED | length,)) if length < 126 else bytes((_MASKED | 126,)) + length.to_bytes(2, "big")
        self._transport.write(b"\x81" + size + _ZERO_MASK + payload)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        data = self._data + data if self._data else data
        at = 0
        if not self._upgraded:
            at = data.find(b"\r\n\r\n") + 4
            if at < 4:
                self._data = data
                return
            self._upgraded = True
        while len(data) - at >= 2:
            begin, length = at + 2, data[at + 1]
            if length >= 126:
                begin += 2 if length == 126 else 8
                if len(data) < begin:
                    break
                length = int.from_bytes(data[at + 2 : begin], "big")
            if len(data) < begin + length:
                break
            self._take(data[at], data[begin : begin + length])
            at = begin + length
        self._data = data[at:]

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        if not self.ready.done():
            self.ready.set_exception(ConnectionError("a socket was closed before it was ready"))

    def _take(self, kind: int, payload: bytes) -> None:
        if kind == _CLOSE:
            raise ConnectionError(f"a socket was closed: {payload!r}")
        if payload.startswith(self._protocol.ready) and not self.ready.done():
            self.ready.set_result(None)
        elif payload.startswith(b'{"t":"ping"'):
            self.send('{"t":"pong","d":{}}')
        else:
            self._heard(self, payload)


class Crowd:
    """The sockets of all users of one side, and what they heard."""

    def __init__(self, protocol: Protocol, people: Sequence[Person]) -> None:
        self._protocol = protocol
        self._people = people
        self._wires = [Wire(number, person.port, protocol, self._heard) for number, person in enumerate(people)]
        self._runs = 0
        self._begin_run(0, 1.0)

    async def open(self) -> None:
        """Connect everybody."""
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(wire: Wire, person: Person) -> None:
            async with gate:
                await wire.open(person.token)

        await asyncio.gather(*(one(wire, person) for wire, person in zip(self._wires, self._people, strict=True)))

    def close(self) -> None:
        for wire in self._wires:
            wire.close()

    async def run(self, rate: float, seconds: float) -> Outcome:
        """Send so many messages a second for so long; the first fifth warms up and is not timed."""
        count = int(rate * seconds)
        self._begin_run(count, rate)
        used, late = process_time(), []
        self._start = began = monotonic()
        order = random.Random(self._runs).sample(range(len(self._people)), len(self._people))
        sent = 0
        while sent < count:
            due = min(count, int((monotonic() - began) * rate) + 1)
            while sent < due:
                self._send(order[sent % len(order)], sent)
                late.append(monotonic() - began - sent / rate)
                sent += 1
            await asyncio.sleep(TICK_SECONDS)
        busy = (process_time() - used) / (monotonic() - began)
        deadline = monotonic() + SETTLE_SECONDS
        while min(self._delivered, self._sent) < count and monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        delays = sorted(self._delays) or [SETTLE_SECONDS]
        lost = count - self._refused - min(self._delivered, self._sent)
        return Outcome(
            rate, _percentile(delays, 50) * 1000, _percentile(delays, 99) * 1000, lost, self._doubled, self._refused,
            _percentile(sorted(late), 99) * 1000, busy,
        )  # fmt: skip

    def _begin_run(self, count: int, rate: float) -> None:
        self._runs += 1
        self._rate = rate
        self._start = monotonic()
        self._seen = bytearray(count)
        self._timed_from = count // 5
        self._delays: list[float] = []
        self._delivered = self._sent = self._doubled = self._refused = 0
        # Tells the run's messages from those of the one before, and from those of another process.
        self._name = f"{os.getpid():x}-{self._runs}"

    def _send(self, number: int, index: int) -> None:
        person = self._people[number]
        body = f"@{self._runs}{index:08}-{number}@ Did you see the second lecture already?"
        friend = person.friends[index // len(self._people) % len(person.friends)]
        self._wires[number].send(self._protocol.message(f"{self._name}-{index}", friend, body))

    def _heard(self, wire: Wire, payload: bytes) -> None:
        now = monotonic()
        if payload.startswith(self._protocol.answer):
            if b'"err"' in payload[:40]:
                self._refused += 1
            else:
                self._sent += 1
            return
        found = _MARK.search(payload)
        if found is None or int(found[2]) == wire.number or int(found[1][:-8]) != self._runs:
            return  # no message, the sender's own copy, or one of an earlier run
        index = int(found[1][-8:])
        if self._seen[index]:
            self._doubled += 1
            return
        self._seen[index] = 1
        self._delivered += 1
        if index >= self._timed_from:
            self._delays.append(now - self._start - index / self._rate)


def _percentile(values: Sequence[float], percent: float) -> float:
    return values[min(len(values) - 1, int(len(values) * percent / 100))]
