"""Server-streaming methods as server-sent events.

Each message is one event with its JSON as data; an `end` event closes a complete stream, an `error` event with a
problem object one that broke.
Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import orjson
from aiohttp import web
from google.protobuf.message import Message

from contract.client import CoreClient
from contract.errors import CallError
from contract.methods import Method
from http_gateway.cors import Cors
from http_gateway.handlers import RequestReader
from http_gateway.incoming import Incoming
from http_gateway.json_codec import JsonCodec
from http_gateway.options import GatewayOptions
from http_gateway.problems import problem_fields, status_of, unexpected
from http_gateway.streams import StreamingHandler

EVENT_STREAM = "text/event-stream"


class StreamHandler(StreamingHandler):
    """Serves one binding of a method that streams messages."""

    def __init__(
        self, method: Method, reader: RequestReader, codec: JsonCodec, client: CoreClient, options: GatewayOptions, cors: Cors
    ) -> None:
        seconds = options.default_timeout_seconds
        # X-Accel-Buffering: reverse proxies pass events on at once.
        headers = {"X-Accel-Buffering": "no"}
        super().__init__(method, reader, client, options, cors, timeout_seconds=seconds, headers=headers)
        self._encode = codec.encoder(method.reply_type)

    def content_type(self, first: Message | None) -> str:
        """Always events."""
        return EVENT_STREAM

    async def send(
        self, response: web.StreamResponse, first: Message | None, rest: AsyncIterator[Message], call: Incoming
    ) -> None:
        """Write the events, the last of which says how the stream ended."""
        try:
            if first is not None:
                await response.write(b"data: " + self._encode(first) + b"\n\n")
            async for message in rest:
                await response.write(b"data: " + self._encode(message) + b"\n\n")
            await response.write(b"event: end\ndata: {}\n\n")
        except ConnectionError:
            raise
        except Exception as error:
            failure = error if isinstance(error, CallError) else unexpected(call.request_id, self.method.path, error)
            fields = problem_fields(failure, call.request_id, status_of(failure))
            await response.write(b"event: error\ndata: " + orjson.dumps(fields) + b"\n\n")
