"""One way to call any RPC through any door, so that the same cases run through all of them.

The REST door is driven by the reference JSON mapping (`json_format`), not by our codec.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import quote, urlencode

import aiohttp
import grpc
from google.api.httpbody_pb2 import HttpBody
from google.protobuf import json_format
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from contract.methods import Method, load_methods
from tests.support.documented import check_documented

METHODS = {method.name: method for method in load_methods()}


@dataclass
class Outcome:
    """What came back: a message, or the error's code name, reason and violated fields; and headers or metadata."""

    message: Any = None
    code: str = "OK"
    reason: str = ""
    detail: str = ""
    fields: list[str] = field(default_factory=list)
    status: int = 0
    metadata: dict[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return self.code == "OK"


class Door(Protocol):
    """Calls an RPC by name."""

    async def call(self, name: str, request: Message, token: str = "", **metadata: str) -> Outcome: ...


class GrpcDoor:
    """Straight to the core."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel

    async def call(self, name: str, request: Message, token: str = "", **metadata: str) -> Outcome:
        method = METHODS[name]
        make = self._channel.unary_stream if method.server_streaming else self._channel.unary_unary
        stub = make(
            method.path, request_serializer=type(request).SerializeToString, response_deserializer=method.reply_type.FromString
        )
        sent = [(key.replace("_", "-"), value) for key, value in metadata.items()]
        if token:
            sent.append(("authorization", f"Bearer {token}"))
        call: Any = stub(request, metadata=sent, timeout=20)
        try:
            if method.lasting:
                message = await _first(call)
            else:
                message = await _whole(call) if method.server_streaming else await call
        except grpc.aio.AioRpcError as error:
            return _grpc_failure(error)
        head_and_trailer = (*await call.initial_metadata(), *await call.trailing_metadata())
        return Outcome(message, metadata={str(key): str(value) for key, value in head_and_trailer})


async def _first(call: Any) -> Message:
    """The first message of a stream that has no end."""
    message: Message = await call.read()
    call.cancel()
    return message


async def _whole(call: Any) -> Any:
    """The pieces of a streamed body as one, or the last event of a stream."""
    pieces = [piece async for piece in call]
    if pieces and not isinstance(pieces[0], HttpBody):
        return pieces[-1]
    return HttpBody(content_type=pieces[0].content_type if pieces else "", data=b"".join(piece.data for piece in pieces))


def _grpc_failure(error: grpc.aio.AioRpcError) -> Outcome:
    trailing = dict(error.trailing_metadata() or ())
    outcome = Outcome(code=error.code().name, detail=error.details() or "")
    outcome.metadata = {key: value for key, value in trailing.items() if isinstance(value, str)}
    raw = trailing.get("grpc-status-details-bin")
    if raw is None:
        return outcome
    for detail in status_pb2.Status.FromString(raw).details:
        info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        if detail.Unpack(info):
            outcome.reason = info.reason
        elif detail.Unpack(bad):
            outcome.fields = [item.field for item in bad.field_violations]
    return outcome


class RestDoor:
    """Through a gateway, at the method's first route; fails for an answer that is not documented."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    async def call(self, name: str, request: Message, token: str = "", **metadata: str) -> Outcome:
        method = METHODS[name]
        verb, path, body, content_type = rest_request(method, request)
        headers = {key.replace("_", "-"): value for key, value in metadata.items()}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if body is not None:
            headers["Content-Type"] = content_type
        if method.produces:
            headers["Accept"] = method.produces
        async with self._session.request(verb, self._url + path, data=body, headers=headers) as response:
            raw = await response.read()
            check_documented(method, response.status, response.content_type, raw)
            return _rest_outcome(method, response, raw)


def rest_request(method: Method, request: Message) -> tuple[str, str, bytes | None, str]:
    """Verb, path with query, body and content type of a call."""
    route = method.routes[0]
    if isinstance(request, HttpBody):
        return route.verb, route.template, request.data, request.content_type or "application/octet-stream"
    fields: dict[str, Any] = json_format.MessageToDict(request)

    def fill(match: re.Match[str]) -> str:
        name = request.DESCRIPTOR.fields_by_name[match[1]]
        fields.pop(name.json_name, None)
        return quote(str(getattr(request, match[1])), safe="") or "%20"

    path = re.sub(r"\{(\w+)\}", fill, route.template)
    if route.body == "*":
        return route.verb, path, json.dumps(fields).encode(), "application/json"
    shown = {key: str(value).lower() if isinstance(value, bool) else value for key, value in fields.items()}
    query = urlencode(shown, doseq=True)
    return route.verb, f"{path}?{query}" if query else path, None, ""


def last_event(raw: bytes) -> str:
    """The data of the last message of server-sent events that ended well."""
    *events, end, rest = raw.decode().split("\n\n")
    assert (end, rest) == ("event: end\ndata: {}", ""), raw
    return events[-1].removeprefix("data: ")


def _rest_outcome(method: Method, response: aiohttp.ClientResponse, raw: bytes) -> Outcome:
    outcome = Outcome(status=response.status, metadata={key.lower(): value for key, value in response.headers.items()})
    if response.status >= 400:
        problem = json.loads(raw)
        assert response.content_type == "application/problem+json"
        assert problem["status"] == response.status
        outcome.code, outcome.reason, outcome.detail = problem["code"], problem["reason"], problem["detail"]
        outcome.fields = [item["field"] for item in problem.get("violations", [])]
        assert outcome.code in code_pb2.Code.DESCRIPTOR.values_by_name
        return outcome
    message = method.reply_type()
    if isinstance(message, HttpBody):
        message.data, message.content_type = raw, response.headers.get("Content-Type", "")
    elif response.content_type == "text/event-stream":
        json_format.Parse(last_event(raw), message)
    elif raw:
        json_format.Parse(raw.decode(), message)
    outcome.message = message
    return outcome
