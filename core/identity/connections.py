"""Credentials of WebSocket connections: what a door authorizes a connection's frames with.

A credential is signed by us, names the account, the session and the connection, and lives a little longer than the token
it was made from. It is checked like a token: whether the session and the account still stand is asked of the same copies.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections import OrderedDict
from collections.abc import Callable

import orjson

from core.call import Claims, Connection
from core.errors import Unauthenticated
from skillforge.v1.identity_pb2 import ROLE_UNSPECIFIED

# A connection may be refreshed for so long after its token's expiry.
GRACE_SECONDS = 25.0
# Clocks of our own machines may differ by so much.
_SKEW_SECONDS = 5.0
_REMEMBERED = 20_000


class Credentials:
    """Makes and reads credentials. `wall_clock` gives unix seconds."""

    def __init__(self, secret: bytes, wall_clock: Callable[[], float] = time.time) -> None:
        self._key = hashlib.sha256(b"skillforge connections\0" + secret).digest()
        self._wall_clock = wall_clock
        self._known: OrderedDict[str, tuple[Claims, Connection]] = OrderedDict()

    def issue(self, claims: Claims, connection: Connection) -> str:
        """The credential of a connection under a token's claims."""
        fields = [claims.subject, claims.session_id, claims.expires_at, connection.connection_id, connection.device_id,
                  connection.tab_id]  # fmt: skip
        payload = base64.urlsafe_b64encode(orjson.dumps(fields)).decode()
        return f"{payload}.{self._mac(payload)}"

    def read(self, credential: str) -> tuple[Claims, Connection]:
        """Whose frame it is. Raises Unauthenticated (TOKEN_INVALID, TOKEN_EXPIRED)."""
        known = self._known.get(credential)
        if known is None:
            known = self._verify(credential)
            self._known[credential] = known
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        if self._wall_clock() >= known[0].expires_at + GRACE_SECONDS + _SKEW_SECONDS:
            raise Unauthenticated("TOKEN_EXPIRED", "The connection's token has expired. Connect again with a new one.")
        return known

    def _verify(self, credential: str) -> tuple[Claims, Connection]:
        payload, _, mac = credential.rpartition(".")
        if not hmac.compare_digest(mac.encode(), self._mac(payload).encode()):
            raise _invalid()
        try:
            subject, session, expires_at, *connection = orjson.loads(base64.urlsafe_b64decode(payload))
        except (ValueError, binascii.Error):
            raise _invalid() from None
        return Claims(subject, session, expires_at, ROLE_UNSPECIFIED), Connection(*connection)

    def _mac(self, payload: str) -> str:
        return hmac.new(self._key, payload.encode(), hashlib.sha256).hexdigest()


def _invalid() -> Unauthenticated:
    return Unauthenticated("TOKEN_INVALID", "The connection's credential is not one of ours.")
