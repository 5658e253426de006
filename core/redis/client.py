"""The Redis client: every command has a deadline, none is repeated, and while a server is away its calls fail at once.

Commands go over one connection a server (`core.redis.node_client`); redis-py learns a Cluster's slots, and listens.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import redis.asyncio as redis_py
from redis import exceptions
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from core.redis.node_client import NodeClient
from core.redis.nodes import Login, Node, RedisAway, Value

__all__ = ["COMMAND_SECONDS", "Login", "Node", "Redis", "RedisAway", "Script", "Value"]

log = logging.getLogger("skillforge.redis")

COMMAND_SECONDS = 0.5
# How often a command may be sent on to where its slot is now.
_MAX_MOVES = 3
# How long what is known of a Cluster is not learned anew, whoever wants it.
_LEARN_PAUSE_SECONDS = 0.2
SCRIPTS = Path(__file__).parent / "scripts"

Script = Callable[[Sequence[str], Sequence[Value]], Awaitable[Any]]

_SCRIPT_COMMANDS = ("EVALSHA", "EVAL")
# Commands that any node of a Cluster takes.
_ANYWHERE = frozenset({"PING", "TIME", "PUBLISH", "ECHO", "SCRIPT", "INFO"})


class Redis:
    """Commands to Redis. Each raises RedisAway when the server is away or slow; answers are bytes."""

    def __init__(self, url: str) -> None:
        """`url`: redis://, rediss:// or unix://; several hosts, comma-separated, are a Cluster. ValueError if it is none."""
        self._url = url
        self.login = Login(url)
        self._cluster = _connect_cluster(url)
        # The one server, where there is no Cluster, and the number of its database.
        self._only: Node | None = None
        self._database = 0
        if self._cluster is None:
            self._only, self._database = _read_address(url)
        self._nodes: dict[Node, NodeClient] = {}
        self._learning: asyncio.Task[None] | None = None

    async def run(self, *command: Value) -> Any:
        """Run a command, such as `run("SET", key, value, "PX", 1000)`."""
        if self._only is not None:
            return await self._client(self._only).run(command)
        await self.find_nodes(anew=False)
        node, asking = self._node_for(command), False
        for _ in range(_MAX_MOVES):
            try:
                return await self._client(node).run(*((("ASKING",), command) if asking else (command,)))
            except RedisAway:
                self._learn_soon()
                raise
            except exceptions.ResponseError as error:
                # A refusal: nothing was done there, and the command goes to where the slot is now.
                kind, _, where = str(error).partition(" ")
                if kind not in ("MOVED", "ASK"):
                    raise
                node, asking = _moved(where, node), kind == "ASK"
                if not asking:
                    self._learn_soon()
        raise RedisAway("a slot moves about")

    @property
    def is_away(self) -> bool:
        """Whether the last command at some server failed for the server or the way to it."""
        return any(client.away for client in self._nodes.values())

    @property
    def failures(self) -> int:
        """How many commands failed for the server or the way to it."""
        return sum(client.failures for client in self._nodes.values())

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
        source, digest = load_script(name)

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
        if self._cluster is None:
            client = redis_py.Redis.from_pool(
                redis_py.BlockingConnectionPool.from_url(
                    self._url, max_connections=1, timeout=COMMAND_SECONDS, retry=Retry(NoBackoff(), 0), protocol=3,
                    socket_timeout=None, socket_connect_timeout=COMMAND_SECONDS,
                )
            )  # fmt: skip
        else:
            await self.find_nodes(anew=False)
            node, login = self._cluster.get_random_node(), self.login
            client = redis_py.Redis(
                host=node.host, port=int(node.port), username=login.user, password=login.password, ssl=login.tls,
                retry=Retry(NoBackoff(), 0), socket_timeout=None, socket_connect_timeout=COMMAND_SECONDS, protocol=3,
            )  # fmt: skip
        return client, client.pubsub()

    @property
    def is_cluster(self) -> bool:
        """Whether the keys are spread over several nodes."""
        return self._cluster is not None

    async def find_nodes(self, *, anew: bool) -> None:
        """Learn which node of a Cluster has which slot, if that is not known or to be learned `anew`. Raises RedisAway."""
        if self._cluster is None or (not anew and self._cluster.nodes_manager.slots_cache):
            return
        try:
            async with asyncio.timeout(COMMAND_SECONDS * 4):
                if anew:
                    await self._cluster.nodes_manager.initialize()
                else:
                    await self._cluster.initialize()
        except (TimeoutError, OSError, exceptions.RedisError) as error:
            raise RedisAway(str(error) or type(error).__name__) from error

    def node_of(self, key: str) -> Node:
        """The node that has a key, as far as it is known; of a Cluster after `find_nodes`. Raises RedisAway."""
        if self._cluster is None:
            assert self._only is not None
            return self._only
        try:
            node = self._cluster.get_node_from_key(key)
        except exceptions.RedisClusterException as error:
            raise RedisAway(str(error)) from error
        return Node(str(node.host), int(node.port))

    async def close(self) -> None:
        """Close every connection."""
        if self._learning is not None:
            self._learning.cancel()
            await asyncio.gather(self._learning, return_exceptions=True)
        for client in self._nodes.values():
            await client.close()
        if self._cluster is not None:
            await self._cluster.aclose()

    def _client(self, node: Node) -> NodeClient:
        client = self._nodes.get(node)
        if client is None:
            client = self._nodes[node] = NodeClient(node, self.login, self._database, COMMAND_SECONDS)
        return client

    def _node_for(self, command: Sequence[Value]) -> Node:
        """The node of a Cluster that a command belongs to: its key's; for one without a key any that answers."""
        name = command[0]
        if name not in _ANYWHERE and not (name in _SCRIPT_COMMANDS and command[2] == 0):
            return self.node_of(str(command[3 if name in _SCRIPT_COMMANDS else 1]))
        assert self._cluster is not None
        masters = [Node(str(node.host), int(node.port)) for node in self._cluster.get_primaries()]
        well = [node for node in masters if not self._client(node).away]
        return random.choice(well or masters)

    def _learn_soon(self) -> None:
        """Learn in the background which node has which slot; nobody waits for it."""
        if self._learning is None or self._learning.done():
            self._learning = asyncio.create_task(self._learn())

    async def _learn(self) -> None:
        try:
            await self.find_nodes(anew=True)
        except RedisAway as error:
            log.debug("the nodes of the Cluster are not known: %s", error)
        await asyncio.sleep(_LEARN_PAUSE_SECONDS)


