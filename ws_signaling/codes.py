"""WebSocket close codes. Below 4500 a client connects again; from 4500 on it does not.

Source: RFC 6455, 7.4.2 (4000 to 4999 are the application's).
"""

from __future__ import annotations

from google.rpc import code_pb2

from contract.errors import CallError

DRAINING = 4000
ERROR = 4001
TOO_SLOW = 4002
NO_PONG = 4004
FLOOD = 4005
TOKEN_EXPIRED = 4006
NO_CONNECT = 4007
BAD_CREDENTIALS = 4500
PROTOCOL_ERROR = 4501
REVOKED = 4503
TOO_MANY_SOCKETS = 4504

_BY_REASON = {
    "TOKEN_EXPIRED": TOKEN_EXPIRED,
    "RATE_LIMITED": FLOOD,
    "SESSION_REVOKED": REVOKED,
    "ACCOUNT_SUSPENDED": REVOKED,
    "TOO_MANY_SOCKETS": TOO_MANY_SOCKETS,
}
_BY_CODE = {
    code_pb2.UNAUTHENTICATED: BAD_CREDENTIALS,
    code_pb2.PERMISSION_DENIED: BAD_CREDENTIALS,
    code_pb2.INVALID_ARGUMENT: PROTOCOL_ERROR,
}


def of_refusal(error: CallError) -> int:
    """The close code for a connection that could not be opened, or was lost on the way to the core."""
    return _BY_REASON.get(error.reason) or _BY_CODE.get(error.code, ERROR)
