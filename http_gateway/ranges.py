"""Answers that are bytes and no message: whole, in parts, or not at all because the client has them.

Source: RFC 9110: entity tags and preconditions (8.8.3, 13), ranges (14). Only what has a strong entity tag can be asked
for in parts or revalidated; the core sends the tag beside the bytes.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from itertools import pairwise
from typing import Any, NamedTuple

from multidict import istr

from contract.client import Reply
from contract.metadata import CONTENT_DISPOSITION, ETAG
from http_gateway.answers import Answer
from http_gateway.incoming import Incoming
from http_gateway.outgoing import header_lines, matches_none
from http_gateway.problems import range_not_satisfiable

MAX_RANGES = 8  # a client that wants more gets the whole
_OWN_CACHE = header_lines("", "private, no-cache") + b"Accept-Ranges: bytes\r\n"
_RANGE = re.compile(r"([0-9]{0,19})-([0-9]{0,19})", re.ASCII)
_RANGE_HEADER, _IF_RANGE, _IF_NONE_MATCH = istr("Range"), istr("If-Range"), istr("If-None-Match")


class Part(NamedTuple):
    """Bytes from `start` up to, not including, `end`."""

    start: int
    end: int

    def content_range(self, length: int) -> str:
        """The value of Content-Range."""
        return f"bytes {self.start}-{self.end - 1}/{length}"


def raw_answer(call: Incoming, status: int, base: bytes, reply: Reply, data: bytes) -> Answer:
    """The answer for a reply whose message holds these bytes. `base`: the shared header lines of one without an entity tag.

    Raises CallError (RANGE_NOT_SATISFIABLE).
    """
    message: Any = reply.message
    metadata = reply.metadata
    media_type = message.content_type or "application/octet-stream"
    tag = f'"{metadata[ETAG]}"' if ETAG in metadata else ""
    if tag and status == 200 and call.request.method in ("GET", "HEAD"):
        answer = _tagged_answer(call, data, media_type, tag)
    else:
        answer = Answer(status, base, data)
        answer.add("Content-Type", media_type)
    if CONTENT_DISPOSITION in metadata and answer.status < 300:
        answer.add("Content-Disposition", metadata[CONTENT_DISPOSITION])
    return answer


def _tagged_answer(call: Incoming, data: bytes, media_type: str, tag: str) -> Answer:
    headers = call.headers
    if _IF_NONE_MATCH in headers and matches_none(headers[_IF_NONE_MATCH], tag):
        answer = Answer(304, _OWN_CACHE)
    elif _RANGE_HEADER in headers and call.request.method == "GET" and headers.get(_IF_RANGE, tag) == tag:
        answer = _partial_answer(read_ranges(headers[_RANGE_HEADER], len(data)), data, media_type)
    else:
        answer = _whole(data, media_type)
    answer.add("ETag", tag)
    return answer


def _whole(data: bytes, media_type: str) -> Answer:
    answer = Answer(200, _OWN_CACHE, data)
    answer.add("Content-Type", media_type)
    return answer


def _partial_answer(parts: list[Part] | None, data: bytes, media_type: str) -> Answer:
    if parts is None:
        return _whole(data, media_type)
    if not parts:
        raise range_not_satisfiable(len(data))
    if len(parts) == 1:
        [part] = parts
        answer = Answer(206, _OWN_CACHE, data[part.start : part.end])
        answer.add("Content-Type", media_type)
        answer.add("Content-Range", part.content_range(len(data)))
        return answer
    return _multipart(parts, data, media_type)


def _multipart(parts: list[Part], data: bytes, media_type: str) -> Answer:
    boundary = blake2b(data, digest_size=16).hexdigest()  # which the data cannot hold, as far as anybody can tell
    pieces = []
    for part in parts:
        head = f"--{boundary}\r\nContent-Type: {media_type}\r\nContent-Range: {part.content_range(len(data))}\r\n\r\n"
        pieces += [head.encode(), data[part.start : part.end], b"\r\n"]
    answer = Answer(206, _OWN_CACHE, b"".join([*pieces, f"--{boundary}--\r\n".encode()]))
    answer.add("Content-Type", f"multipart/byteranges; boundary={boundary}")
    return answer


def read_ranges(header: str, length: int) -> list[Part] | None:
    """The parts a Range header asks for; empty when there are none of them; None when the header is to be ignored: it has
    another unit, is malformed, or asks for too many parts or for parts that overlap."""
    unit, found, text = header.partition("=")
    items = [item.strip() for item in text.split(",")]
    if unit.strip().lower() != "bytes" or not found or len(items) > MAX_RANGES:
        return None
    parts: list[Part] = []
    for item in filter(None, items):
        match = _RANGE.fullmatch(item)
        if match is None or item == "-":
            return None
        first, last = match.groups()
        if first and last and int(last) < int(first):
            return None
        start = int(first) if first else max(0, length - int(last))
        end = min(length, int(last) + 1) if first and last else length
        if start < end:
            parts.append(Part(start, end))
    if not any(items) or _overlap(parts):
        return None
    return parts


def _overlap(parts: list[Part]) -> bool:
    ordered = sorted(parts)
    return any(before.end > after.start for before, after in pairwise(ordered))
