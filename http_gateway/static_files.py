"""Files for browsers, at `/static/{name}` and, to be kept for good, at `/static/{version}/{name}`; the console's a folder deeper.

The version names the content of all files together, so modules that import each other by relative paths never mix.
Source: RFC 9110, 8.4 and 8.8.3 (codings, entity tags); RFC 8246 (immutable).
"""

from __future__ import annotations

import gzip
import hashlib
import posixpath
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import NamedTuple

from multidict import istr

from http_gateway.answers import Answer
from http_gateway.incoming import Incoming
from http_gateway.outgoing import NO_CACHE, header_lines, matches_none
from http_gateway.problems import route_not_found

FOREVER = "public, max-age=31536000, immutable"
CONSOLE = "console"
_TYPES = {
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
}
# A static import or export; what is imported by a call is fetched later, if at all.
_IMPORT = re.compile(rb'^(?:import|export|\}) [^;]*?from "(\.[\w./-]+\.js)";$', re.MULTILINE)
_IF_NONE_MATCH, _ACCEPT_ENCODING = istr("If-None-Match"), istr("Accept-Encoding")


class _Form(NamedTuple):
    """A file in one coding: each has a tag of its own."""

    body: bytes
    tag: str


class _File(NamedTuple):
    media_type: str
    plain: _Form
    zipped: _Form


class StaticFiles:
    """Handlers of the paths; the files are read once a process, from the package."""

    def __init__(self) -> None:
        self._files = _all_files()
        named = "".join(f"{name}{file.plain.tag}" for name, file in sorted(self._files.items()))
        self.version = hashlib.sha256(named.encode()).hexdigest()[:16]

    def modules(self, first: str) -> list[str]:
        """The names of the modules that a module cannot do without, in order: it imports them, or they each other."""
        found, waiting = {first}, [first]
        while waiting:
            name = waiting.pop()
            folder = PurePosixPath(name).parent
            for path in _IMPORT.findall(self._files[name].plain.body):
                wanted = posixpath.normpath(folder / path.decode())
                if wanted not in found:
                    found.add(wanted)
                    waiting.append(wanted)
        return sorted(found)

    async def newest(self, call: Incoming) -> Answer:
        """A file as it is now; caches ask each time."""
        return self._answer(call, call.place.segments[1:], NO_CACHE)

    async def versioned(self, call: Incoming) -> Answer:
        """A file of a version. While versions change, a page may ask for one that is not here: it gets the newest, unkept."""
        _, version, *path = call.place.segments
        return self._answer(call, path, FOREVER if version == self.version else NO_CACHE)

    def _answer(self, call: Incoming, path: list[str], caching: str) -> Answer:
        """Raises CallError for a file that is not there."""
        file = self._files.get("/".join(path))
        if file is None:
            raise route_not_found()
        is_zipped = accepts_gzip(call.headers.get(_ACCEPT_ENCODING, ""))
        form = file.zipped if is_zipped else file.plain
        if matches_none(call.headers.get(_IF_NONE_MATCH, ""), form.tag):
            answer = Answer(304, header_lines("", caching))
        else:
            answer = Answer(200, header_lines(file.media_type, caching), form.body)
            if is_zipped:
                answer.add("Content-Encoding", "gzip")
        answer.add("ETag", form.tag)
        answer.add("Vary", "Accept-Encoding")
        # Pages elsewhere that isolate themselves may load it, too.
        answer.add("Cross-Origin-Resource-Policy", "cross-origin")
        answer.add("X-Request-Id", call.request_id)
        return answer


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether an Accept-Encoding header allows gzip by name (RFC 9110, 12.5.3)."""
    for item in accept_encoding.lower().split(","):
        name, _, parameters = item.partition(";")
        if name.strip() in ("gzip", "x-gzip"):
            return parameters.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


@cache
def _all_files() -> Mapping[str, _File]:
    folder = resources.files("http_gateway").joinpath("static")
    return MappingProxyType({**dict(_read(folder, "")), **dict(_read(folder.joinpath(CONSOLE), f"{CONSOLE}/"))})


def _read(folder: Traversable, prefix: str) -> Iterator[tuple[str, _File]]:
    for entry in folder.iterdir():
        media_type = _TYPES.get(entry.name.rpartition(".")[2])
        if media_type is not None:
            body = entry.read_bytes()
            digest = hashlib.sha256(body).hexdigest()[:32]
            zipped = _Form(gzip.compress(body, 9, mtime=0), f'"{digest}-gzip"')
            yield prefix + entry.name, _File(media_type, _Form(body, f'"{digest}"'), zipped)
