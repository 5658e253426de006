"""`skillforge serve`: several worker processes on the same ports, watched over by a parent.

Each worker has its own event loop, core and doors, and holds no state that another needs. They are spawned before
anything of gRPC exists in them, share both ports with SO_REUSEPORT, and are started again when they die.
"""

from __future__ import annotations

import logging
import multiprocessing
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from types import FrameType

log = logging.getLogger("skillforge.serve")

DRAIN_SECONDS = 20.0
FIRST_PAUSE_SECONDS = 0.2
MAX_PAUSE_SECONDS = 10.0
STEADY_SECONDS = 30.0
_POLL_SECONDS = 0.2


@dataclass
class _Slot:
    """One worker's place: its process, when it started, and when and after which pause the next one may."""

    process: BaseProcess | None = None
    started: float = 0.0
    pause: float = 0.0
    due: float = 0.0


class Supervisor:
    """Keeps `count` processes of `target(*arguments)` alive until SIGTERM or SIGINT, then lets them drain.

    `target` must be importable, as the processes are spawned. One that dies young is started again after a pause
    that doubles up to MAX_PAUSE_SECONDS.
    """

    def __init__(self, target: Callable[..., None], arguments: tuple[object, ...], count: int) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._target = target
        self._arguments = arguments
        self._slots = [_Slot() for _ in range(count)]
        self._stopping = False

    def run(self) -> None:
        """Return when every worker has ended after a signal to stop."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        while not self._stopping:
            for slot in self._slots:
                self._tend(slot)
            time.sleep(_POLL_SECONDS)
        self._drain()

    def _tend(self, slot: _Slot) -> None:
        now = time.monotonic()
        if slot.process is not None:
            if slot.process.is_alive():
                return
            young = now - slot.started < STEADY_SECONDS
            slot.pause = min(slot.pause * 2, MAX_PAUSE_SECONDS) if young and slot.pause else FIRST_PAUSE_SECONDS
            log.error(
                "worker %s ended with status %s; another starts in %.1f s", slot.process.pid, slot.process.exitcode, slot.pause
            )
            slot.process, slot.due = None, now + slot.pause
        if now >= slot.due:
            slot.process = self._context.Process(target=self._target, args=self._arguments)
            slot.process.start()
            slot.started = now

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True

    def _drain(self) -> None:
        workers = [slot.process for slot in self._slots if slot.process is not None]
        for worker in workers:
            worker.terminate()
        deadline = time.monotonic() + DRAIN_SECONDS
        for worker in workers:
            worker.join(max(0.0, deadline - time.monotonic()))
        for worker in workers:
            if worker.is_alive():
                log.error("worker %s did not drain within %.0f s and is killed", worker.pid, DRAIN_SECONDS)
                worker.kill()
                worker.join(5.0)
