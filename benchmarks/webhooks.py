"""`python -m benchmarks.webhooks`: signed payment webhooks, each of another payment, until its enrollment is unlocked: ours
beside the Express peer's, in alternating runs on the same MariaDB and Redis.

Ours keeps more: the ledger, the entitlement, the course's numbers and the news for the student, in the same transaction. Both
commit durably before they answer. The second line sends one event at a time: what shares a transaction must cost nobody a wait.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import pymysql
from rich.console import Console
from rich.table import Table

from benchmarks import sides
from benchmarks.cases import uid, write_cases
from benchmarks.load import cpu_seconds
from cli.servers import LocalServers

SECRET = "whsec_benchmark"
TARGET = 1.5
# More than either side can settle: of many at once, and of one after the other.
MOST_A_SECOND = {False: 4000, True: 800}
# MariaDB keeps in memory all that either side writes here.
CACHE_MEGABYTES = 512
PRICE = 4900
# What goes on behind the last answer belongs to the run: news on its way, pages to be written.
SETTLE_SECONDS = 0.5
STUDENTS = range(11, 2001)


class Sale(NamedTuple):
    """A payment that is open: its id, the student and the course."""

    payment_id: str
    student_id: str
    course_id: str


class Run(NamedTuple):
    """What a run gave: events a second, p50 and p99 in milliseconds, answers that were no success, all answers, and the
    microseconds of CPU an event of the side's process, of MariaDB and of Redis."""

    rate: float
    p50: float
    p99: float
    errors: float
    answers: float
    own: float = 0.0
    mariadb: float = 0.0
    redis: float = 0.0


class Side(NamedTuple):
    """Where a side listens, its database, the header it looks for the signature in, and its process."""

    url: str
    database: str
    header: str
    pid: int = 0


# Runs by what is shown of them and by side.
Runs = dict[str, dict[str, list[Run]]]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.webhooks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="runs a side, after one to warm up (default 5)")
    parser.add_argument("--seconds", type=int, default=3, help="seconds a run (default 3)")
    parser.add_argument("--connections", type=int, default=64, help="open connections (default 64)")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed: apt-get install wrk, or brew install wrk")
    os.environ |= {"PAYMENT_WEBHOOK_SECRETS": SECRET, "WEBHOOK_SECRET": SECRET}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        servers = stack.enter_context(LocalServers(folder / "data", cache_megabytes=CACHE_MEGABYTES))
        pem, _ = write_cases(folder)
        ours, _ = stack.enter_context(sides.ours(sides.prepare_ours(servers, pem), folder))
        peer = stack.enter_context(sides.peer(servers, pem, folder))
        compared = {
            "ours": Side(ours.url, "skillforge", "SkillForge-Signature", ours.pid),
            "peer": Side(peer.url, "peer", "X-Signature", peer.pid),
        }
        runs = compare(servers, compared, folder, options)
    Console(width=120).print(table(runs))


def compare(servers: LocalServers, compared: dict[str, Side], folder: Path, options: argparse.Namespace) -> Runs:
    """Rounds of one run a side, so that a slow minute of the machine hits both; the first round warms up."""
    loads = {f"webhook, {options.connections} at once": options.connections, "webhook, one at a time": 1}
    runs: Runs = {shown: {side: [] for side in compared} for shown in loads}
    start = 0
    for number in range(options.rounds + 1):
        for shown, connections in loads.items():
            count = options.seconds * MOST_A_SECOND[connections == 1]
            sold, start = sales(start, count), start + count
            for name, side in compared.items():
                run = run_once(servers, side, sold, folder, connections, options.seconds)
                if number:
                    runs[shown][name].append(run)
    return runs


def run_once(servers: LocalServers, side: Side, sold: list[Sale], folder: Path, connections: int, seconds: int) -> Run:
    """One run of a side, whose enrollments are counted afterwards."""
    seed(servers, side, sold)
    events = write_events(folder, side, sold)
    pids = (side.pid, *(int(server.pid_file.read_text()) for server in (servers.mariadb, servers.redis)))
    before = [cpu_seconds(pid) for pid in pids]
    run = load(side, events, connections, seconds)
    time.sleep(SETTLE_SECONDS)
    cpu = ((cpu_seconds(pid) - was) / max(1, run.answers) * 1e6 for pid, was in zip(pids, before, strict=True))
    unlocked = count_unlocked(servers, side, sold)
    # Those that were on their way at the end are unlocked too, and not counted.
    if not run.answers <= unlocked <= run.answers + connections or unlocked == len(sold):
        sys.exit(f"{side.database}: {run.answers} answers, and {unlocked} of {len(sold)} enrollments are unlocked")
    return Run(*run[:5], *cpu)


