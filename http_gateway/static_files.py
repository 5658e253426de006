"""Files for browsers, at `/static/{name}` and, to be kept for good, at `/static/{version}/{name}`.

The version names the content of all files together, so modules that import each other by relative paths never mix.
Source: RFC 9110, 8.8.3 (entity tags); RFC 8246 (immutable).
"""

from __future__ import annotations

import hashlib
from importlib import resources
from typing import NamedTuple

from multidict import istr

from http_gateway.answers import Answer
from http_gateway.incoming import Incoming
from http_gateway.outgoing import NO_CACHE, header_lines, matches_none
from http_gateway.problems import route_not_found

FOREVER = "public, max-age=31536000, immutable"
_TYPES = {".js": "text/javascript; charset=utf-8"}
_IF_NONE_MATCH = istr("If-None-Match")


class _File(NamedTuple):
    body: bytes
    media_type: str
    tag: str


class StaticFiles:
    """Handlers of the two paths; the files are read once, from the package."""

    def __init__(self) -> None:
        self._files = dict(_read())
        digest = hashlib.sha256("".join(f"{name}{file.tag}" for name, file in sorted(self._files.items())).encode())
        self.version = digest.hexdigest()[:16]

    async def newest(self, call: Incoming) -> Answer:
        """A file as it is now; caches ask each time."""
        return self._answer(call, call.place.segments[-1], NO_CACHE)

    async def versioned(self, call: Incoming) -> Answer:
        """A file of a version. While versions change, a page may ask for one that is not here: it gets the newest, unkept."""
        return self._answer(call, call.place.segments[-1], FOREVER if call.place.segments[-2] == self.version else NO_CACHE)

    def _answer(self, call: Incoming, name: str, caching: str) -> Answer:
        """Raises CallError for a file that is not there."""
        file = self._files.get(name)
        if file is None:
            raise route_not_found()
        if matches_none(call.headers.get(_IF_NONE_MATCH, ""), file.tag):
            answer = Answer(304, header_lines("", caching))
        else:
            answer = Answer(200, header_lines(file.media_type, caching), file.body)
        answer.add("ETag", file.tag)
        # Pages elsewhere that isolate themselves may load it, too.
        answer.add("Cross-Origin-Resource-Policy", "cross-origin")
        answer.add("X-Request-Id", call.request_id)
        return answer


def _read() -> list[tuple[str, _File]]:
    folder = resources.files("http_gateway").joinpath("static")
    found = []
    for entry in folder.iterdir():
        media_type = _TYPES.get("." + entry.name.rpartition(".")[2])
        if media_type is not None:
            body = entry.read_bytes()
            found.append((entry.name, _File(body, media_type, f'"{hashlib.sha256(body).hexdigest()[:32]}"')))
    return found