@cache
def load_script(name: str) -> tuple[str, str]:
    """A script's source, and the digest that Redis knows it by."""
    source = (SCRIPTS / f"{name}.lua").read_text(encoding="utf-8")
    # Redis names scripts by this digest.
    return source, hashlib.sha1(source.encode()).hexdigest()


def _read_address(url: str) -> tuple[Node, int]:
    """The server and the database of an address."""
    parts: Any = parse_url(url)
    return Node(parts.get("host", "localhost"), int(parts.get("port", 6379)), parts.get("path", "")), int(parts.get("db", 0))


def _connect_cluster(url: str) -> Any:
    """A redis-py client for what is to know about a Cluster; None for a single server. Raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme not in ("redis", "rediss", "unix"):
        raise ValueError("a Redis address starts with redis://, rediss:// or unix://")
    hosts = parts.netloc.rpartition("@")[2].split(",")
    if parts.scheme == "unix" or len(hosts) == 1:
        return None
    nodes = [_node(host) for host in hosts]
    login = Login(url)
    return redis_py.RedisCluster(
        startup_nodes=nodes, username=login.user, password=login.password, ssl=login.tls, retry=Retry(NoBackoff(), 0), protocol=3,
        socket_timeout=COMMAND_SECONDS * 0.8, socket_connect_timeout=COMMAND_SECONDS * 0.8,
    )  # fmt: skip


def _node(address: str) -> ClusterNode:
    parts = urlsplit(f"//{address}")
    if not parts.hostname:
        raise ValueError(f"{address!r} in the Redis address is no host:port")
    return ClusterNode(parts.hostname, parts.port or 6379)


def _moved(where: str, asked: Node) -> Node:
    """The node of a redirection "slot host:port"; without a host it is the one that was asked."""
    host, _, port = where.partition(" ")[2].rpartition(":")
    return Node(host or asked.host, int(port))
