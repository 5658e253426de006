"""One timer for all sockets of a process: sockets are looked at when something of theirs is due, some tenths late."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable
from typing import Protocol

log = logging.getLogger("skillforge.signaling")

STEP_SECONDS = 0.5


class Timed(Protocol):
    """Something to look at from time to time."""

    def look(self, now: float) -> float | None:
        """Do what is due, and say when to look again; None: never."""


class Wheel:
    """Looks at what was put on it. `also` is called at every step with the time."""

    def __init__(self, clock: Callable[[], float], also: Callable[[float], None]) -> None:
        self._clock = clock
        self._also = also
        self._slots: dict[int, list[Timed]] = {}
        self._done = self._slot(clock())
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin turning."""
        self._timer = asyncio.get_running_loop().call_later(STEP_SECONDS, self._turn)

    def stop(self) -> None:
        """Turn no more."""
        if self._timer is not None:
            self._timer.cancel()

    def put(self, item: Timed, when: float) -> None:
        """Look at an item at a time of the clock."""
        slot = max(math.ceil(when / STEP_SECONDS), self._done + 1)
        self._slots.setdefault(slot, []).append(item)

    def step(self) -> None:
        """Look at everything whose time has come."""
        now = self._clock()
        current = self._slot(now)
        # After a long stop most slots are empty: whichever are fewer are gone through.
        if current - self._done > len(self._slots):
            due = sorted(slot for slot in self._slots if slot <= current)
        else:
            due = [slot for slot in range(self._done + 1, current + 1) if slot in self._slots]
        self._done = max(current, self._done)
        for slot in due:
            for item in self._slots.pop(slot):
                again = item.look(now)
                if again is not None:
                    self.put(item, again)
        self._also(now)

    def _turn(self) -> None:
        self.start()
        try:
            self.step()
        except Exception:
            log.exception("a socket could not be looked at")

    @staticmethod
    def _slot(now: float) -> int:
        return math.floor(now / STEP_SECONDS)
