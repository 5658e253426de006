"""Server-streaming methods as server-sent events.

Each message is one event with its JSON as data; an `end` event closes a complete stream, an `error` event with a
problem object one that broke. An error before the first message is an ordinary problem response.
Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator

import orjson
from aiohttp import web
from google.protobuf.message import Message

from contract.client import CoreClient
from contract.errors import CallError
from contract.methods import Method
from http_gateway.answers import Response
from http_gateway.cors import Cors
from http_gateway.handlers import RequestReader
from http_gateway.incoming import Incoming, metadata_of, timeout_of
from http_gateway.json_codec import JsonCodec
from http_gateway.options import GatewayOptions
from http_gateway.outgoing import NO_STORE, shared_headers
from http_gateway.problems import problem_fields, status_of, unexpected

EVENT_STREAM = "text/event-stream"


class StreamHandler:
    """Serves one binding of a server-streaming method."""

    def __init__(
        self, method: Method, reader: RequestReader, codec: JsonCodec, client: CoreClient, options: GatewayOptions, cors: Cors
    ) -> None:
        self.method = method
        self._reader = reader
        self._client = client
        self._options = options
        self._cors = cors
        self._encode = codec.encoder(method.reply_type)
        # X-Accel-Buffering: reverse proxies pass events on at once.
        self._headers = {**shared_headers(NO_STORE), "Content-Type": EVENT_STREAM, "X-Accel-Buffering": "no"}

    async def __call__(self, call: Incoming) -> Response:
        options = self._options
        message = await self._reader.read(call)
        timeout = timeout_of(call.headers, options.default_timeout_seconds)
        stream = self._client.stream(self.method, message, metadata_of(call, options.trusted_proxy_hops), timeout)
        try:
            first = await anext(stream, None)
            response = web.StreamResponse(headers={**self._headers, "X-Request-Id": call.request_id})
            response.headers.extend(self._cors.lines(call.headers))
            await response.prepare(call.request)
            if call.request.method != "HEAD":
                await self._send(response, first, stream, call.request_id)
            await response.write_eof()
        finally:
            if isinstance(stream, AsyncGenerator):  # what the client did not wait for is given up
                await stream.aclose()
        return response

    async def _send(
        self, response: web.StreamResponse, first: Message | None, rest: AsyncIterator[Message], request_id: str
    ) -> None:
        try:
            if first is not None:
                await response.write(b"data: " + self._encode(first) + b"\n\n")
            async for message in rest:
                await response.write(b"data: " + self._encode(message) + b"\n\n")
            await response.write(b"event: end\ndata: {}\n\n")
        except ConnectionError:
            raise
        except Exception as error:
            failure = error if isinstance(error, CallError) else unexpected(request_id, self.method.path, error)
            fields = problem_fields(failure, request_id, status_of(failure))
            await response.write(b"event: error\ndata: " + orjson.dumps(fields) + b"\n\n")
