"""`python -m benchmarks`: our hot calls beside the Express peer's and beside bare handlers, in one run on the same MariaDB
and Redis."""

from __future__ import annotations

import argparse
import json
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import grpc
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks import codec, load, sides
from benchmarks.cases import uid, write_cases
from benchmarks.load import H2Load, Run, Wrk
from benchmarks.sides import Side
from cli.servers import LocalServers
from skillforge.v1 import courses_pb2, courses_pb2_grpc

READS = {"list": "/courses?pageSize=20", "tree": f"/courses/{uid('c1')}"}
MODES = (*READS, "mark", "progress", "grpc", "workers")
# What ours divided by a side shall reach at least, by mode and side.
TARGETS = {
    "list": {"peer": 4.0, "bare handler": 0.6},
    "tree": {"peer": 4.0, "bare handler": 0.6},
    "mark": {"peer": 2.0, "same statements": 0.7},
    "progress": {"peer": 2.0, "same statements": 0.7},
    "grpc": {"bare grpc.aio": 0.7},
    "workers": {"one worker": 1.7},
}
Sides = dict[str, Side]


class Bench:
    """All sides' processes, started as they are needed and stopped with `stack`."""

    def __init__(self, stack: ExitStack, folder: Path, options: argparse.Namespace) -> None:
        self._folder = folder
        self._options = options
        self._servers = stack.enter_context(LocalServers(folder / "data"))
        pem, self._cases = write_cases(folder)
        self._environment = sides.prepare_ours(self._servers, pem)
        self._ours, self._ours_grpc = stack.enter_context(sides.ours(self._environment, folder))
        peers = {"list", "tree", "mark", "progress"} & set(options.modes)
        self._peer = stack.enter_context(sides.peer(self._servers, pem, folder)) if peers and options.peer else None

    def sides(self, mode: str, stack: ExitStack) -> Sides:
        """What to compare, ours first."""
        if mode == "workers":
            two, _ = stack.enter_context(sides.ours(self._environment, self._folder, workers=2))
            return {"ours": two, "one worker": self._ours}
        if mode == "grpc":
            bare = stack.enter_context(sides.bare("grpc", self._course(), self._folder))
            return {"ours": self._ours_grpc, "bare grpc.aio": bare}
        found = {"ours": self._ours, "peer": self._peer} if self._peer else {"ours": self._ours}
        if mode in READS:
            body = fetch(self._ours.url + READS[mode])
            for side in ("handler", "server"):
                found[f"bare {side}"] = stack.enter_context(sides.bare(side, body, self._folder))
        else:
            self._keep_answers()
            found["same statements"] = stack.enter_context(sides.bare_progress(self._servers, self._folder))
        return found

    def load(self, mode: str) -> Wrk | H2Load:
        """What loads the sides of a mode."""
        connections = self._options.connections
        if mode == "grpc":
            body = self._folder / "request"
            body.write_bytes(load.frame(courses_pb2.GetCourseRequest(course_id=uid("c1")).SerializeToString()))
            return H2Load("/skillforge.v1.CoursesService/GetCourse", body, connections)
        if mode == "workers":
            return Wrk("list", self._cases, 2 * connections, threads=2)
        return Wrk(mode, self._cases, connections, self._options.threads)

    def _course(self) -> bytes:
        """The course that `GetCourse` answers with; fails unless ours answers."""
        with grpc.insecure_channel(self._ours_grpc.url.removeprefix("http://")) as channel:
            request = courses_pb2.GetCourseRequest(course_id=uid("c1"))
            return courses_pb2_grpc.CoursesServiceStub(channel).GetCourse(request, timeout=10).SerializeToString()

    def _keep_answers(self) -> None:
        """Mark every case's lecture once, so that both sides find the same, and write our last answers where the bare side
        reads them."""
        cases = json.loads((self._folder / "cases.json").read_text())
        for _, token, _, lecture in cases:
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
            marked = fetch(f"{self._ours.url}/progress/lecture", headers, json.dumps({"lectureId": lecture}).encode())
        (self._folder / "mark.json").write_bytes(marked)
        (self._folder / "progress.json").write_bytes(fetch(f"{self._ours.url}/progress/course/{cases[-1][2]}", headers))


def fetch(url: str, headers: Mapping[str, str] | None = None, body: bytes | None = None) -> bytes:
    with urllib.request.urlopen(urllib.request.Request(url, body, dict(headers or {})), timeout=10) as answer:
        return bytes(answer.read())


def alternate(compared: Sides, generator: Wrk | H2Load, options: argparse.Namespace) -> Iterator[tuple[str, Run]]:
    """Rounds of one short run a side, so that a slow minute of the machine hits all; the first round warms up."""
    for number in range(options.rounds + 1):
        for name, side in compared.items():
            before = load.cpu_seconds(side.pid)
            seconds = options.seconds if number else 2
            run = generator.run(side.url, seconds)
            if number:
                used = load.cpu_seconds(side.pid) - before
                yield name, run._replace(cpu=used / (run.rate * seconds) * 1e6)


def add_rows(table: Table, mode: str, medians: Mapping[str, Run]) -> None:
    for side, run in medians.items():
        ours, target = medians["ours"], TARGETS[mode].get(side)
        figures = (
            f"{run.rate:,.0f}",
            f"{run.p50:.1f}",
            f"{run.p99:.1f}",
            f"{run.errors:.0f}",
            f"{run.busy:.2f}",
            f"{run.cpu:.0f}",
        )
        ratios = ("", "") if run is ours else (f"{ours.rate / run.rate:.2f}", f"{run.cpu / ours.cpu:.2f}")
        table.add_row(mode, side, *figures, *ratios, f"≥ {target:g}" if target else "")


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("modes", nargs="*", metavar="CALL", help=f"which of {', '.join(MODES)} (default: all)")
    parser.add_argument("--rounds", type=int, default=5, help="runs a side, after one to warm up (default 5)")
    parser.add_argument("--seconds", type=int, default=4, help="seconds a run (default 4)")
    parser.add_argument("--connections", type=int, default=16, help="open connections (default 16)")
    parser.add_argument("--threads", type=int, default=1, help="threads of wrk (default 1)")
    parser.add_argument("--no-peer", dest="peer", action="store_false", help="leave the Express peer out")
    options = parser.parse_args()
    options.modes = options.modes or list(MODES)
    if unknown := set(options.modes) - set(MODES):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; choose from {', '.join(MODES)}")
    return options


def main() -> None:
    options = read_options()
    if set(options.modes) - {"grpc"}:
        load.require("wrk")
    if "grpc" in options.modes:
        load.require("h2load")
    console = Console(width=140)
    codec.print_figures(console)
    columns = ("call", "side", "requests/s", "p50 ms", "p99 ms", "errors", "load busy", "CPU µs", "ours ÷ it", "by CPU", "target")
    table = Table(*columns, title="Medians of alternating runs")
    with ExitStack() as stack, Progress(console=console, transient=True) as progress:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        task = progress.add_task("starting all sides", total=None)
        bench = Bench(stack, folder, options)
        for mode in options.modes:
            with ExitStack() as inner:
                compared = bench.sides(mode, inner)
                runs: dict[str, list[Run]] = {side: [] for side in compared}
                for side, run in alternate(compared, bench.load(mode), options):
                    runs[side].append(run)
                    progress.update(task, description=f"{mode} {side}")
            add_rows(table, mode, {side: load.median(items) for side, items in runs.items()})
    console.print(table)


if __name__ == "__main__":
    main()
