"""A Redis server as an address, and how to connect to it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import NamedTuple, TypeVar
from urllib.parse import unquote, urlsplit

Value = bytes | str | int | float

P = TypeVar("P", bound=asyncio.Protocol)


class RedisAway(Exception):
    """Redis cannot be used now; what it held may be lost."""


class Node(NamedTuple):
    """Where a server listens: host and port, or a unix socket's path."""

    host: str
    port: int
    path: str = ""


class Login:
    """How to log in at a server, from the address."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.user = unquote(parts.username) if parts.username else None
        self.password = unquote(parts.password) if parts.password else None
        self.tls = parts.scheme == "rediss"

    @property
    def command(self) -> tuple[str, ...] | None:
        """What to say first; None: nothing."""
        if not self.password:
            return None
        return ("AUTH", self.user, self.password) if self.user else ("AUTH", self.password)


async def open_wire(node: Node, login: Login, protocol: Callable[[], P]) -> P:
    """Connect to a node; the caller bounds the time. Raises OSError."""
    loop = asyncio.get_running_loop()
    if node.path:
        return (await loop.create_unix_connection(protocol, node.path))[1]
    tls = ssl.create_default_context() if login.tls else None
    return (await loop.create_connection(protocol, node.host, node.port, ssl=tls))[1]
