"""`python -m benchmarks.sockets`: what an idle authenticated socket costs, and how long a storm of resuming ones takes.

Memory is the growth of the serving process's resident set, a socket: ours, a bare aiohttp socket's, and the Express peer's.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import aiohttp
import orjson
import pymysql
from rich.console import Console

from benchmarks import sides
from benchmarks.tokens import Tokens
from cli.servers import LocalServers

USERS = 2000
WARM = 100
AT_ONCE = 64

T = TypeVar("T")
Open = Callable[[aiohttp.ClientSession, int], Awaitable[aiohttp.ClientWebSocketResponse]]


def resident(pid: int) -> int:
    """Bytes of a process's resident set."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


def cpu_seconds(pid: int) -> float:
    """What a process has used of the processor."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def server_of(port: int) -> int:
    """The process that listens at a port; of several the youngest, which is the worker."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    inodes = {f"socket:[{row[9]}]" for row in rows if row[3] == "0A" and int(row[1].rpartition(":")[2], 16) == port}
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if any(str(item.readlink()) in inodes for item in (folder / "fd").iterdir()):
                found.append(int(folder.name))
        except OSError:
            continue
    return max(found)


async def open_all(
    session: aiohttp.ClientSession, opened: Callable[[aiohttp.ClientSession, int], Awaitable[T]], numbers: range,
    at_once: int = AT_ONCE,
) -> list[T]:  # fmt: skip
    """A socket for each number, so many at once."""
    gate = asyncio.Semaphore(at_once)

    async def one(number: int) -> T:
        async with gate:
            return await opened(session, number)

    return await asyncio.gather(*(one(number) for number in numbers))


async def memory(port: int, opened: Open, count: int) -> float:
    """Bytes a socket."""
    pid = server_of(port)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        warm = await open_all(session, opened, range(1, WARM + 1))
        await asyncio.sleep(1)
        before = resident(pid)
        sockets = await open_all(session, opened, range(WARM + 1, WARM + count + 1))
        await asyncio.sleep(3)
        after = resident(pid)
        await asyncio.gather(*(socket.close() for socket in (*warm, *sockets)))
    return (after - before) / count


def ours(url: str, tokens: Tokens) -> Open:
    async def opened(session: aiohttp.ClientSession, number: int) -> aiohttp.ClientWebSocketResponse:
        socket, _ = await connect(session, url, tokens.of(f"user_{number}"))
        return socket

    return opened


async def connect(
    session: aiohttp.ClientSession, url: str, token: str, resume: Any = None
) -> tuple[aiohttp.ClientWebSocketResponse, Any]:
    socket = await session.ws_connect(f"{url}/ws", timeout=aiohttp.ClientWSTimeout(ws_close=60))
    data = {"token": token, "deviceId": "bench", "tabId": "1"} | ({"resume": resume} if resume else {})
    await socket.send_str(orjson.dumps({"id": 1, "t": "connect", "d": data}).decode())
    reply = {}
    while "id" not in reply:
        reply = orjson.loads(await socket.receive_str(timeout=60))
    if "err" in reply:
        sys.exit(f"a socket was refused: {reply['err']}")
    return socket, reply["d"]


def peer(url: str, tokens: Tokens) -> Open:
    async def opened(session: aiohttp.ClientSession, number: int) -> aiohttp.ClientWebSocketResponse:
        socket = await session.ws_connect(f"{url}/ws?access_token={tokens.of(f'user_{number}')}")
        await socket.receive_str(timeout=60)
        return socket

    return opened


def plain(url: str) -> Open:
    async def opened(session: aiohttp.ClientSession, number: int) -> aiohttp.ClientWebSocketResponse:
        return await session.ws_connect(f"{url}/ws")

    return opened


def history_reads(servers: LocalServers) -> int:
    """How many rows of messages MariaDB has read since it counts; the first call lets it begin."""
    with pymysql.connect(unix_socket=str(servers.mariadb_socket), user="root") as connection, connection.cursor() as cursor:
        cursor.execute("SET GLOBAL userstat = 1")
        cursor.execute(
            "SELECT SUM(ROWS_READ) FROM information_schema.TABLE_STATISTICS WHERE TABLE_NAME IN ('conversations', 'messages')"
        )
        row = cursor.fetchone()
        return int(row[0] or 0) if row is not None else 0


class Storm(NamedTuple):
    """How long it took until all were back, and the server's processor with it, in seconds; how many were recovered; and
    how many rows of messages MariaDB read for it."""

    seconds: float
    cpu: float
    recovered: int
    history: int


async def storm(servers: LocalServers, url: str, tokens: Tokens) -> Storm:
    """All users' sockets break and come back at once."""
    pid = server_of(port_of(url))
    people = {number: tokens.of(f"user_{number}") for number in range(1, USERS + 1)}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        first = await open_all(session, lambda s, n: connect(s, url, people[n]), range(1, USERS + 1))
        await asyncio.gather(*(socket.close() for socket, _ in first))
        await asyncio.sleep(2)
        before, began, used = history_reads(servers), time.monotonic(), cpu_seconds(pid)

        async def again(s: aiohttp.ClientSession, number: int) -> Any:
            _, connected = first[number - 1]
            return await connect(s, url, people[number], {"epoch": connected["epoch"], "offset": connected["offset"]})

        second = await open_all(session, again, range(1, USERS + 1), at_once=USERS)
        seconds, cpu, after = time.monotonic() - began, cpu_seconds(pid) - used, history_reads(servers)
        await asyncio.gather(*(socket.close() for socket, _ in second))
    recovered = sum(connected["recovered"] for _, connected in second)
    return Storm(seconds, cpu, recovered, after - before)


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sockets", type=int, default=USERS - WARM, help="idle sockets, at most %(default)s")
    parser.add_argument("--no-peer", action="store_true", help="without the Express peer")
    options = parser.parse_args()
    console = Console()
    with tempfile.TemporaryDirectory(prefix="sf-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        servers = stack.enter_context(LocalServers(folder / "data", fast=True))
        tokens = Tokens(folder)
        sizes: dict[str, float] = {}
        bare_port = sides.free_port()
        command = [sys.executable, "-m", "benchmarks.bare_ws", str(bare_port)]
        bare = f"http://127.0.0.1:{bare_port}"
        with sides.process(command, {}, folder / "bare.log", bare, cwd=sides.HERE.parent):
            sizes["bare aiohttp"] = asyncio.run(memory(bare_port, plain(bare), options.sockets))
        with sides.ours(sides.prepare_ours(servers, tokens.public_key), folder) as ((url, _), _):
            sizes["ours"] = asyncio.run(memory(port_of(url), ours(url, tokens), options.sockets))
            blown = asyncio.run(storm(servers, url, tokens))
        if not options.no_peer:
            with sides.peer(servers, tokens.public_key, folder) as (url, _):
                sizes["Express peer"] = asyncio.run(memory(port_of(url), peer(url, tokens), options.sockets))
        for side, size in sizes.items():
            console.print(f"{side:13} {size / 1024:6.1f} KiB a socket   ours / {side}: {sizes['ours'] / size:.2f}")
        console.print(
            f"storm of {USERS}: all back after {blown.seconds:.1f} s ({blown.cpu:.1f} s of the server's processor), "
            f"{blown.recovered} recovered, {blown.history} rows of messages read"
        )


if __name__ == "__main__":
    main()
