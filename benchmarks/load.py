"""Load on a side, from one process of a generator written in C: `wrk` for HTTP, `h2load` for gRPC."""

from __future__ import annotations

import math
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

PACKAGES = {"wrk": "wrk", "h2load": "nghttp2-client"}


class Run(NamedTuple):
    """What one run gave: requests a second, p50 and p99 in milliseconds, answers that were no success, how busy the
    generator was (CPU seconds a second and thread: near 1 it is what is measured), and the side's own CPU a request in
    microseconds, which says most on a machine that others use (NaN where there is no /proc)."""

    rate: float
    p50: float
    p99: float
    errors: float
    busy: float
    cpu: float = math.nan


def median(runs: list[Run]) -> Run:
    """Column by column."""
    return Run(*(statistics.median(values) for values in zip(*runs, strict=True)))


def cpu_seconds(pid: int) -> float:
    """CPU that a process and those it started have used; NaN where there is no /proc."""
    found, pids = 0.0, [pid]
    try:
        while pids:
            process = Path(f"/proc/{pids.pop()}")
            fields = (process / "stat").read_text().rpartition(")")[2].split()
            found += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
            for task in (process / "task").iterdir():
                pids += [int(child) for child in (task / "children").read_text().split()]
    except OSError:
        return math.nan
    return found


def require(program: str) -> None:
    """Exit with what to install when a generator is missing."""
    if shutil.which(program) is None:
        sys.exit(f"{program} is not installed: apt-get install {PACKAGES[program]}, or brew install {PACKAGES[program]}")


class Wrk(NamedTuple):
    """Calls by `load.lua`."""

    mode: str
    cases: Path
    connections: int
    threads: int = 1

    def run(self, url: str, seconds: int) -> Run:
        """Load a URL for some seconds."""
        script = str(Path(__file__).parent / "load.lua")
        command = ["wrk", f"-t{self.threads}", f"-c{self.connections}", f"-d{seconds}s", "-s", script, url]
        output, busy = _run(command, seconds, {"MODE": self.mode, "CASES": str(self.cases)})
        result = next(line for line in output.splitlines() if line.startswith("RESULT "))
        rate, p50, p99, errors = (float(value) for value in result.split()[1:])
        return Run(rate, p50, p99, errors, busy / self.threads)


class H2Load(NamedTuple):
    """One gRPC call over and over: `path` with the framed message in `body`."""

    path: str
    body: Path
    connections: int

    def run(self, url: str, seconds: int) -> Run:
        """Load an address for some seconds; gRPC's own status is in trailers that h2load does not look at."""
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "requests"
            headers = ["-H", "content-type: application/grpc", "-H", "te: trailers"]
            shape = [f"-D{seconds}", f"-c{self.connections}", "-m1", "-t1", f"-d{self.body}", f"--log-file={log}"]
            output, busy = _run(["h2load", *shape, *headers, url + self.path], seconds, {})
            times = sorted(int(line.split("\t")[2]) for line in log.read_text().splitlines())
        found = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored", output)
        if found is None or not times:
            sys.exit(f"h2load printed no figures:\n{output}")
        done, failed, broken = (int(value) for value in found.groups())
        p50, p99 = (times[min(len(times) - 1, int(len(times) * part))] / 1000 for part in (0.5, 0.99))
        return Run(done / seconds, p50, p99, failed + broken, busy)


def frame(message: bytes) -> bytes:
    """A message as gRPC sends it: not compressed, its length, itself (PROTOCOL-HTTP2.md of gRPC)."""
    return b"\0" + len(message).to_bytes(4, "big") + message


def _run(command: list[str], seconds: int, environment: dict[str, str]) -> tuple[str, float]:
    """What a generator printed, and its CPU seconds a second."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=seconds + 60, check=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done.stdout, (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / seconds
