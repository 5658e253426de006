"""A file that a method takes as raw bytes, sent by a form instead (RFC 7578), so that a page needs no script for it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from google.api.httpbody_pb2 import HttpBody
from google.protobuf.message import Message

from http_gateway.handlers import RequestReader
from http_gateway.incoming import Incoming
from http_gateway.problems import bad_request, unsupported_media_type

FORM = "multipart/form-data"
_RAW = frozenset({"application/pdf", "application/x-pdf", "application/octet-stream"})
_MAX_PARTS = 20
# RFC 2046, 5.1.1, but for the space.
_BOUNDARY = re.compile(r';\s*boundary=(?:"([0-9A-Za-z\'()+_,./:=? -]{1,70})"|([0-9A-Za-z\'()+_,./:=?-]{1,70}))', re.IGNORECASE)
_IS_FILE = re.compile(rb'\bfilename\*?=(?!""(?:;|\s|$))', re.IGNORECASE)


class FileReader(RequestReader):
    """Reads the request of a method that takes one PDF: its bytes, or a form's first file."""

    async def read(self, call: Incoming) -> Message:
        """The request message. Raises CallError: 415 for other types, 400 for a form without a file."""
        message: Any = await super().read(call)  # an HttpBody
        kind = message.content_type.partition(";")[0].strip().lower()
        if kind == FORM:
            message.data = first_file(message.content_type, message.data)
        elif kind not in _RAW:
            raise unsupported_media_type(f"A file is sent as application/pdf, or by a form as {FORM}.")
        file: Message = HttpBody(content_type="application/pdf", data=message.data)
        return file


def first_file(content_type: str, body: bytes) -> bytes:
    """The content of a form's first file that is not empty. Raises CallError 400 when there is none."""
    found = _BOUNDARY.search(content_type)
    if found is None:
        raise bad_request("The form's content type names no boundary.")
    for head, content in _parts(body, (found[1] or found[2]).encode("ascii")):
        if _IS_FILE.search(head) and content:
            return content
    raise bad_request("The form holds no file. Choose one first.")


def _parts(body: bytes, boundary: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The head and the content of each part that is whole."""
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary, _MAX_PARTS + 1)
    for piece in pieces[1:-1]:
        head, blank, content = piece.partition(b"\r\n\r\n")
        if blank:
            yield head, content
