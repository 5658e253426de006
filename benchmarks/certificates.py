"""`python -m benchmarks.certificates`: what certificates cost: others while one is made, and whoever asks for one again.

Requests at a steady rate, with and without certificates being rendered and signed beside them, in turns; and repeated
downloads beside a bare aiohttp handler that returns the same bytes.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import aiohttp
import jwt
import pymysql
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from rich.console import Console
from rich.table import Table

from benchmarks import sides
from benchmarks.cases import STUDENTS
from cli.servers import LocalServers
from core.certificates.rules import new_certificate_id

DATABASE = "skillforge"
# What other students do meanwhile: one request of each in turn.
OTHERS = ("/courses?pageSize=20", "/auth/me", "/enrollments", "/certificates")
P99_TARGET, RATE_TARGET = 2.0, 0.5


class Beside(NamedTuple):
    """Milliseconds of other requests in one run, and how many certificates were made beside it."""

    p50: float
    p99: float
    made: int


class Population:
    """Students with tokens, and certificates that were never downloaded, as (token, id)."""

    def __init__(self, folder: Path) -> None:
        key = rsa.generate_private_key(65537, 2048)
        public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        self.pem = folder / "pub.pem"
        self.pem.write_bytes(public)
        now = int(time.time())
        claims = ({"sub": f"user_{number}", "sid": f"s_{number}", "iat": now, "exp": now + 86400} for number in STUDENTS)
        self.tokens = {number: jwt.encode(claim, key, "RS256") for number, claim in zip(STUDENTS, claims, strict=True)}
        self.certificates: Iterator[tuple[str, str]] = iter(())

    def graduate(self, servers: LocalServers) -> None:
        """Issue a certificate for every enrollment, straight into the database."""
        rows, issued = "SELECT e.student_id, e.course_id, u.clerk_id FROM enrollments e JOIN users u ON u.id = e.student_id", []
        insert = """
            INSERT INTO certificates (id, student_id, course_id, instructor_id, student_name, course_title, instructor_name,
              score_percent, complete_time, status, issue_time)
            SELECT %s, %s, c.id, c.instructor_id, 'Åsa Ångström', 'Distributed Systems in Practice', 'Ольга Петрова', 97.5,
              NOW(6), 1, NOW(6) FROM courses c WHERE c.id = %s
        """
        with (
            pymysql.connect(unix_socket=str(servers.mariadb_socket), user="root", database=DATABASE, autocommit=True) as db,
            db.cursor() as cursor,
        ):
            cursor.execute(rows)
            for student_id, course_id, clerk_id in cursor.fetchall():
                token = self.tokens.get(int(clerk_id.removeprefix("user_")))
                if token is not None:
                    certificate_id = new_certificate_id()
                    cursor.execute(insert, (certificate_id, student_id, course_id))
                    issued.append((token, certificate_id))
        self.certificates = iter(issued)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.certificates", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="runs a side, after one to warm up (default 5)")
    parser.add_argument("--seconds", type=int, default=6, help="seconds a run (default 6)")
    parser.add_argument("--rate", type=int, default=100, help="other requests a second (default 100)")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed: apt-get install wrk, or brew install wrk")
    console = Console(width=120)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        servers = stack.enter_context(LocalServers(folder / "data"))
        people = Population(folder)
        (url, _), _ = stack.enter_context(sides.ours(sides.prepare_ours(servers, people.pem), folder))
        people.graduate(servers)
        console.print(beside_table(asyncio.run(measure_beside(url, people, options)), options))
        console.print(download_table(measure_downloads(url, people, folder, options)))


async def measure_beside(url: str, people: Population, options: argparse.Namespace) -> dict[str, list[Beside]]:
    runs: dict[str, list[Beside]] = {"idle": [], "rendering": []}
    async with aiohttp.ClientSession(url) as session:
        await session.get("/courses")
        for number in range(options.rounds + 1):
            for kind, found in runs.items():
                seconds = options.seconds if number else 2
                run = await one_run(session, people, seconds, options.rate, rendering=kind == "rendering")
                if number:
                    found.append(run)
    return runs


async def one_run(session: aiohttp.ClientSession, people: Population, seconds: float, rate: int, *, rendering: bool) -> Beside:
    """Other requests at a steady rate, each on its time whether or not those before are answered."""
    made, took = 0, list[float]()

    async def render() -> None:
        nonlocal made
        while True:
            token, certificate_id = next(people.certificates)
            await get(session, f"/certificates/{certificate_id}/download", token)
            made += 1

    async def one(path: str, token: str) -> None:
        started = time.perf_counter()
        await get(session, path, token)
        took.append((time.perf_counter() - started) * 1000)

    beside = [asyncio.create_task(render()) for _ in range(2 if rendering else 0)]
    tokens, start, asked = list(people.tokens.values()), time.perf_counter(), []
    for number in range(int(seconds * rate)):
        await asyncio.sleep(max(0.0, start + number / rate - time.perf_counter()))
        asked.append(asyncio.create_task(one(OTHERS[number % len(OTHERS)], tokens[number % len(tokens)])))
    await asyncio.gather(*asked)
    for task in beside:
        task.cancel()
    for outcome in await asyncio.gather(*beside, return_exceptions=True):
        if not isinstance(outcome, asyncio.CancelledError):
            raise SystemExit(f"rendering ended: {outcome!r}")
    centiles = statistics.quantiles(took, n=100)
    return Beside(centiles[49], centiles[98], made)


async def get(session: aiohttp.ClientSession, path: str, token: str) -> bytes:
    async with session.get(path, headers={"Authorization": f"Bearer {token}"}) as answer:
        body = await answer.read()
        if answer.status != 200:
            raise SystemExit(f"{path} answered {answer.status}: {body[:300]!r}")
        return body


def measure_downloads(url: str, people: Population, folder: Path, options: argparse.Namespace) -> dict[str, list[float]]:
    """Requests a second of one certificate's file, and of a bare handler with the same bytes."""
    token, certificate_id = next(people.certificates)
    path = f"/certificates/{certificate_id}/download"

    async def fetch() -> bytes:
        async with aiohttp.ClientSession(url) as session:
            return await get(session, path, token)

    runs: dict[str, list[float]] = {"ours": [], "bare aiohttp": []}
    with sides.bare("handler", asyncio.run(fetch()), folder) as bare:
        targets = {"ours": url + path, "bare aiohttp": bare.url + "/courses"}
        for number in range(options.rounds + 1):
            for side, target in targets.items():
                rate = wrk(target, token, options.seconds if number else 2)
                if number:
                    runs[side].append(rate)
    return runs


