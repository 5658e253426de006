"""One handler for each binding of a method: request to message, call, reply to response.

Whatever can be known from the descriptors is worked out once, here in the constructors.
"""

from __future__ import annotations

import asyncio
from hashlib import blake2b
from typing import Any, Protocol

from google.api import httpbody_pb2
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from multidict import istr

from contract.client import CoreClient, Reply
from contract.errors import Violation
from contract.metadata import AUTHORIZATION, HTTP_STATUS
from contract.methods import HttpRoute, Method
from http_gateway.answers import Answer, Response
from http_gateway.descriptors import descriptor_of
from http_gateway.encoded_cache import Encoded, EncodedCache
from http_gateway.incoming import Incoming, Place, check_json_type, content_type_of, metadata_of, read_body, timeout_of
from http_gateway.json_codec import JsonCodec, JsonDecoder
from http_gateway.options import GatewayOptions
from http_gateway.outgoing import JSON, NO_CACHE, NO_STORE, add_metadata, header_lines, matches_none
from http_gateway.path_templates import Template
from http_gateway.problems import bad_request
from http_gateway.query_strings import QueryReader
from http_gateway.ranges import raw_answer
from http_gateway.request_fields import FieldSlot, find_slot
from skillforge.options.v1 import options_pb2

# From this size on, a body that takes the slow decoder is decoded beside the event loop, in bytes.
_SLOW_BODY_BYTES = 16 * 1024
_AUTHORIZATION, _IF_NONE_MATCH = istr(AUTHORIZATION), istr("If-None-Match")
_READS = frozenset({"GET", "HEAD"})
_BODILESS = frozenset({204, 304})


class BindingError(Exception):
    """A method's HTTP binding names fields that are not there or cannot be bound."""


class Handler(Protocol):
    """Answers one request; errors are CallErrors."""

    async def __call__(self, call: Incoming) -> Response: ...


class RequestReader:
    """Makes a binding's request message from body, path and query. Raises CallError for what is wrong with them."""

    def __init__(self, method: Method, route: HttpRoute, template: Template, codec: JsonCodec, options: GatewayOptions) -> None:
        self._type = method.request_type
        self._limit = method.max_body_bytes or options.max_body_bytes
        self._options = options
        self._variables = [(variable, _bound_slot(method, variable.field)) for variable in template.variables]
        self._query = QueryReader(descriptor_of(self._type), route.body, [slot.path for _, slot in self._variables])
        self._body_field, body_type = _body_of(method, route)
        self._raw = body_type is httpbody_pb2.HttpBody
        self._decoder: JsonDecoder | None = codec.decoder(body_type) if body_type is not None and not self._raw else None
        self.has_body = body_type is not None

    async def read(self, call: Incoming) -> Message:
        """The request message; path variables override the body."""
        if not self.has_body:
            return self.read_target(call.place)
        message = await self._read_body(call)
        self._fill(message, call.place)
        return message

    def read_target(self, place: Place) -> Message:
        """The request message of a binding without a body: a copy of what was read of the same target before."""
        known = place.messages.get(self)
        if known is None:
            known = self._type()
            self._fill(known, place)
            place.messages[self] = known
        message = self._type()
        message.CopyFrom(known)
        return message

    def _fill(self, message: Message, place: Place) -> None:
        if self._variables:
            self._bind(message, place.segments)
        if place.query:
            self._query.read(place.query, message)

    async def _read_body(self, call: Incoming) -> Message:
        body = await read_body(call, self._options, self._limit)
        if self._raw:
            part: Message = httpbody_pb2.HttpBody(content_type=content_type_of(call.headers), data=body)
        elif body:
            check_json_type(call.headers)
            part = await self._decode(body)
        else:
            return self._type()
        if not self._body_field:
            return part
        message = self._type()
        getattr(message, self._body_field).CopyFrom(part)
        return message

    async def _decode(self, body: bytes) -> Message:
        assert self._decoder is not None
        message = self._decoder.fast(body)
        if message is not None:
            return message
        if len(body) < _SLOW_BODY_BYTES:
            return self._decoder.exact(body)
        return await asyncio.to_thread(self._decoder.exact, body)

    def _bind(self, message: Message, segments: list[str]) -> None:
        faults: list[Violation] = []
        for variable, slot in self._variables:
            try:
                slot.set(message, variable.read(segments))
            except (ValueError, OverflowError):
                faults.append(slot.violation())
        if faults:
            raise bad_request("The path holds values that cannot be read.", *faults)


