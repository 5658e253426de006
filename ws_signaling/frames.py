"""Frames: JSON texts to RPCs, and replies and events to frames that are ready for the wire.

request `{"id": 7, "t": "chat.send", "d": {...}}`; reply `{"id": 7, "d": {...}}` or `{"id": 7, "err": {...}}`;
push `{"t": "chat.message", "o": 42, "id": "...", "d": {...}}`.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, NamedTuple

import orjson
from google.protobuf.message import Message

from contract.errors import CallError
from contract.methods import Method, load_methods
from http_gateway.descriptors import descriptor_of
from http_gateway.json_codec import Encode, JsonCodec, JsonDecoder
from skillforge.v1.realtime_pb2 import Connected, Event

CONNECT = "connect"
MAX_ID_LENGTH = 64
_MAX_ID = 2**53
# Events whose frames are kept, so that the sockets of a user share one.
_SHARED_EVENTS = 512
# Events that may be left out when a reader is behind: the next one says the same better.
SHEDDABLE = frozenset({"chat_typing", "presence_changed"})

FrameId = int | str | None


class ProtocolError(Exception):
    """What came is no frame."""


class Request(NamedTuple):
    """A frame as it came: its id, its name, its data, and the text for what only the text shows."""

    id: FrameId
    name: str
    data: Any
    text: bytes
    keys: int


class FrameType(NamedTuple):
    """An RPC that a frame carries."""

    method: Method
    decoder: JsonDecoder
    encode: Encode

    def decode(self, request: Request) -> Message:
        """The request message. Raises CallError INVALID_ARGUMENT."""
        return self.decoder.part(request.data, request.text, request.keys)


class Push(NamedTuple):
    """An event's frame, and whether it may be left out."""

    frame: bytes
    sheddable: bool


class Frames:
    """Reads and writes the frames of every socket; made once a process."""

    def __init__(self) -> None:
        methods = [method for method in load_methods() if method.frame]
        types: list[type[Message]] = [Event, *(item for method in methods for item in (method.request_type, method.reply_type))]
        codec = JsonCodec(descriptor_of(item) for item in types)
        self.connect = next(method for method in methods if method.frame == CONNECT)
        self.connect_decoder = codec.decoder(self.connect.request_type)
        self.types = {
            method.frame: FrameType(method, codec.decoder(method.request_type), codec.encoder(method.reply_type))
            for method in methods
            if not method.server_streaming
        }
        self._connected = codec.plain_encoder(Connected)
        fields = Event.DESCRIPTOR.oneofs_by_name["data"].fields
        self._data: dict[str, Encode] = {field.name: codec.encoder(type(getattr(Event(), field.name))) for field in fields}
        # By event id: one that goes to several sockets is encoded once.
        self._pushes: OrderedDict[str, Push] = OrderedDict()

    def push(self, event: Event) -> Push | None:
        """An event's frame; None for one this version does not know."""
        known = self._pushes.get(event.id) if event.id else None
        if known is not None:
            return known
        body = self._push_body(event)
        if body is None:
            return None
        push = Push(text_frame(body), event.WhichOneof("data") in SHEDDABLE)
        if event.id:
            self._pushes[event.id] = push
            if len(self._pushes) > _SHARED_EVENTS:
                self._pushes.popitem(last=False)
        return push

    def connected(self, frame_id: FrameId, connected: Connected) -> bytes:
        """The reply to `connect`: what was missed stands there as it would have been pushed."""
        value = self._connected(connected)
        del value["credential"]
        bodies = [self._push_body(event) for event in connected.replay]
        value["replay"] = [orjson.Fragment(body) for body in bodies if body is not None]
        return text_frame(orjson.dumps({"id": frame_id, "d": value}))

    def _push_body(self, event: Event) -> bytes | None:
        field = event.WhichOneof("data")
        if field is None:
            return None
        head = f'{{"t":"{event.topic}",' + (f'"o":{event.offset},' if event.offset else "")
        head += f'"id":{orjson.dumps(event.id).decode()},"d":' if event.id else '"d":'
        return head.encode() + self._data[field](getattr(event, field)) + b"}"


def read(text: bytes) -> Request:
    """A frame. Raises ProtocolError for what is none."""
    try:
        frame = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise ProtocolError("a frame is a JSON text") from None
    if type(frame) is not dict or type(name := frame.get("t")) is not str or not frame.keys() <= {"id", "t", "d"}:
        raise ProtocolError("a frame is an object with id, t and d")
    frame_id = frame.get("id")
    if not (
        frame_id is None
        or (type(frame_id) is int and 0 <= frame_id < _MAX_ID)
        or (type(frame_id) is str and len(frame_id) <= MAX_ID_LENGTH)
    ):
        raise ProtocolError("an id is a whole number or a short text")
    data = frame.get("d")
    return Request(frame_id, name, {} if data is None else data, text, len(frame))


def reply(frame_id: FrameId, body: bytes) -> bytes:
    """The frame of a reply, whose data is encoded already."""
    return text_frame(b'{"id":' + orjson.dumps(frame_id) + b',"d":' + body + b"}")


def error(frame_id: FrameId, failure: CallError) -> bytes:
    """The frame of a failed call."""
    fields: dict[str, Any] = {"code": failure.code_name, "reason": failure.reason, "detail": failure.detail}
    if failure.retry_after is not None:
        fields["retryAfterMs"] = round(failure.retry_after * 1000)
    if failure.violations:
        fields["violations"] = [item._asdict() for item in failure.violations]
    return text_frame(orjson.dumps({"id": frame_id, "err": fields}))


def text_frame(payload: bytes) -> bytes:
    """A whole, unmasked text message (RFC 6455, 5.2)."""
    length = len(payload)
    if length < 126:
        return bytes((0x81, length)) + payload
    if length < 65_536:
        return b"\x81\x7e" + length.to_bytes(2, "big") + payload
    return b"\x81\x7f" + length.to_bytes(8, "big") + payload


PING = text_frame(b'{"t":"ping","d":{}}')
