"""The WebSocket close codes the core decides about. Up to 4499 a client connects again, from 4500 on it does not."""

TOO_SLOW = 4002
STATE_LOST = 4003
TOKEN_EXPIRED = 4006
REVOKED = 4503
TOO_MANY_SOCKETS = 4504
SUPERSEDED = 4505
