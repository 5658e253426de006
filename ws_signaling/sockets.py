"""One socket: what came in becomes calls, what happens is sent out, and the clock is kept."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from functools import partial
from typing import Any

from aiohttp import web
from google.protobuf.message import Message
from google.rpc import code_pb2

from contract.client import CoreClient
from contract.errors import CallError
from contract.metadata import AUTHORIZATION, CLIENT_IP, CONNECTION_CREDENTIAL, CONNECTION_SCHEME, REQUEST_ID
from skillforge.v1 import realtime_pb2
from skillforge.v1.realtime_pb2 import Event
from ws_signaling import codes, frames
from ws_signaling.clockwork import Clockwork
from ws_signaling.frames import Frames, FrameType, Request
from ws_signaling.lanes import Lanes
from ws_signaling.options import SignalingOptions
from ws_signaling.outbox import Outbox
from ws_signaling.wheel import Wheel

log = logging.getLogger("skillforge.signaling")

_REVOKED = frozenset({"SESSION_REVOKED", "ACCOUNT_SUSPENDED"})


class Socket:
    """A socket, from the upgrade to its end. Made by the door, which reads from it and turns the wheel."""

    __slots__ = (
        "_calls",
        "_client",
        "_closing",
        "_connecting",
        "_credential",
        "_frames",
        "_ip",
        "_lanes",
        "_look_at",
        "_options",
        "_pump",
        "_request_id",
        "_wheel",
        "_ws",
        "clockwork",
        "outbox",
    )  # fmt: skip

    def __init__(
        self,
        ws: web.WebSocketResponse[Any],
        outbox: Outbox,
        client: CoreClient,
        frame_types: Frames,
        wheel: Wheel,
        options: SignalingOptions,
        request_id: str,
        ip: str,
    ) -> None:
        self._ws = ws
        self._client = client
        self._frames = frame_types
        self._options = options
        self._request_id = request_id
        self._ip = ip
        self._credential = ""
        self._calls = 0
        self._connecting = False
        self._lanes = Lanes(options.in_flight)
        self._pump: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self.outbox = outbox
        self.clockwork = Clockwork(options)
        self._wheel = wheel
        self._look_at = 0.0
        self._look_again(self.clockwork.overdue_at)

    @property
    def ending(self) -> bool:
        """Whether it is being closed."""
        return self._closing is not None

    async def take(self, text: bytes) -> None:
        """A text message came. Returns when the next may be read."""
        if self.ending:
            return
        if not self.clockwork.take_frame():
            self.end(codes.FLOOD, "too many frames")
            return
        try:
            request = frames.read(text)
        except frames.ProtocolError as error:
            self.end(codes.PROTOCOL_ERROR, str(error))
            return
        if request.name == frames.CONNECT:
            self._connect(request)
        elif not self._credential:
            self._refuse(request, code_pb2.FAILED_PRECONDITION, "NOT_CONNECTED", "Send `connect` first, and wait for its reply.")
        elif (kind := self._frames.types.get(request.name)) is None:
            self._refuse(request, code_pb2.UNIMPLEMENTED, "UNKNOWN_METHOD", "There is no such frame.")
        else:
            self._lanes.add(kind.method.service, partial(self._call, kind, request))
            if self._lanes.in_work >= self._options.in_flight:
                await self._lanes.room()

    def end(self, code: int, reason: str) -> None:
        """Close the socket with a code, soon; the first one counts."""
        if self._closing is None:
            if code == codes.TOO_SLOW:
                self.outbox.discard()
            self._closing = asyncio.create_task(self._end(code, reason))

    def gone(self) -> None:
        """The socket is closed, whoever did it: nothing of it goes on but calls that have begun."""
        self._lanes.drop()
        self.outbox.discard()
        if self._pump is not None:
            self._pump.cancel()

    async def ended(self) -> None:
        """Return when the closing handshake is over, if one was begun."""
        if self._closing is not None:
            await asyncio.wait((self._closing,), timeout=self._options.close_seconds * 2)

    def look(self, now: float) -> float | None:
        """What the clock asks for; when to look again."""
        if self.ending or now < self._look_at:
            return None  # another look is planned
        due = self.clockwork.due(now)
        if due.close is not None:
            self.end(*due.close)
            return None
        if due.ping:
            self._send(frames.PING)
        if due.expiring is not None:
            event = Event(topic="auth.expiring")
            event.auth_expiring.expire_time.FromMilliseconds(due.expiring)
            self._push(event)
        self._look_at = due.again
        return due.again

    def _look_again(self, when: float) -> None:
        """Look at a time that is not planned yet."""
        self._look_at = when
        self._wheel.put(self, when)

    def _connect(self, request: Request) -> None:
        if self._connecting:
            self._refuse(request, code_pb2.FAILED_PRECONDITION, "CONFLICT", "This socket is connected already.")
            return
        self._connecting = True
        try:
            message = self._frames.connect_decoder.part(request.data, request.text, request.keys)
        except CallError as error:
            self._refused(request, error)
            return
        self.clockwork.connecting()
        self._pump = asyncio.create_task(self._run(request.id, message))

    async def _run(self, frame_id: frames.FrameId, message: Message) -> None:
        """Connect, and pass events on for as long as there are any."""
        stream = self._client.stream(self._frames.connect, message, self._metadata(), None)
        del message  # the stream may last for hours, and there may be thousands
        try:
            async for event in stream:
                assert isinstance(event, Event)
                if event.HasField("connected"):
                    self._connected(frame_id, event.connected)
                elif event.HasField("closing"):
                    self.end(event.closing.code, event.closing.reason)
                else:
                    self._push(event)
                del event
        except CallError as error:
            if not self._credential:
                self._send(frames.error(frame_id, error))
            self.end(codes.of_refusal(error), error.reason.lower().replace("_", " "))
        except Exception:
            log.exception("a connection's events broke off", extra={"fields": {"request_id": self._request_id}})
            self.end(codes.ERROR, "something went wrong")
        else:
            self.end(codes.ERROR, "the events broke off")

    def _connected(self, frame_id: frames.FrameId, connected: realtime_pb2.Connected) -> None:
        self._credential = connected.credential
        self.clockwork.connected(connected.expire_time.ToMilliseconds(), connected.server_time.ToMilliseconds())
        self._send(self._frames.connected(frame_id, connected))
        self._look_again(self.clockwork.next_notice)

    def _push(self, event: Event) -> None:
        push = self._frames.push(event)
        if push is not None:
            self._send(push.frame, push.sheddable)

    def _send(self, frame: bytes, sheddable: bool = False) -> None:
        """Send a frame; nothing follows a close."""
        if self._closing is None:
            self.outbox.put(frame, sheddable)

    async def _call(self, kind: FrameType, request: Request) -> None:
        """Make the call of a frame and send its reply. Raises nothing."""
        try:
            message = kind.decode(request)
            reply = await self._client.call(kind.method, message, self._metadata(), self._options.call_seconds)
            credential = reply.metadata.get(CONNECTION_CREDENTIAL)
            if credential is not None:
                self._refreshed(credential, reply.message)
            if request.id is not None:
                self._send(frames.reply(request.id, kind.encode(reply.message)))
        except CallError as error:
            self._send(frames.error(request.id, error))
            if error.reason in _REVOKED:
                self.end(codes.REVOKED, error.reason.lower().replace("_", " "))
        except Exception:
            fields = {"request_id": self._request_id}  # those of its frames begin with it
            log.exception("the frame %s could not be answered", request.name, extra={"fields": fields})
            failure = CallError.build(code_pb2.INTERNAL, "INTERNAL", "Something went wrong here.")
            self._send(frames.error(request.id, failure))

    def _refreshed(self, credential: str, message: Message) -> None:
        assert isinstance(message, realtime_pb2.RefreshConnectionResponse)
        self._credential = credential
        self.clockwork.refreshed(message.expire_time.ToMilliseconds())
        self._look_again(self.clockwork.next_notice)

    def _metadata(self) -> dict[str, str]:
        self._calls += 1
        metadata = {REQUEST_ID: f"{self._request_id}-{self._calls}"}
        if self._ip:
            metadata[CLIENT_IP] = self._ip
        if self._credential:
            metadata[AUTHORIZATION] = f"{CONNECTION_SCHEME} {self._credential}"
        return metadata

    def _refuse(self, request: Request, code: int, reason: str, detail: str) -> None:
        self._send(frames.error(request.id, CallError.build(code, reason, detail)))

    def _refused(self, request: Request, error: CallError) -> None:
        self._send(frames.error(request.id, error))
        self.end(codes.of_refusal(error), error.reason.lower().replace("_", " "))

    async def _end(self, code: int, reason: str) -> None:
        try:
            async with asyncio.timeout(self._options.close_seconds):
                await self.outbox.flushed()
        except TimeoutError:
            self.outbox.discard()
        with suppress(ConnectionError, RuntimeError):  # it may be closed already
            await self._ws.close(code=code, message=reason.encode()[:120], drain=False)
        self.outbox.abandon()
