"""`python -m benchmarks.chat`: chat messages from a socket of one gateway process, through the commit, to a socket of
another: ours beside the Express peer's, two processes each, in alternating runs on the same MariaDB and Redis.

Every user writes to some friends at the other process, in turn. The highest sustained rate is the last one of a rising
series at which no message was lost and p99 stayed within 250 ms. Ours keeps more: numbers, unread counts, an outbox and an
event log a user. The limit of 5 messages/s a user is raised.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import pymysql
import uvloop
from rich.console import Console
from rich.table import Table

from benchmarks import sides
from benchmarks.cases import uid
from benchmarks.chat_load import Crowd, Outcome, Person, Protocol
from benchmarks.tokens import Tokens
from cli.servers import LocalServers

TARGET = 1.5
# Of each user.
FRIENDS = 10
TARGET_MS = 50.0
# A rate is sustained while this holds, and nothing is lost.
MOST_MS = 250.0
STEP = 1.1
# The first users of the seed are teachers, and everybody's.
FIRST_USER = 11

OURS = Protocol(
    path=lambda token: "/ws",
    hello=lambda token: json.dumps({"id": "hello", "t": "connect", "d": {"token": token, "deviceId": "bench", "tabId": "1"}}),
    ready=b'{"id":"hello","d"',
    message=lambda own, to, body: (
        f'{{"id":"{own}","t":"chat.send","d":{{"to":"{to}","clientMessageId":"{own}","body":"{body}"}}}}'
    ),
    answer=b'{"id":',
)
PEER = Protocol(
    path=lambda token: f"/ws?access_token={token}",
    hello=None,
    ready=b'{"type":"ready"',
    message=lambda own, to, body: f'{{"type":"chat.send","id":"{own}","to":"{to}","body":"{body}"}}',
    answer=b'{"type":"ack"',
)
_COLUMNS = (
    "rate", "side", "messages/s", "p50 ms", "p99 ms", "gateways", "MariaDB", "Redis", "lost, twice", "load busy, late ms",
)  # fmt: skip


class Side(NamedTuple):
    """A side: how it speaks, its two gateways, and the processes that work for it, by what they are."""

    protocol: Protocol
    gateways: Sequence[sides.Side]
    processes: dict[str, Callable[[], list[int]]]


class Costs(NamedTuple):
    """Microseconds of CPU a message: of the gateway processes, of MariaDB and of Redis."""

    gateways: float
    mariadb: float
    redis: float


class Measured(NamedTuple):
    """Runs of a side at one rate."""

    outcomes: list[Outcome]
    costs: list[Costs]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chat", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="runs a side (default 5)")
    parser.add_argument("--seconds", type=float, default=3.0, help="seconds a run (default 3)")
    parser.add_argument("--users", type=int, default=1000, help="users, each with a socket (default 1000)")
    parser.add_argument("--rate", type=float, help="only measure at this rate, messages/s")
    parser.add_argument("--only", choices=("ours", "peer"), help="only this side")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sf-bench-")))
        servers = stack.enter_context(LocalServers(folder / "data", cache_megabytes=256))
        tokens = Tokens(folder)
        compared: dict[str, Side] = {}
        if options.only != "peer":
            compared["ours"] = start_ours(stack, servers, tokens, folder, options.users)
        if options.only != "ours":
            compared["peer"] = start_peer(stack, servers, tokens, folder)
        uvloop.run(measure(compared, tokens, options))


def start_ours(stack: ExitStack, servers: LocalServers, tokens: Tokens, folder: Path, users: int) -> Side:
    """Two servers of ours over one database, whose users are friends."""
    environment = {**sides.prepare_ours(servers, tokens.public_key)}
    pairs = [sorted(UUID(uid(f"u{number}")).bytes for number in pair) for pair in couples(users)]
    sql = "INSERT INTO friendships VALUES (%s, %s, 3, 0, 0, 0, UTC_TIMESTAMP(6))"
    connection = pymysql.connect(unix_socket=str(servers.mariadb_socket), user="root", database="skillforge")
    with connection, connection.cursor() as cursor:
        cursor.executemany(sql, pairs)
        connection.commit()
    gateways = [stack.enter_context(sides.ours(environment, folder))[0] for _ in range(2)]
    return Side(OURS, gateways, working(servers, gateways))


def start_peer(stack: ExitStack, servers: LocalServers, tokens: Tokens, folder: Path) -> Side:
    """Two processes of the peer over one database."""
    environment = sides.prepare_peer(servers, tokens.public_key, folder)
    gateways = [stack.enter_context(sides.peer_process(environment, folder)) for _ in range(2)]
    return Side(PEER, gateways, working(servers, gateways))


def couples(users: int) -> list[tuple[int, int]]:
    """Who are friends, by the users' numbers: FRIENDS of each, none of whom is at the same gateway."""
    half = users // 2
    return [(FIRST_USER + one, FIRST_USER + half + (one + turn) % half) for one in range(half) for turn in range(FRIENDS)]


def people(side: Side, tokens: Tokens, users: int) -> list[Person]:
    """The users of a side: of each couple one at either gateway."""
    friends: dict[int, list[str]] = {}
    for one, other in couples(users):
        friends.setdefault(one, []).append(uid(f"u{other}"))
        friends.setdefault(other, []).append(uid(f"u{one}"))
    ports = [int(gateway.url.rpartition(":")[2]) for gateway in side.gateways]
    place = {number: port for port, pair in zip(ports, zip(*couples(users), strict=True), strict=True) for number in pair}
    return [Person(place[number], tokens.of(f"user_{number}"), friends[number]) for number in sorted(friends)]


