"""Server-streaming methods whose messages are `google.api.HttpBody`: one body, sent in the pieces as they come.

The first message's content type is the body's. A stream that breaks breaks the connection, so that a part is never taken
for the whole; an error before the first message is an ordinary problem response. What a method says it produces is
offered as a file.
"""

from __future__ import annotations

import mimetypes
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from aiohttp import web
from google.protobuf.message import Message

from contract.client import CoreClient
from contract.errors import CallError
from contract.methods import Method
from http_gateway.answers import Response
from http_gateway.cors import Cors
from http_gateway.handlers import RequestReader
from http_gateway.incoming import Incoming, metadata_of, timeout_of
from http_gateway.options import GatewayOptions
from http_gateway.outgoing import NO_STORE, shared_headers
from http_gateway.path_templates import ONE, REST, Template
from http_gateway.problems import unexpected

_UNKNOWN = "application/octet-stream"


class RawStreamHandler:
    """Serves one binding of a method that streams HttpBody."""

    def __init__(
        self, method: Method, template: Template, reader: RequestReader, client: CoreClient, options: GatewayOptions, cors: Cors
    ) -> None:
        self.method = method
        self._headers = shared_headers(NO_STORE)
        if method.produces:
            disposition = f'attachment; filename="{_file_name(method, template)}"'
            self._headers |= {"Content-Disposition": disposition, "Vary": "Accept"}
        self._reader = reader
        self._client = client
        self._options = options
        self._cors = cors

    async def __call__(self, call: Incoming) -> Response:
        options = self._options
        message = await self._reader.read(call)
        timeout = timeout_of(call.headers, options.stream_timeout_seconds)
        stream = self._client.stream(self.method, message, metadata_of(call, options.trusted_proxy_hops), timeout)
        try:
            first: Any = await anext(stream, None)
            response = web.StreamResponse(headers={**self._headers, "X-Request-Id": call.request_id})
            response.headers["Content-Type"] = (first.content_type if first else self.method.produces) or _UNKNOWN
            response.headers.extend(self._cors.lines(call.headers))
            await response.prepare(call.request)
            if call.request.method != "HEAD" and first is not None:
                await self._send(response, first, stream, call)
            await response.write_eof()
        finally:
            if isinstance(stream, AsyncGenerator):  # what the client did not wait for is given up
                await stream.aclose()
        return response

    async def _send(self, response: web.StreamResponse, first: Any, rest: AsyncIterator[Message], call: Incoming) -> None:
        try:
            await response.write(first.data)
            async for piece in rest:
                await response.write(piece.data)  # type: ignore[attr-defined]  # an HttpBody
        except BaseException as error:
            if call.request.transport is not None:
                call.request.transport.abort()
            if isinstance(error, CallError):
                raise ConnectionResetError(f"the stream broke: {error.reason}") from error
            if isinstance(error, Exception) and not isinstance(error, ConnectionError):
                unexpected(call.request_id, self.method.path, error)
                raise ConnectionResetError("the stream broke") from error
            raise


def _file_name(method: Method, template: Template) -> str:
    """The path's last word with the type's extension."""
    words = [segment for segment in template.segments if segment not in (ONE, REST)]
    return f"{words[-1] if words else 'download'}{mimetypes.guess_extension(method.produces) or ''}"