def sales(start: int, count: int) -> list[Sale]:
    """So many payments, each of a student for a course they are not enrolled in by the seed; `start` tells runs apart."""
    found = []
    for number in range(start, start + count):
        student, turn = STUDENTS[number % len(STUDENTS)], number // len(STUDENTS)
        enrolled = {(student * 7 + k * 31) % 200 for k in range(1, 6)}
        free = [course for course in range(200) if course not in enrolled]
        course = free[(turn + student) % len(free)]
        found.append(Sale(uid(f"p{number}"), uid(f"u{student}"), uid(f"c{1 + course}")))
    return found


def seed(servers: LocalServers, side: Side, sold: list[Sale]) -> None:
    """The open payments, in the side's database."""
    ids = [tuple(UUID(item).bytes for item in sale) for sale in sold]
    if side.database == "peer":
        sql = "INSERT INTO payments VALUES (%s, %s, %s, 4900, 'USD', 'pending')"
    else:
        sql = """
            INSERT INTO payments (id, student_id, course_id, amount_minor, currency, refunded_minor, status, open_slot, provider,
              provider_reference, checkout_url, create_time, update_time, expire_time, list_price_minor)
            VALUES (%s, %s, %s, 4900, 'USD', 0, 1, 1, 'fake', '', '', UTC_TIMESTAMP(6), UTC_TIMESTAMP(6),
              UTC_TIMESTAMP(6) + INTERVAL 30 MINUTE, 4900)
        """
    with database(servers, side) as connection, connection.cursor() as cursor:
        cursor.executemany(sql, ids)
        connection.commit()


def count_unlocked(servers: LocalServers, side: Side, sold: list[Sale]) -> int:
    """How many of the sold courses their students are enrolled in."""
    join = "JOIN payments p ON p.student_id = e.student_id AND p.course_id = e.course_id"
    with database(servers, side) as connection, connection.cursor() as cursor:
        ids = [UUID(sale.payment_id).bytes for sale in sold]
        cursor.execute(f"SELECT COUNT(*) FROM enrollments e {join} WHERE p.id IN %s", (ids,))
        return int(cursor.fetchall()[0][0])


def database(servers: LocalServers, side: Side) -> pymysql.Connection:
    return pymysql.connect(unix_socket=str(servers.mariadb_socket), user="root", database=side.database)


def write_events(folder: Path, side: Side, sold: list[Sale]) -> Path:
    """A signed event for each payment, in the side's words."""
    now, rows = int(time.time()), []
    for sale in sold:
        event_id = f"evt_{sale.payment_id}"
        body = json.dumps(
            {"id": event_id, "paymentId": sale.payment_id}
            if side.database == "peer"
            else {
                "id": event_id, "type": "payment.succeeded", "created": now,
                "data": {"paymentId": sale.payment_id, "amountMinor": PRICE, "currency": "USD"},
            }
        )  # fmt: skip
        digest = hmac.new(SECRET.encode(), f"{now}.{body}".encode(), hashlib.sha256).hexdigest()
        rows.append(f"{{'t={now},v1={digest}',[[{body}]]}}")
    path = folder / "events.lua"
    path.write_text("return {" + ",\n".join(rows) + "}")
    return path


def load(side: Side, events: Path, connections: int, seconds: int) -> Run:
    """Send events for some seconds, each once."""
    script = str(Path(__file__).parent / "webhooks.lua")
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", script, side.url]
    environment = {**os.environ, "CASES": str(events), "HEADER": side.header}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=seconds + 60, check=True)
    result = next(line for line in done.stdout.splitlines() if line.startswith("RESULT ")).split()[1:]
    answers, microseconds, p50, p99, errors = (float(value) for value in result)
    return Run(answers / microseconds * 1e6, p50, p99, errors, answers)


def table(runs: Runs) -> Table:
    """The medians, and how ours compares."""
    columns = ("events/s", "p50 ms", "p99 ms", "errors", "CPU µs: own", "MariaDB", "Redis", "ours ÷ it", "by CPU", "target")
    shown = Table("call", "side", *columns, title="Medians of alternating runs")
    for call, sides_runs in runs.items():
        medians = {side: Run(*(statistics.median(values) for values in zip(*of, strict=True))) for side, of in sides_runs.items()}
        ours = medians["ours"]
        for side, run in medians.items():
            ratios = ("", "", "")
            if side != "ours":
                by_cpu = sum(run[5:]) / sum(ours[5:])
                ratios = (f"{ours.rate / run.rate:.2f}", f"{by_cpu:.2f}", f"≥ {TARGET:g}" if call != list(runs)[-1] else "")
            figures = (f"{run.rate:,.0f}", f"{run.p50:.1f}", f"{run.p99:.1f}", f"{run.errors:.0f}")
            shown.add_row(call, side, *figures, *(f"{value:.0f}" for value in run[5:]), *ratios)
    return shown


if __name__ == "__main__":
    main()