async def measure(compared: dict[str, Side], tokens: Tokens, options: argparse.Namespace) -> None:
    """Measure and print."""
    crowds = {name: Crowd(side.protocol, people(side, tokens, options.users)) for name, side in compared.items()}
    console = Console(width=130)
    for crowd in crowds.values():
        await crowd.open()
    try:
        if options.rate:
            rates = {"asked for": options.rate}
        else:
            highest = await search(crowds, options)
            console.print(rates_table(highest))
            tops = {name: statistics.median(found) for name, found in highest.items()}
            rates = {f"half of the highest of {name}": top / 2 for name, top in tops.items()}
            rates |= {f"the highest of {name}": top for name, top in tops.items()}
        table = Table(*_COLUMNS, title="Medians of alternating runs at one rate, CPU in µs a message")
        for what, rate in rates.items():
            found = await alternate(compared, crowds, rate, options)
            for name, measured in found.items():
                table.add_row(what, name, *row_of(measured))
        console.print(table)
    finally:
        for crowd in crowds.values():
            crowd.close()


async def search(crowds: dict[str, Crowd], options: argparse.Namespace) -> dict[str, list[float]]:
    """Each side's highest sustained rate, once a round; rounds alternate so that a slow minute of the machine hits both."""
    start = dict.fromkeys(crowds, 1000.0)
    highest: dict[str, list[float]] = {name: [] for name in crowds}
    for number in range(options.rounds + 1):
        for name, crowd in crowds.items():
            top = await climb(crowd, start[name], 1.3 if number == 0 else STEP, options.seconds)
            start[name] = top * 0.75
            if number:
                highest[name].append(top)
    return highest


async def climb(crowd: Crowd, rate: float, step: float, seconds: float) -> float:
    """The last sustained rate of a rising series. One bad run may be the machine's: two end the series."""
    last = rate / step
    while True:
        for _ in range(2):
            outcome = await crowd.run(rate, seconds)
            sustained = outcome.lost == 0 and outcome.refused == 0 and outcome.p99 <= MOST_MS
            if sustained:
                break
            await asyncio.sleep(1)
        if not sustained:
            return last
        last, rate = rate, rate * step


async def alternate(
    compared: dict[str, Side], crowds: dict[str, Crowd], rate: float, options: argparse.Namespace
) -> dict[str, Measured]:
    """Rounds of one run a side at a rate."""
    found = {name: Measured([], []) for name in compared}
    for _ in range(options.rounds):
        for name, side in compared.items():
            before = used(side)
            outcome = await crowds[name].run(rate, options.seconds)
            count = int(rate * options.seconds)
            found[name].outcomes.append(outcome)
            found[name].costs.append(
                Costs(*((after - start) / count * 1e6 for after, start in zip(used(side), before, strict=True)))
            )
            await asyncio.sleep(0.5)
    return found


def working(servers: LocalServers, gateways: Sequence[sides.Side]) -> dict[str, Callable[[], list[int]]]:
    """The processes of a side."""
    return {
        "gateways": lambda: [pid for gateway in gateways for pid in family(gateway.pid)],
        "mariadb": partial(lambda file: [int(file.read_text())], servers.mariadb.pid_file),
        "redis": partial(lambda file: [int(file.read_text())], servers.redis.pid_file),
    }


def family(pid: int) -> list[int]:
    """A process and those below it."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid, *(below for child in children for below in family(int(child)))]


def used(side: Side) -> Costs:
    """The seconds of CPU that a side's processes have used."""
    return Costs(*(sum(map(cpu_seconds, side.processes[name]())) for name in Costs._fields))


def cpu_seconds(pid: int) -> float:
    """What a process has used of the processor."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rates_table(highest: dict[str, list[float]]) -> Table:
    """The highest sustained rates, and how ours compares."""
    table = Table("side", "messages/s", "of the rounds", "ours ÷ it", "target", title="Highest sustained rate, median of rounds")
    medians = {name: statistics.median(found) for name, found in highest.items()}
    for name, found in highest.items():
        ratio, target = (
            ("", "") if name == "ours" or "ours" not in medians else (f"{medians['ours'] / medians[name]:.2f}", f"≥ {TARGET:g}")
        )
        table.add_row(name, f"{medians[name]:,.0f}", ", ".join(f"{rate:,.0f}" for rate in found), ratio, target)
    return table


def row_of(measured: Measured) -> list[str]:
    """Medians of runs, as cells."""
    median = Outcome(*(statistics.median(values) for values in zip(*measured.outcomes, strict=True)))
    costs = Costs(*(statistics.median(values) for values in zip(*measured.costs, strict=True)))
    lost, doubled = (sum(getattr(item, field) for item in measured.outcomes) for field in ("lost", "doubled"))
    return [
        f"{median.rate:,.0f}", f"{median.p50:.1f}", f"{median.p99:.1f}", f"{costs.gateways:.0f}", f"{costs.mariadb:.0f}",
        f"{costs.redis:.0f}", f"{lost}, {doubled}", f"{median.busy:.2f}, {median.late:.1f}",
    ]  # fmt: skip


if __name__ == "__main__":
    main()
