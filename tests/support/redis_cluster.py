"""A Redis Cluster of three masters and three replicas on this machine, in one folder."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import redis

from cli.servers import Server, find_program

HOST = "127.0.0.1"
SLOTS = 16384
MASTERS = 3
START_SECONDS = 30.0
# How soon a silent node counts as failed.
NODE_TIMEOUT_MS = 1000


class RedisCluster:
    """Use it as a context manager; every method blocks."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.ports = _free_ports(MASTERS * 2 * 2)
        self.nodes = [self._server(port, bus) for port, bus in zip(self.ports[::2], self.ports[1::2], strict=True)]
        self.ports = self.ports[::2]

    @property
    def url(self) -> str:
        """The address of all nodes."""
        return "redis://" + ",".join(f"{HOST}:{port}" for port in self.ports)

    def __enter__(self) -> Self:
        for node in self.nodes:
            node.spawn()
        try:
            for node in self.nodes:
                node.wait_ready(START_SECONDS)
            self._join()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for node in self.nodes:
            node.stop(kill=True)

    def kill(self, number: int) -> None:
        """End a node with SIGKILL."""
        self.nodes[number].stop(kill=True)

    def masters(self) -> set[int]:
        """The numbers of the nodes that are masters of slots, as a living node sees it."""
        for port in self.ports:
            with suppress(redis.RedisError), _client(port) as client:
                return {
                    self.ports.index(node["port"])
                    for shard in map(_named, client.execute_command("CLUSTER SHARDS"))
                    for node in map(_named, shard["nodes"])
                    if shard["slots"] and node["role"] == b"master" and node["health"] == b"online"
                }
        return set()

    def move_slot(self, slot: int, source: int, target: int) -> None:
        """Give a slot and its keys to another master."""
        clients = [_client(port) for port in self.ports]
        ids = [client.execute_command("CLUSTER MYID") for client in clients]
        clients[target].execute_command(f"CLUSTER SETSLOT {slot} IMPORTING", ids[source])
        clients[source].execute_command(f"CLUSTER SETSLOT {slot} MIGRATING", ids[target])
        while names := clients[source].execute_command("CLUSTER GETKEYSINSLOT", slot, 100):
            clients[source].execute_command("MIGRATE", HOST, self.ports[target], "", 0, 2000, "KEYS", *names)
        for number in (target, source):
            clients[number].execute_command(f"CLUSTER SETSLOT {slot} NODE", ids[target])
        for client in clients:
            client.close()

    def owner(self, slot: int) -> int:
        """The number of the master of a slot."""
        with _client(self.ports[0]) as client:
            for first, last, master, *_ in client.execute_command("CLUSTER SLOTS"):
                if first <= slot <= last:
                    return self.ports.index(master[1])
        raise LookupError(slot)

    def _join(self) -> None:
        clients = [_client(port) for port in self.ports]
        part = SLOTS // MASTERS
        for number, client in enumerate(clients[:MASTERS]):
            last = SLOTS - 1 if number == MASTERS - 1 else (number + 1) * part - 1
            client.execute_command("CLUSTER ADDSLOTSRANGE", number * part, last)
            client.execute_command("CLUSTER SET-CONFIG-EPOCH", number + 1)
        for port, bus in zip(self.ports[1:], self._buses()[1:], strict=True):
            clients[0].execute_command("CLUSTER MEET", HOST, port, bus)
        self._until(lambda: all(client.cluster("INFO")["cluster_known_nodes"] == str(len(clients)) for client in clients))
        for number, client in enumerate(clients[MASTERS:]):
            client.execute_command("CLUSTER REPLICATE", clients[number].execute_command("CLUSTER MYID"))
        self._until(lambda: all(client.cluster("INFO")["cluster_state"] == "ok" for client in clients))
        self._until(lambda: all(client.info("replication")["master_link_status"] == "up" for client in clients[MASTERS:]))
        for client in clients:
            client.close()

    def _buses(self) -> list[int]:
        return [int(node.bus) for node in self.nodes]

    @staticmethod
    def _until(done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            with suppress(redis.RedisError, KeyError):
                if done():
                    return
            assert time.monotonic() < deadline, "the cluster did not come together"
            time.sleep(0.02)

    def _server(self, port: int, bus: int) -> _Node:
        folder = self._folder / str(port)
        folder.mkdir()
        return _Node(folder, port, bus)


class _Node(Server):
    def __init__(self, folder: Path, port: int, bus: int) -> None:
        self.port = port
        self.bus = bus
        command = [
            find_program("redis-server"), "--port", str(port), "--bind", HOST, "--cluster-enabled", "yes",
            "--cluster-port", str(bus), "--cluster-node-timeout", str(NODE_TIMEOUT_MS), "--dir", str(folder),
            "--save", "", "--appendonly", "no", "--repl-diskless-sync-delay", "0",
        ]  # fmt: skip
        super().__init__("redis", folder, folder, lambda: command, self._ping)

    def _ping(self) -> None:
        with socket.create_connection((HOST, self.port), timeout=5) as connection:
            connection.sendall(b"PING\r\n")
            if connection.recv(100) != b"+PONG\r\n":
                raise ConnectionError("not ready")


def _client(port: int) -> Any:
    """A client of one node; its commands have no types."""
    return redis.Redis(HOST, port)


def _named(fields: dict[bytes, Any]) -> dict[str, Any]:
    return {name.decode(): value for name, value in fields.items()}


def _free_ports(count: int) -> list[int]:
    """Ports nobody listens at now."""
    listeners = [socket.create_server((HOST, 0)) for _ in range(count)]
    try:
        return [int(listener.getsockname()[1]) for listener in listeners]
    finally:
        for listener in listeners:
            listener.close()
