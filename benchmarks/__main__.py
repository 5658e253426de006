"""`python -m benchmarks`: our hot calls beside the Express peer's, in one run on the same MariaDB and Redis."""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks import codec, sides
from benchmarks.cases import uid, write_cases
from cli.servers import LocalServers

MODES = ("list", "tree", "mark", "progress")
TARGETS = {"list": 4.0, "tree": 4.0, "mark": 2.0, "progress": 2.0}


class Run(NamedTuple):
    """What one wrk run printed: requests a second, p50 and p99 in milliseconds, answers that were no success."""

    rate: float
    p50: float
    p99: float
    errors: int


def wrk(url: str, mode: str, cases: Path, seconds: int, connections: int) -> Run:
    """Load a URL for some seconds from one thread."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(Path(__file__).parent / "load.lua"), url]
    environment = {**os.environ, "MODE": mode, "CASES": str(cases)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=seconds + 60, check=True)
    result = next(line for line in done.stdout.splitlines() if line.startswith("RESULT "))
    rate, p50, p99, errors = result.split()[1:]
    return Run(float(rate), float(p50), float(p99), int(errors))


def alternate(urls: dict[str, str], mode: str, cases: Path, options: argparse.Namespace) -> Iterator[tuple[str, Run]]:
    """Rounds of one short run a side, so that a slow minute of the machine hits both; the first round warms up."""
    for number in range(options.rounds + 1):
        for side, url in urls.items():
            run = wrk(url, mode, cases, options.seconds if number else 2, options.connections)
            if number:
                yield side, run


def median(runs: list[Run]) -> Run:
    return Run(*(statistics.median(values) for values in zip(*runs, strict=True)))


def fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return bytes(answer.read())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("modes", nargs="*", metavar="CALL", help=f"which of {', '.join(MODES)} (default: all)")
    parser.add_argument("--rounds", type=int, default=5, help="runs a side, after one to warm up (default 5)")
    parser.add_argument("--seconds", type=int, default=4, help="seconds a run (default 4)")
    parser.add_argument("--connections", type=int, default=16, help="open connections (default 16)")
    options = parser.parse_args()
    options.modes = options.modes or list(MODES)
    if unknown := set(options.modes) - set(MODES):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; choose from {', '.join(MODES)}")
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed: apt-get install wrk, or brew install wrk")
    console = Console(width=120)
    codec.print_figures(console)
    table = Table(
        "call", "side", "requests/s", "p50 ms", "p99 ms", "errors", "ours ÷ it", "target", title="Medians of alternating runs"
    )
    with ExitStack() as stack, Progress(console=console, transient=True) as progress:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        task = progress.add_task("starting both sides", total=len(options.modes) * 3 * (options.rounds + 1))
        servers = stack.enter_context(LocalServers(folder / "data"))
        pem, cases = write_cases(folder)
        urls = {"ours": stack.enter_context(sides.ours(servers, pem, folder))}
        urls["peer"] = stack.enter_context(sides.peer(servers, pem, folder))
        for mode in options.modes:
            with ExitStack() as inner:
                compared = dict(urls)
                if mode in ("list", "tree"):
                    path = "/courses?pageSize=20" if mode == "list" else f"/courses/{uid('c1')}"
                    compared["bare aiohttp"] = inner.enter_context(sides.bare(fetch(urls["ours"] + path), folder))
                runs: dict[str, list[Run]] = {side: [] for side in compared}
                for side, run in alternate(compared, mode, cases, options):
                    runs[side].append(run)
                    progress.update(task, advance=1, description=f"{mode} {side}")
            add_rows(table, mode, {side: median(items) for side, items in runs.items()})
    console.print(table)


def add_rows(table: Table, mode: str, medians: dict[str, Run]) -> None:
    for side, run in medians.items():
        ratio = "" if side == "ours" else f"{medians['ours'].rate / run.rate:.2f}"
        target = {"peer": f"≥ {TARGETS[mode]:g}", "bare aiohttp": "≥ 0.60"}.get(side, "")
        table.add_row(mode, side, f"{run.rate:,.0f}", f"{run.p50:.1f}", f"{run.p99:.1f}", f"{run.errors:.0f}", ratio, target)


if __name__ == "__main__":
    main()