def wrk(url: str, token: str, seconds: int) -> float:
    command = ["wrk", "-t1", "-c8", f"-d{seconds}s", "-H", f"Authorization: Bearer {token}", url]
    said = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60, check=True).stdout
    if "Non-2xx" in said:
        raise SystemExit(said)
    found = re.search(r"Requests/sec:\s+([0-9.]+)", said)
    assert found is not None, said
    return float(found[1])


def beside_table(runs: dict[str, list[Beside]], options: argparse.Namespace) -> Table:
    title = f"{options.rate} other requests a second, beside the making of certificates: medians of alternating runs"
    table = Table("beside", "p50 ms", "p99 ms", "certificates/s", "p99 ÷ idle", "target", title=title)
    medians = {kind: Beside(*(statistics.median(values) for values in zip(*found, strict=True))) for kind, found in runs.items()}
    for kind, run in medians.items():
        ratio, target = ("", "") if kind == "idle" else (f"{run.p99 / medians['idle'].p99:.2f}", f"≤ {P99_TARGET:g}")
        table.add_row(kind, f"{run.p50:.1f}", f"{run.p99:.1f}", f"{run.made / options.seconds:.1f}", ratio, target)
    return table


def download_table(runs: dict[str, list[float]]) -> Table:
    table = Table("repeated download", "requests/s", "ours ÷ it", "target", title="Medians of alternating runs")
    medians = {side: statistics.median(found) for side, found in runs.items()}
    for side, rate in medians.items():
        ratio, target = ("", "") if side == "ours" else (f"{medians['ours'] / rate:.2f}", f"≥ {RATE_TARGET:.2f}")
        table.add_row(side, f"{rate:,.0f}", ratio, target)
    return table


if __name__ == "__main__":
    main()
