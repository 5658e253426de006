"""Server-streaming methods whose messages are `google.api.HttpBody`: one body, sent in the pieces as they come.

The first message's content type is the body's. A stream that breaks breaks the connection, so that a part is never taken
for the whole. What a method says it produces is offered as a file.
"""

from __future__ import annotations

import mimetypes
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web
from google.protobuf.message import Message

from contract.client import CoreClient
from contract.errors import CallError
from contract.methods import Method
from http_gateway.cors import Cors
from http_gateway.handlers import RequestReader
from http_gateway.incoming import Incoming
from http_gateway.options import GatewayOptions
from http_gateway.path_templates import ONE, REST, Template
from http_gateway.problems import unexpected
from http_gateway.streams import StreamingHandler

_UNKNOWN = "application/octet-stream"


class RawStreamHandler(StreamingHandler):
    """Serves one binding of a method that streams HttpBody."""

    def __init__(
        self, method: Method, template: Template, reader: RequestReader, client: CoreClient, options: GatewayOptions, cors: Cors
    ) -> None:
        headers = {}
        if method.produces:
            disposition = f'attachment; filename="{_file_name(method, template)}"'
            headers = {"Content-Disposition": disposition, "Vary": "Accept"}
        seconds = options.stream_timeout_seconds
        super().__init__(method, reader, client, options, cors, timeout_seconds=seconds, headers=headers)

    def content_type(self, first: Any) -> str:
        """The first message's, else the one the method produces."""
        return (first.content_type if first else self.method.produces) or _UNKNOWN

    async def send(self, response: web.StreamResponse, first: Any, rest: AsyncIterator[Message], call: Incoming) -> None:
        """Write the pieces; whatever breaks the stream breaks the connection."""
        if first is None:
            return
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
