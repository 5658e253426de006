"""The supervisor: workers come back when they die, and drain when they are told to stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cli.serve import FIRST_PAUSE_SECONDS, MAX_PAUSE_SECONDS, STEADY_SECONDS, next_pause

ROOT = Path(__file__).resolve().parents[3]
# What the workers run: each leaves a line when it starts and when it ends.
TARGETS = """
import os, signal, sys, time

def note(folder, text):
    with open(os.path.join(folder, "notes"), "a") as file:
        file.write(f"{text} {os.getpid()}\\n")

def die(folder):
    note(folder, "started")
    os._exit(7)

def drain(folder):
    def stop(*_):
        note(folder, "drained")
        sys.exit(0)
    signal.signal(signal.SIGTERM, stop)
    note(folder, "started")
    while True:
        time.sleep(60)

def hang(folder):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    note(folder, "started")
    while True:
        time.sleep(60)

if __name__ == "__main__":
    import logging
    from cli.serve import Supervisor
    import targets
    logging.basicConfig(level=logging.INFO)
    name, count, folder, drain_seconds = sys.argv[1:]
    Supervisor(getattr(targets, name), (folder,), int(count), drain_seconds=float(drain_seconds)).run()
"""


class Serving:
    """A supervisor in a process of its own over workers of one kind."""

    def __init__(self, folder: Path, kind: str, count: int, drain_seconds: float) -> None:
        (folder / "targets.py").write_text(TARGETS)
        self._notes = folder / "notes"
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT), str(ROOT / "generated")])}
        self.process = subprocess.Popen(
            [sys.executable, str(folder / "targets.py"), kind, str(count), str(folder), str(drain_seconds)],
            env=environment, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def pids(self, what: str) -> list[int]:
        lines = self._notes.read_text().splitlines() if self._notes.exists() else []
        return [int(line.split()[1]) for line in lines if line.startswith(what + " ")]

    def until(self, done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 20
        while not done():
            assert time.monotonic() < deadline, self._notes.read_text() if self._notes.exists() else "nothing started"
            time.sleep(0.01)

    def stop(self, number: int = signal.SIGTERM) -> str:
        """End the supervisor; what it logged."""
        self.process.send_signal(number)
        _, logged = self.process.communicate(timeout=20)
        return logged


Start = Callable[..., Serving]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Serving] = []

    def start(kind: str, count: int = 1, drain_seconds: float = 10) -> Serving:
        started.append(Serving(tmp_path, kind, count, drain_seconds))
        return started[-1]

    yield start
    for serving in started:
        serving.process.kill()
        serving.process.communicate()
        for pid in serving.pids("started"):
            if alive(pid):
                os.kill(pid, signal.SIGKILL)


def alive(pid: int) -> bool:
    try:
        return (Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() or ["Z"])[0] != "Z"
    except OSError:
        return False


def test_the_pause_doubles_for_those_who_die_young() -> None:
    pauses = []
    pause = 0.0
    for _ in range(8):
        pause = next_pause(pause, 0.5)
        pauses.append(round(pause, 1))
    assert pauses == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]
    assert next_pause(MAX_PAUSE_SECONDS, STEADY_SECONDS - 0.1) == MAX_PAUSE_SECONDS
    assert next_pause(MAX_PAUSE_SECONDS, STEADY_SECONDS) == FIRST_PAUSE_SECONDS


def test_a_worker_that_dies_is_started_again_after_growing_pauses(start: Start) -> None:
    serving = start("die")
    serving.until(lambda: len(serving.pids("started")) >= 3)
    logged = serving.stop()
    assert serving.process.returncode == 0
    assert "ended with status 7; another starts in 0.2 s" in logged
    assert "ended with status 7; another starts in 0.4 s" in logged


def test_the_others_go_on_when_one_is_killed(start: Start) -> None:
    serving = start("drain", count=2)
    serving.until(lambda: len(serving.pids("started")) == 2)
    first, second = serving.pids("started")
    os.kill(first, signal.SIGKILL)
    serving.until(lambda: len(serving.pids("started")) == 3)
    assert alive(second)
    logged = serving.stop()
    assert logged.count(f"worker {first} ended with status -9") == 1
    assert sorted(serving.pids("drained")) == sorted({*serving.pids("started")} - {first})


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_all_drain_at_a_signal_to_stop(start: Start, number: int) -> None:
    serving = start("drain", count=2)
    serving.until(lambda: len(serving.pids("started")) == 2)
    logged = serving.stop(number)
    assert serving.process.returncode == 0
    assert sorted(serving.pids("drained")) == sorted(serving.pids("started"))
    assert logged == ""


def test_who_does_not_drain_in_time_is_killed(start: Start) -> None:
    serving = start("hang", drain_seconds=0.2)
    serving.until(lambda: len(serving.pids("started")) == 1)
    [pid] = serving.pids("started")
    assert f"worker {pid} did not drain within 0.2 s and is killed" in serving.stop()
    assert not alive(pid)


def test_workers_drain_when_their_parent_is_killed(start: Start) -> None:
    serving = start("drain", count=2)
    serving.until(lambda: len(serving.pids("started")) == 2)
    serving.stop(signal.SIGKILL)
    serving.until(lambda: sorted(serving.pids("drained")) == sorted(serving.pids("started")))
    serving.until(lambda: not any(alive(pid) for pid in serving.pids("started")))
