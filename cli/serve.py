"""`skillforge serve`: several worker processes on the same ports, watched over by a parent.

Each worker has its own event loop, core and doors, and holds no state that another needs. They are spawned before
anything of gRPC exists in them, share both ports with SO_REUSEPORT, and are started again when they die.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from types import FrameType

log = logging.getLogger("skillforge.serve")

# A worker drains its gateway and then its gRPC server, each for up to `cli.worker.DRAIN_SECONDS`.
DRAIN_SECONDS = 35.0
FIRST_PAUSE_SECONDS = 0.2
MAX_PAUSE_SECONDS = 10.0
STEADY_SECONDS = 30.0
_POLL_SECONDS = 0.2


@dataclass
class _Slot:
    """One worker's place: its number, its process, when it started, and when and after which pause the next one may."""

    number: int
    process: BaseProcess | None = None
    started: float = 0.0
    pause: float = 0.0
    due: float = 0.0


def next_pause(pause: float, lived: float) -> float:
    """After how many seconds a worker is started again that lived so long; `pause` is what the last one waited.

    It doubles with every one that dies young, up to MAX_PAUSE_SECONDS.
    """
    if lived >= STEADY_SECONDS or pause == 0:
        return FIRST_PAUSE_SECONDS
    return min(pause * 2, MAX_PAUSE_SECONDS)


class Supervisor:
    """Keeps `count` processes of `target(*arguments)` alive until SIGTERM or SIGINT, then lets them drain.

    `target` must be importable, as the processes are spawned; each has the number of its place as its name. A worker whose
    parent is gone drains by itself.
    """

    def __init__(
        self, target: Callable[..., None], arguments: tuple[object, ...], count: int, *, drain_seconds: float = DRAIN_SECONDS
    ) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._target = target
        self._arguments = arguments
        self._drain_seconds = drain_seconds
        self._slots = [_Slot(number) for number in range(count)]
        self._stopping = False

    def run(self) -> None:
        """Return when every worker has ended after a signal to stop."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        try:
            while not self._stopping:
                for slot in self._slots:
                    self._tend(slot)
                self._sleep()
        finally:
            self._drain()

    def _sleep(self) -> None:
        """Until a worker ends, and not for long: the signal to stop does not end the wait."""
        alive = [slot.process.sentinel for slot in self._slots if slot.process is not None]
        if alive:
            wait(alive, _POLL_SECONDS)
        else:
            time.sleep(_POLL_SECONDS)

    def _tend(self, slot: _Slot) -> None:
        now = time.monotonic()
        if slot.process is not None:
            if slot.process.is_alive():
                return
            self._bury(slot, now, f"worker {slot.process.pid} ended with status {slot.process.exitcode}")
        if now >= slot.due and not self._stopping:
            slot.started = now
            try:
                process = self._context.Process(target=run_worker, args=(self._target, self._arguments), name=str(slot.number))
                process.start()
            except OSError as error:  # no memory or no process left for now
                self._bury(slot, now, f"a worker cannot be started: {error}")
            else:
                slot.process = process

    def _bury(self, slot: _Slot, now: float, what: str) -> None:
        slot.pause = next_pause(slot.pause, now - slot.started)
        slot.process, slot.due = None, now + slot.pause
        log.error("%s; another starts in %.1f s", what, slot.pause)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True

    def _drain(self) -> None:
        workers = [slot.process for slot in self._slots if slot.process is not None]
        for worker in workers:
            worker.terminate()
        deadline = time.monotonic() + self._drain_seconds
        for worker in workers:
            worker.join(max(0.0, deadline - time.monotonic()))
        for worker in workers:
            if worker.is_alive():
                log.error("worker %s did not drain within %.1f s and is killed", worker.pid, self._drain_seconds)
                worker.kill()
                worker.join(5.0)


def run_worker(target: Callable[..., None], arguments: tuple[object, ...]) -> None:
    """What a worker process runs: the target, and beside it a watch for the end of the parent."""
    threading.Thread(target=_follow_parent, name="follow parent", daemon=True).start()
    target(*arguments)


def _follow_parent() -> None:
    """Drain when the parent is gone without a word (SIGKILL), or the ports would stay taken for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
