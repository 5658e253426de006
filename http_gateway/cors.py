"""Cross-origin requests (the Fetch standard's CORS protocol). Callers send bearer tokens, so credentials stay off."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from multidict import istr

_ORIGIN = istr("Origin")
_ALLOWED_HEADERS = (
    "Accept-Language, Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, If-Range, Range, X-Request-Id, "
    "X-Request-Timeout"
)
_EXPOSED = (
    "Accept-Ranges, Content-Disposition, Content-Range, ETag, Idempotency-Replayed, RateLimit, RateLimit-Policy, Retry-After, "
    "WWW-Authenticate, X-Request-Id"
)
_MAX_AGE_SECONDS = "7200"  # the most Chromium keeps

Lines = tuple[tuple[str, str], ...]


class Cors:
    """The headers that let pages of the allowed origins read our answers."""

    def __init__(self, allowed_origins: Collection[str]) -> None:
        """ "*" among the origins allows any."""
        self.active = bool(allowed_origins)
        self._any = _allowing("*") if "*" in allowed_origins else None
        self._by_origin = {origin: (*_allowing(origin), ("Vary", "Origin")) for origin in allowed_origins}
        self._other: Lines = (("Vary", "Origin"),)

    def lines(self, request: Mapping[str, str]) -> Lines:
        """What to add to the answer for a request, allowed or not."""
        if self._any is not None:
            return self._any
        return self._by_origin.get(request.get(_ORIGIN, ""), self._other) if self.active else ()

    def allows(self, request: Mapping[str, str]) -> bool:
        """Whether the request comes from a page that may read our answers."""
        origin = request.get(_ORIGIN)
        return origin is not None and (self._any is not None or origin in self._by_origin)


def _allowing(origin: str) -> Lines:
    return (("Access-Control-Allow-Origin", origin), ("Access-Control-Expose-Headers", _EXPOSED))


def preflight(allowed_verbs: Iterable[str]) -> Lines:
    """The further headers of the answer to a preflight from an allowed origin."""
    return (
        ("Access-Control-Allow-Methods", ", ".join(allowed_verbs)),
        ("Access-Control-Allow-Headers", _ALLOWED_HEADERS),
        ("Access-Control-Max-Age", _MAX_AGE_SECONDS),
    )
