"""The Redis client: every command has a deadline, none is repeated, and while the server is away calls fail at once."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import redis.asyncio as redis_py
from redis import exceptions
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

log = logging.getLogger("skillforge.redis")

COMMAND_SECONDS = 0.5
# After a failure calls fail at once for so long; then one of them finds out whether the server is back.
AWAY_SECONDS = 0.5
# How many times as long as a deadline is its lateness our own fault.
LATE = 1.3
MAX_CONNECTIONS = 32
SCRIPTS = Path(__file__).parent / "scripts"

Value = bytes | str | int | float
Script = Callable[[Sequence[str], Sequence[Value]], Awaitable[Any]]

# Beside lost connections: replies of a server that cannot serve now (full, loading, a replica, a cluster with a hole).
_AWAY_REPLIES = ("READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "OOM", "LOADING", "NOREPLICAS", "MISCONF", "UNBLOCKED")
_AWAY_ERRORS = (
    exceptions.ConnectionError, exceptions.TimeoutError, exceptions.ReadOnlyError, exceptions.OutOfMemoryError,
    exceptions.ClusterDownError, exceptions.MasterDownError, exceptions.TryAgainError, exceptions.RedisClusterException,
    OSError,
)  # fmt: skip


class RedisAway(Exception):
    """Redis cannot be used now; what it held may be lost."""


class Node(NamedTuple):
    """Where a server listens: host and port, or a unix socket's path."""

    host: str
    port: int
    path: str = ""


class Redis:
    """Commands to Redis. Each raises RedisAway when the server is away or slow; answers are bytes."""

    def __init__(self, url: str, *, max_connections: int = MAX_CONNECTIONS) -> None:
        """`url`: redis://, rediss:// or unix://; several hosts, comma-separated, are a Cluster. ValueError if it is none."""
        self._url = url
        self.client = _connect(url, max_connections)
        # As the server says it: the value before, for SET ... GET.
        self.client.set_response_callback("SET", lambda answer, **_: answer)
        self._away_until = 0.0
        self._away = False

    async def run(self, *command: Value) -> Any:
        """Run a command, such as `run("SET", key, value, "PX", 1000)`."""
        if self._away:
            self._probe()
        began = time.monotonic()
        try:
            async with asyncio.timeout(COMMAND_SECONDS):
                answer = await self.client.execute_command(*command)
        except exceptions.ResponseError as error:
            if isinstance(error, _AWAY_ERRORS) or str(error).startswith(_AWAY_REPLIES):
                raise self._failed(error) from error
            # A refusal is an answer.
            self._answered()
            raise
        except _AWAY_ERRORS as error:
            if isinstance(error, TimeoutError) and time.monotonic() - began > COMMAND_SECONDS * LATE:
                # This process was too busy to look: the answer may lie there, and says nothing about the server.
                raise RedisAway("this process was too busy to read the answer") from error
            raise self._failed(error) from error
        self._answered()
        return answer

    async def get(self, key: str) -> bytes | None:
        """The string at a key."""
        value: bytes | None = await self.run("GET", key)
        return value

    async def set(self, key: str, value: Value, *, ttl_ms: int, only_new: bool = False) -> bool:
        """Set a string for `ttl_ms`; whether it was set (`only_new`: False when there is one already)."""
        options = ("NX",) if only_new else ()
        return await self.run("SET", key, value, "PX", ttl_ms, *options) is not None

    async def getdel(self, key: str) -> bytes | None:
        """The string at a key, which is deleted: only one caller gets it."""
        value: bytes | None = await self.run("GETDEL", key)
        return value

    async def delete(self, key: str) -> bool:
        """Delete a key; whether it was there."""
        return bool(await self.run("DEL", key))

    async def publish(self, channel: str, message: Value) -> None:
        """Publish to every subscriber, on every node of a Cluster."""
        await self.run("PUBLISH", channel, message)

    async def ping(self) -> None:
        """Whether the server answers (any node, of a Cluster)."""
        await self.run("PING")

    def script(self, name: str) -> Script:
        """The script `scripts/<name>.lua` as a function of its keys and arguments."""
        source, digest = _load_script(name)

        async def call(keys: Sequence[str], arguments: Sequence[Value]) -> Any:
            try:
                return await self.run("EVALSHA", digest, len(keys), *keys, *arguments)
            except exceptions.NoScriptError:
                return await self.run("EVAL", source, len(keys), *keys, *arguments)

        return call

    async def subscriber(self) -> tuple[Any, Any]:
        """A client of its own with one connection, and its pub/sub; both are the caller's to close.

        Of a Cluster it is any node: a PUBLISH reaches the subscribers of all.
        """
        if not isinstance(self.client, redis_py.RedisCluster):
            client = _connect(self._url, 1)
        else:
            async with asyncio.timeout(COMMAND_SECONDS):
                await self.client.initialize()
            node = self.client.get_random_node()
            login = Login(self._url)
            client = redis_py.Redis(
                host=node.host, port=int(node.port), username=login.user, password=login.password, ssl=login.tls,
                retry=Retry(NoBackoff(), 0), socket_timeout=None, socket_connect_timeout=COMMAND_SECONDS, protocol=3,
            )  # fmt: skip
        return client, client.pubsub()

    @property
    def login(self) -> Login:
        """How to log in at a node."""
        return Login(self._url)

    @property
    def is_cluster(self) -> bool:
        """Whether the keys are spread over several nodes."""
        return isinstance(self.client, redis_py.RedisCluster)

    async def find_nodes(self, *, anew: bool) -> None:
        """Learn which node of a Cluster has which slot, if that is not known or to be learned `anew`. Raises RedisAway."""
        if not self.is_cluster:
            return
        try:
            async with asyncio.timeout(COMMAND_SECONDS * 4):
                if anew:
                    await self.client.nodes_manager.initialize()
                else:
                    await self.client.initialize()
        except (*_AWAY_ERRORS, exceptions.RedisError) as error:
            raise RedisAway(str(error) or type(error).__name__) from error

    def node_of(self, key: str) -> Node:
        """The node that has a key, as far as it is known; of a Cluster after `find_nodes`. Raises RedisAway."""
        if not self.is_cluster:
            options = self.client.connection_pool.connection_kwargs
            return Node(options.get("host", "localhost"), int(options.get("port", 6379)), options.get("path", ""))
        try:
            node = self.client.get_node_from_key(key)
        except exceptions.RedisClusterException as error:
            raise RedisAway(str(error)) from error
        return Node(str(node.host), int(node.port))

    async def close(self) -> None:
        """Close every connection."""
        await self.client.aclose()

    def _probe(self) -> None:
        """Let the caller find out whether the server is back, but only one at a time."""
        now = time.monotonic()
        if now < self._away_until:
            raise RedisAway("Redis is away")
        self._away_until = now + AWAY_SECONDS

    def _answered(self) -> None:
        if self._away:
            log.info("Redis is back")
            self._away = False

    def _failed(self, error: Exception) -> RedisAway:
        if not self._away:
            log.warning("Redis is away: %s", str(error) or type(error).__name__)
        self._away = True
        self._away_until = time.monotonic() + AWAY_SECONDS
        return RedisAway(str(error) or type(error).__name__)