def _bound_slot(method: Method, field: str) -> FieldSlot:
    slot = find_slot(descriptor_of(method.request_type), field)
    if slot is None or slot.field.is_repeated or slot.path != field:
        raise BindingError(f"{method.path}: the path binds {field!r}, which is no singular field of the request")
    return slot


def _body_of(method: Method, route: HttpRoute) -> tuple[str, type[Message] | None]:
    """The request field the body fills ("" for the whole request) and the body's type (None: no body)."""
    if route.body in ("", "*"):
        return "", method.request_type if route.body else None
    field = method.request_type.DESCRIPTOR.fields_by_name.get(route.body)
    if field is None or field.type != FieldDescriptor.TYPE_MESSAGE or field.is_repeated:
        raise BindingError(f"{method.path}: the body fills {route.body!r}, which is no message field of the request")
    return route.body, type(getattr(method.request_type(), route.body))


class CallHandler:
    """Serves one binding of a unary method."""

    def __init__(
        self, method: Method, route: HttpRoute, reader: RequestReader, codec: JsonCodec,
        client: CoreClient, options: GatewayOptions, cache: EncodedCache,
    ) -> None:  # fmt: skip
        self.method = method
        self._reader = reader
        self._client = client
        self._options = options
        self._cache = cache
        self._encode = codec.encoder(method.reply_type)
        self._raw = method.reply_type is httpbody_pb2.HttpBody
        etag = method.reply_type.DESCRIPTOR.fields_by_name.get("etag")
        self._has_etag = etag is not None and etag.type == FieldDescriptor.TYPE_STRING
        self._public = route.verb == "GET" and options_pb2.ACCESS_PUBLIC in method.access
        kept = f"public, max-age={method.cache_seconds}" if method.cache_seconds else NO_CACHE
        self._kept, self._unkept = header_lines(JSON, kept), header_lines(JSON, NO_STORE)
        self._kept_bare, self._unkept_bare = header_lines("", kept), header_lines("", NO_STORE)

    async def __call__(self, call: Incoming) -> Response:
        return self.respond(call, await self.invoke(call))

    async def invoke(self, call: Incoming) -> Reply:
        """Make the call; raises CallError."""
        reader, options = self._reader, self._options
        request = await reader.read(call) if reader.has_body else reader.read_target(call.place)
        timeout = timeout_of(call.headers, options.default_timeout_seconds)
        return await self._client.call(self.method, request, metadata_of(call, options.trusted_proxy_hops), timeout)

    def respond(self, call: Incoming, reply: Reply) -> Answer:
        """The answer for a reply."""
        keep = self._public and _AUTHORIZATION not in call.headers
        metadata = reply.metadata
        status = int(metadata[HTTP_STATUS]) if HTTP_STATUS in metadata else self.method.success_status
        body, tag = (b"", "") if self._raw or status == 204 else self._encoded(reply)
        if tag and _IF_NONE_MATCH in call.headers and call.request.method in _READS:
            status = 304 if matches_none(call.headers[_IF_NONE_MATCH], tag) else status
        if status in _BODILESS:
            answer = Answer(status, self._kept_bare if keep else self._unkept_bare)
        elif self._raw:
            answer = raw_answer(call, status, self._kept_bare if keep else self._unkept_bare, reply, self._data(reply))
        else:
            answer = Answer(status, self._kept if keep else self._unkept, body)
        answer.add("X-Request-Id", call.request_id)
        if tag:
            answer.add("ETag", tag)
        if metadata:
            add_metadata(answer, metadata)
        return answer

    def _data(self, reply: Reply) -> bytes:
        """The bytes of a reply that is bytes; reading them from a message copies them."""
        message: Any = reply.message
        known = self._cache.get(message) if reply.shared else None
        if known is not None:
            return known.body
        data: bytes = message.data
        if reply.shared:
            self._cache.put(message, Encoded(data, ""))
        return data

    def _encoded(self, reply: Reply) -> Encoded:
        known = self._cache.get(reply.message) if reply.shared else None
        if known is not None:
            return known
        body = self._encode(reply.message)
        encoded = Encoded(body, self._tag(reply.message, body))
        if reply.shared:
            self._cache.put(reply.message, encoded)
        return encoded

    def _tag(self, message: Any, body: bytes) -> str:
        """The entity tag: the resource's own etag, which If-Match checks, and a digest of all that is shown (counts and
        parts of other resources change without it), so that If-None-Match never hides a difference."""
        if not self._has_etag or not message.etag:
            return ""
        return f'"{message.etag}.{blake2b(body, digest_size=6).hexdigest()}"'
