"""Keyset pages: sizes and page tokens (AIP-158).

A token is the keyset of the page's last row with a MAC over it, the method, the caller and the query, so that a
token that was changed, or is used with another query, is refused.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol, TypeVar

import orjson

from contract.errors import Violation
from core.call import Call
from core.errors import InvalidArgument

DEFAULT_SIZE = 20
MAX_SIZE = 100
_MAC_BYTES = 16

Key = tuple[str | int | float, ...]
_Row = TypeVar("_Row")


class PageRequest(Protocol):
    """A list request: what every one of them carries."""

    @property
    def page_size(self) -> int: ...
    @property
    def page_token(self) -> str: ...


class Page:
    """One page being read: `size` rows after the keyset `after` (None: from the start)."""

    def __init__(self, size: int, after: Key | None, seal: Callable[[bytes], bytes]) -> None:
        self.size = size
        self.after = after
        self._seal = seal

    @property
    def after_time(self) -> tuple[datetime, bytes] | None:
        """`after` of a list by a time and, among equal ones, an id of 16 bytes: where every row's key is `time_key`."""
        if self.after is None:
            return None
        time, last_id = self.after
        return datetime.fromisoformat(str(time)), bytes.fromhex(str(last_id))

    def close(self, rows: Sequence[_Row], key: Callable[[_Row], Key]) -> tuple[Sequence[_Row], str]:
        """Give it up to `size + 1` rows; returns the page's rows and the next page's token ("" at the end)."""
        if len(rows) <= self.size:
            return rows, ""
        kept = rows[: self.size]
        return kept, self.token(key(kept[-1]))

    def token(self, key: Key) -> str:
        """The token of the page behind a keyset, for one that ends without being full."""
        payload = orjson.dumps(key)
        return _encode(self._seal(payload) + payload)


def time_key(time: datetime, row_id: bytes) -> tuple[str, str]:
    """The keyset of a row of a list by a time and an id; `Page.after_time` reads it."""
    return time.isoformat(), row_id.hex()


class Pages:
    """Opens pages. `secret` must be the same in every process."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def open(self, call: Call, request: PageRequest, scope: tuple[object, ...] = ()) -> Page:
        """The page a request asks for; `scope` is everything else of the query that the token must be bound to.

        Raises InvalidArgument (PAGE_TOKEN_INVALID) for a token that is not ours or belongs to another query.
        """
        size = min(request.page_size or DEFAULT_SIZE, MAX_SIZE)
        owner = call.caller.user_id if call.caller else b""
        query = repr((call.method.path, owner, scope)).encode()

        def seal(payload: bytes) -> bytes:
            return hmac.new(self._secret, query + b"\0" + payload, hashlib.sha256).digest()[:_MAC_BYTES]

        after = self._read(request.page_token, seal) if request.page_token else None
        return Page(size, after, seal)

    def _read(self, token: str, seal: Callable[[bytes], bytes]) -> Key:
        raw = _decode(token)
        mac, payload = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
        if not payload or not hmac.compare_digest(mac, seal(payload)):
            raise InvalidArgument(
                "PAGE_TOKEN_INVALID",
                "The page token is not one of this query's. Start again without it.",
                violations=[Violation("pageToken", "page_token", "must be the nextPageToken of the same query")],
            )
        return tuple(orjson.loads(payload))


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _decode(token: str) -> bytes:
    """The bytes of a token; none unless it is written just as `_encode` writes them."""
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except ValueError:
        return b""
    return raw if _encode(raw) == token else b""