class Login:
    """How to log in at a server, from the address."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.user = unquote(parts.username) if parts.username else None
        self.password = unquote(parts.password) if parts.password else None
        self.tls = parts.scheme == "rediss"


@cache
def _load_script(name: str) -> tuple[str, str]:
    source = (SCRIPTS / f"{name}.lua").read_text(encoding="utf-8")
    # Redis names scripts by this digest.
    return source, hashlib.sha1(source.encode()).hexdigest()


def _connect(url: str, max_connections: int) -> Any:
    """A redis-py client. It never repeats a command: a repeat could count, publish or append twice."""
    parts = urlsplit(url)
    if parts.scheme not in ("redis", "rediss", "unix"):
        raise ValueError("a Redis address starts with redis://, rediss:// or unix://")
    never = Retry(NoBackoff(), 0)
    hosts = parts.netloc.rpartition("@")[2].split(",")
    if parts.scheme == "unix" or len(hosts) == 1:
        pool = redis_py.BlockingConnectionPool.from_url(
            url, max_connections=max_connections, timeout=COMMAND_SECONDS, retry=never, protocol=3,
            socket_timeout=None, socket_connect_timeout=COMMAND_SECONDS,
        )  # fmt: skip
        return redis_py.Redis.from_pool(pool)
    nodes = [_node(host) for host in hosts]
    login = Login(url)
    return redis_py.RedisCluster(
        startup_nodes=nodes, username=login.user, password=login.password, ssl=login.tls,
        # A node's pool refuses instead of waiting, so it is larger; a silent node must be noticed by the client itself.
        max_connections=max_connections * 8, retry=never, protocol=3,
        socket_timeout=COMMAND_SECONDS * 0.8, socket_connect_timeout=COMMAND_SECONDS * 0.8,
    )  # fmt: skip


def _node(address: str) -> ClusterNode:
    parts = urlsplit(f"//{address}")
    if not parts.hostname:
        raise ValueError(f"{address!r} in the Redis address is no host:port")
    return ClusterNode(parts.hostname, parts.port or 6379)
