"""What a request says beside its route: id, client address, metadata, time allowed and body."""

from __future__ import annotations

import asyncio
import ipaddress
import random
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from aiohttp import HttpVersion11, web
from google.protobuf.message import Message
from multidict import CIMultiDictProxy, istr

from contract.metadata import CLIENT_IP, FORWARDED, REQUEST_ID
from http_gateway.options import GatewayOptions
from http_gateway.problems import bad_request, body_timeout, body_too_large, unsupported_media_type

_SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_GRPC_TIMEOUT = re.compile(r"([0-9]{1,8})([HMSmun])")
_GRPC_UNITS = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}
_JSON_TYPES = frozenset({"application/json", "application/json; charset=utf-8", "application/json;charset=utf-8"})
_X_REQUEST_ID, _X_FORWARDED_FOR = istr("X-Request-Id"), istr("X-Forwarded-For")
_X_REQUEST_TIMEOUT, _X_GRPC_TIMEOUT = istr("X-Request-Timeout"), istr("grpc-timeout")
_CONTENT_LENGTH, _CONTENT_TYPE = istr("Content-Length"), istr("Content-Type")
_CONTENT_ENCODING, _EXPECT = istr("Content-Encoding"), istr("Expect")
_FORWARDED = [(istr(name), name) for name in FORWARDED]

Headers = CIMultiDictProxy[str]


class Place:
    """What a request's target says: the raw segments of its path and its raw query. One place serves all requests with
    the same verb and target, so readers keep in `messages` what they made of it; nobody changes these."""

    __slots__ = ("messages", "query", "segments")

    def __init__(self, segments: list[str], query: str) -> None:
        self.segments = segments
        self.query = query
        self.messages: dict[object, Message] = {}


class Incoming(NamedTuple):
    """A request on its way to a method."""

    request: web.BaseRequest
    headers: Headers
    request_id: str
    place: Place


def request_id_of(headers: Headers) -> str:
    """The caller's X-Request-Id if it is sane, else a new one."""
    if _X_REQUEST_ID in headers and _SANE_ID.fullmatch(given := headers[_X_REQUEST_ID]):
        return given
    return f"{random.getrandbits(96):024x}"


def metadata_of(call: Incoming, proxy_hops: int) -> dict[str, str]:
    """The call's metadata: request id, client address, and the headers that are passed on."""
    headers = call.headers
    metadata = {REQUEST_ID: call.request_id}
    address = client_address(call.request, headers, proxy_hops)
    if address:
        metadata[CLIENT_IP] = address
    for header, name in _FORWARDED:
        if header in headers:
            value = headers[header]
            # gRPC metadata is ASCII, and the call shall mean the same without a wire in between.
            metadata[name] = value if value.isascii() else value.encode("ascii", "replace").decode("ascii")
    return metadata


def client_address(request: web.BaseRequest, headers: Headers, proxy_hops: int) -> str:
    """The client's IP address; empty on a unix socket without proxies."""
    if proxy_hops:
        hops = [hop.strip() for value in headers.getall(_X_FORWARDED_FOR, ()) for hop in value.split(",")]
        if len(hops) >= proxy_hops and (address := _address(hops[-proxy_hops])):
            return address
    peer = request.remote or ""
    return peer.removeprefix("::ffff:")


def _address(text: str) -> str:
    """The IP address in an X-Forwarded-For element ("1.2.3.4:80", "[::1]:80"); empty if there is none."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return str(ipaddress.ip_address(text)).removeprefix("::ffff:")
    except ValueError:
        return ""


def timeout_of(headers: Headers, default: float) -> float:
    """Seconds the call may take: the caller's X-Request-Timeout (seconds) or grpc-timeout, at most `default`."""
    if _X_REQUEST_TIMEOUT not in headers and _X_GRPC_TIMEOUT not in headers:
        return default
    seconds, grpc = headers.get(_X_REQUEST_TIMEOUT), headers.get(_X_GRPC_TIMEOUT)
    asked = _grpc_seconds(grpc) if seconds is None and grpc is not None else _seconds(seconds or "")
    if asked is None or asked <= 0:
        raise bad_request("X-Request-Timeout is a number of seconds above 0, grpc-timeout such as 500m.")
    return min(asked, default)


def _seconds(text: str) -> float | None:
    return float(text) if re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", text, re.ASCII) else None


def _grpc_seconds(text: str) -> float | None:
    found = _GRPC_TIMEOUT.fullmatch(text)
    return int(found.group(1)) * _GRPC_UNITS[found.group(2)] if found else None


async def read_body(call: Incoming, options: GatewayOptions, limit: int) -> bytes:
    """The whole body as sent, up to a limit in bytes. Raises CallError: 413 over that, 415 when it is compressed, 400 when
    it breaks off or is not HTTP, 504 when it is too slow."""
    headers = call.headers
    announced = headers.get(_CONTENT_LENGTH)
    if announced is not None and int(announced) > limit:
        raise body_too_large(limit)
    if headers.get(_CONTENT_ENCODING, "identity").lower() != "identity":
        raise unsupported_media_type("A body is sent without Content-Encoding.")
    content = call.request.content
    try:
        if content.is_eof():  # all of it came with the headers: no waiting
            body = content.read_nowait()
            if len(body) > limit:
                raise body_too_large(limit)
            return body
        async with asyncio.timeout(options.body_timeout_seconds):
            await _continue(call)
            return await _read_chunks(content.readany, limit)
    except TimeoutError:
        raise body_timeout() from None
    except web.RequestPayloadError:
        raise bad_request("The body breaks off or is not sent as HTTP wants it.") from None


async def _read_chunks(read: Callable[[], Awaitable[bytes]], limit: int) -> bytes:
    body = bytearray()
    while chunk := await read():
        body += chunk
        if len(body) > limit:
            raise body_too_large(limit)
    return bytes(body)


async def _continue(call: Incoming) -> None:
    """Tell a client that waits for it to go on (RFC 9110, 10.1.1)."""
    if call.headers.get(_EXPECT, "").lower() == "100-continue" and call.request.version == HttpVersion11:
        writer = call.request.writer
        await writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        writer.output_size = 0  # the answer itself has not begun


def check_json_type(headers: Mapping[str, str]) -> None:
    """Raises CallError 415 unless the body is declared as application/json, in UTF-8 if it names a charset."""
    declared = headers.get(_CONTENT_TYPE, "")
    if declared in _JSON_TYPES:
        return
    kind, *parameters = (part.strip().lower() for part in declared.split(";"))
    charsets = {part.partition("=")[2].strip('"') for part in parameters if part.startswith("charset=")}
    if kind != "application/json" or charsets - {"utf-8", "utf8", "us-ascii"}:
        raise unsupported_media_type("A body is sent as application/json, in UTF-8.")


def content_type_of(headers: Mapping[str, str]) -> str:
    """The declared type of a body that is passed on as it is."""
    return headers.get(_CONTENT_TYPE, "application/octet-stream")
