"""What every server-streaming method has in common over HTTP: the call, the head of the answer, and giving up.

An error before the first message is an ordinary problem response.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator

from aiohttp import web
from google.protobuf.message import Message

from contract.client import CoreClient
from contract.methods import Method
from http_gateway.answers import Response
from http_gateway.cors import Cors
from http_gateway.handlers import RequestReader
from http_gateway.incoming import Incoming, metadata_of, timeout_of
from http_gateway.options import GatewayOptions
from http_gateway.outgoing import NO_STORE, shared_headers


class StreamingHandler:
    """Serves one binding of a server-streaming method. `headers`: those of every answer, beside the usual ones."""

    def __init__(
        self,
        method: Method,
        reader: RequestReader,
        client: CoreClient,
        options: GatewayOptions,
        cors: Cors,
        *,
        timeout_seconds: float,
        headers: dict[str, str],
    ) -> None:
        self.method = method
        self._reader = reader
        self._client = client
        self._hops = options.trusted_proxy_hops
        self._cors = cors
        self._timeout = timeout_seconds
        self._headers = {**shared_headers(NO_STORE), **headers}

    async def __call__(self, call: Incoming) -> Response:
        message = await self._reader.read(call)
        timeout = timeout_of(call.headers, self._timeout)
        stream = self._client.stream(self.method, message, metadata_of(call, self._hops), timeout)
        try:
            first = await anext(stream, None)
            response = web.StreamResponse(headers={**self._headers, "X-Request-Id": call.request_id})
            response.headers["Content-Type"] = self.content_type(first)
            response.headers.extend(self._cors.lines(call.headers))
            await response.prepare(call.request)
            if call.request.method != "HEAD":
                await self.send(response, first, stream, call)
            await response.write_eof()
        finally:
            if isinstance(stream, AsyncGenerator):  # what the client did not wait for is given up
                await stream.aclose()
        return response

    def content_type(self, first: Message | None) -> str:
        """The answer's type; `first` is the first message, None of an empty stream."""
        raise NotImplementedError

    async def send(
        self, response: web.StreamResponse, first: Message | None, rest: AsyncIterator[Message], call: Incoming
    ) -> None:
        """Write all messages into an answer that has begun."""
        raise NotImplementedError
