"""`python -m benchmarks.growth`: our hot calls on a small and on a large database, side by side.

Both databases are filled by `skillforge generate`, lie on one MariaDB and are served by one worker each. Requests go one
at a time, to the small and the large one in turns, so that a slow moment of the machine hits both.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from datetime import time as time_of_day
from itertools import cycle
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pymysql
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks import sides
from benchmarks.growth_calls import CALLS, Call, Population
from benchmarks.tokens import Tokens
from cli.generate import run_generate
from cli.servers import LocalServers
from cli.signing_keys import kept_signing_key
from core.certificates.keys import new_signing_key
from core.generate.plan import Plan
from core.settings import RATES, read_settings
from core.times import utc_now

TARGET = 1.3
TODAY = datetime.combine(utc_now(), time_of_day())
SIDES = ("small", "large")


class Side(NamedTuple):
    """One database with its server."""

    plan: Plan
    rows: int
    url: str
    requests: dict[str, Iterator[Call]]


def main() -> None:
    options = parse()
    console = Console(width=120)
    with ExitStack() as stack:
        temporary = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        servers = stack.enter_context(
            LocalServers(options.data_dir or temporary / "data", cache_megabytes=options.cache_megabytes)
        )
        tokens = Tokens(temporary)
        found = {}
        for number, name in enumerate(SIDES, 1):
            plan = plan_of(options, getattr(options, name))
            fill(servers, name, plan, console)
            url = stack.enter_context(serve(servers, name, number, tokens.public_key, temporary))
            with connect(servers, name) as connection:
                population = Population(connection, plan, tokens, options.sample)
                rows = population.value("SELECT COUNT(*) FROM lecture_progress")
                found[name] = Side(plan, rows, url, {call: cycle(make(population)) for call, make in CALLS.items()})
        print_table(console, options, found, measure(console, options, found))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("calls", nargs="*", metavar="CALL", help="which calls (default: all)")
    numbers = {
        "small": (1_000, "students of the small database"),
        "large": (1_000_000, "students of the large one"),
        "courses": (1_000, "courses of each; a tenth of all students is in the first"),
        "lectures": (10, "lectures a course"),
        "enrollments": (2, "enrollments a student"),
        "progress": (5, "completed lectures an enrollment, on average"),
        "sample": (400, "students that the requests come from"),
        "rounds": (7, "runs a side, after one to warm up"),
        "requests": (80, "requests a run"),
        "cache-megabytes": (3_000, "MariaDB's buffer pool"),
    }
    for name, (default, text) in numbers.items():
        parser.add_argument(f"--{name}", type=int, default=default, help=f"{text} (default {default:,})")
    parser.add_argument("--data-dir", type=Path, help="keep the databases here and use those of an earlier run")
    options = parser.parse_args()
    if unknown := set(options.calls) - set(CALLS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; choose from {', '.join(CALLS)}")
    return options


def plan_of(options: argparse.Namespace, students: int) -> Plan:
    return Plan(students, options.courses, options.lectures, options.enrollments, options.progress, seed=1, until=TODAY)


def connect(servers: LocalServers, database: str) -> pymysql.Connection[pymysql.cursors.Cursor]:
    return pymysql.connect(unix_socket=str(servers.mariadb_socket), user="root", database=database, autocommit=True)


def fill(servers: LocalServers, database: str, plan: Plan, console: Console) -> None:
    """Generate, unless an earlier run did."""
    url = servers.create_database(database)
    with connect(servers, database) as connection, connection.cursor() as cursor:
        if cursor.execute("SHOW TABLES LIKE 'audit_events'"):
            cursor.execute("SELECT COUNT(*) FROM audit_events WHERE target_id = %s", (plan.tag,))
            if cursor.fetchone() != (0,):
                return
    console.print(f"\n[bold]{database}[/]: {plan.students:,} students")
    secrets = {"CLERK_SECRET_KEY": "sk_test_benchmark", "CERTIFICATE_SIGNING_KEY": new_signing_key().decode("ascii")}
    settings = read_settings({"DATABASE_URL": url, "REDIS_URL": servers.redis_url(), **secrets})
    started = time.monotonic()
    asyncio.run(run_generate(settings, plan, console))
    console.print(f"generated in {time.monotonic() - started:.0f} s")


@contextmanager
def serve(servers: LocalServers, database: str, redis_db: int, pem: Path, folder: Path) -> Iterator[str]:
    """`skillforge serve` with one worker and limits out of the way."""
    port, grpc_port = sides.free_port(), sides.free_port()
    limits = {f"RATE_LIMIT_{name}": sides.GENEROUS for name in RATES}
    environment = {
        **limits,
        "DATABASE_URL": servers.database_url(database),
        "REDIS_URL": servers.redis_url(redis_db),
        "CLERK_SECRET_KEY": "sk_test_benchmark",
        "CERTIFICATE_SIGNING_KEY": str(kept_signing_key(folder)),
        "CLERK_JWT_KEY": str(pem),
        "LOG_LEVEL": "WARNING",
    }
    root = Path(__file__).parents[1]
    skillforge = [sys.executable, "-m", "cli.main"]
    subprocess.run([*skillforge, "migrate"], env={**os.environ, **environment}, check=True, timeout=600, cwd=root)
    command = [*skillforge, "serve", "--port", str(port), "--grpc-port", str(grpc_port)]
    with sides.process(command, environment, folder / f"{database}.log", f"http://127.0.0.1:{port}", cwd=root) as side:
        yield side.url


def measure(console: Console, options: argparse.Namespace, found: dict[str, Side]) -> dict[str, dict[str, list[float]]]:
    """The p50 of every run in milliseconds, by call and side."""
    names = options.calls or list(CALLS)
    medians: dict[str, dict[str, list[float]]] = {name: {side: [] for side in found} for name in names}
    clients = {side: http.client.HTTPConnection(urlsplit(item.url).netloc, timeout=60) for side, item in found.items()}
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("", total=len(names) * (options.rounds + 1))
        for name in names:
            for number in range(options.rounds + 1):
                times: dict[str, list[float]] = {side: [] for side in found}
                for _ in range(options.requests):
                    for side, item in found.items():
                        times[side].append(ask(clients[side], next(item.requests[name])))
                if number:
                    for side, values in times.items():
                        medians[name][side].append(statistics.median(values) * 1000)
                progress.update(task, advance=1, description=name)
    return medians


def ask(client: http.client.HTTPConnection, call: Call) -> float:
    """Make a call; the seconds it took."""
    started = time.perf_counter()
    client.request(call.verb, call.path, call.body, call.headers)
    response = client.getresponse()
    answer = response.read()
    seconds = time.perf_counter() - started
    if response.status >= 300:
        sys.exit(f"{call.verb} {call.path} answered {response.status}: {answer[:500]!r}")
    return seconds


def print_table(
    console: Console, options: argparse.Namespace, found: dict[str, Side], medians: dict[str, dict[str, list[float]]]
) -> None:
    heads = [f"{found[side].rows:,} progress rows, {found[side].plan.students:,} students" for side in SIDES]
    title = f"p50 in ms, median of {options.rounds} runs of {options.requests} requests to each in turns, one worker"
    table = Table("call", *heads, "ratio", "target", title=title)
    for name, sides_of in medians.items():
        small, large = (statistics.median(sides_of[side]) for side in SIDES)
        ratio = large / small
        colour = "green" if ratio <= TARGET else "red"
        table.add_row(name, f"{small:.2f}", f"{large:.2f}", f"[{colour}]{ratio:.2f}[/]", f"≤ {TARGET}")
    console.print(table)


if __name__ == "__main__":
    main()
