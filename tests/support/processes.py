"""The `skillforge` command as a process of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import orjson

from cli.servers import WATCHED

COMMAND = Path(sys.executable).with_name("skillforge")
PAUSE_SECONDS = 0.02
FREEZE_SECONDS = 10.0
# What a process needs of its surroundings; no setting of ours is among it.
KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def surroundings(settings: Mapping[str, str]) -> dict[str, str]:
    return {**{name: os.environ[name] for name in KEPT if name in os.environ}, **settings}


def run(*arguments: object, settings: Mapping[str, str] | None = None, cwd: Path | None = None) -> tuple[int, str]:
    """Run a command to its end; its status and all it said."""
    done = subprocess.run(
        [COMMAND, *map(str, arguments)], env=surroundings(settings or {}), cwd=cwd, timeout=60, check=False, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    return done.returncode, done.stdout


class Running:
    """A command that runs until it is stopped, or the tests are gone. Use it as a context manager: it ends with it."""

    def __init__(self, log: Path, *arguments: object, settings: Mapping[str, str] | None = None) -> None:
        self.log = log
        self.command = [str(COMMAND), *map(str, arguments)]
        self._settings = settings or {}

    def __enter__(self) -> Self:
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                ["/bin/sh", "-c", WATCHED, "sh", *self.command], env=surroundings(self._settings), cwd=self.log.parent,
                start_new_session=True, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is not None:
            print(f"--- {' '.join(self.command)}\n{self.said}")
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        with suppress(BrokenPipeError):
            self.process.communicate(b"\n")  # lets the watcher go

    @property
    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_until(self, true: Callable[[], bool], seconds: float = 30.0) -> float:
        """Return when something is true, with the seconds that took; fails when the process ends before or it takes longer."""
        started = time.monotonic()
        while not true():
            assert self.process.poll() is None, f"it ended with {self.process.returncode}: {self.said}"
            assert time.monotonic() - started < seconds, f"not after {seconds:g} s: {self.said}"
            time.sleep(PAUSE_SECONDS)
        return time.monotonic() - started

    def stop(self, number: signal.Signals = signal.SIGTERM, seconds: float = 30.0) -> int:
        """Send a signal and wait for the end; the exit status."""
        self.process.send_signal(number)
        return self.process.wait(seconds)


def fetch(url: str, token: str = "", body: object = None, verb: str = "") -> tuple[int, bytes]:
    """One HTTP exchange; status 0 when nobody answers."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    data = None if body is None else orjson.dumps(body)
    if data is not None:
        headers["Content-Type"] = "application/json"
    request = urllib.request.Request(url, data, headers, method=verb or None)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except OSError:
        return 0, b""


def is_ready(url: str) -> bool:
    return fetch(f"{url}/readyz")[0] == 200


def state(pid: int) -> str:
    """A process's state as the kernel names it: "Z" has ended and is not yet waited for, "T" is stopped; "" when gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and is not yet waited for does not."""
    return state(pid) not in ("", "Z")


def freeze(pid: int) -> None:
    """Stop a process until it gets SIGCONT; returns when it has stopped, for which a busy machine takes its time."""
    os.kill(pid, signal.SIGSTOP)
    deadline = time.monotonic() + FREEZE_SECONDS
    while state(pid) != "T":
        assert time.monotonic() < deadline, f"process {pid} is {state(pid)!r}"
        time.sleep(PAUSE_SECONDS)


def children(pid: int, mark: str) -> list[int]:
    """The child processes of a process whose command line holds `mark`."""
    try:
        found = [int(item) for item in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        return [child for child in found if mark in Path(f"/proc/{child}/cmdline").read_text() and alive(child)]
    except OSError:
        return []
