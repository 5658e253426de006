"""What keeps a failing service from being asked too often: a circuit breaker, and a budget for asking again."""

from __future__ import annotations

import time
from collections.abc import Callable

Monotonic = Callable[[], float]

FAILURES = 5
OPEN_SECONDS = 15.0
MAX_HOLD_SECONDS = 60.0


class Away(Exception):
    """The service gave no answer. `may_pass`: asking again may help, but not before `retry_after` seconds if that is set."""

    def __init__(self, why: str, *, may_pass: bool = True, retry_after: float | None = None) -> None:
        super().__init__(why)
        self.may_pass = may_pass
        self.retry_after = retry_after


class Breaker:
    """After FAILURES in a row nobody is let through for OPEN_SECONDS, then one at a time until one succeeds."""

    def __init__(self, clock: Monotonic = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._open_until = 0.0

    @property
    def is_open(self) -> bool:
        """Whether nobody is let through now."""
        return self._clock() < self._open_until

    def check(self) -> None:
        """Raise Away while nobody is let through."""
        now = self._clock()
        if now < self._open_until:
            raise Away("it failed too often and rests", may_pass=False, retry_after=self._open_until - now)
        if self._failures >= FAILURES:
            self._open_until = now + OPEN_SECONDS  # for the others, while this one tries

    def succeeded(self) -> None:
        """It works again."""
        self._failures, self._open_until = 0, 0.0

    def failed(self) -> None:
        """Count a failure."""
        self._failures += 1
        if self._failures >= FAILURES:
            self._open_until = self._clock() + OPEN_SECONDS

    def hold(self, seconds: float) -> None:
        """Let nobody through for as long as the service asked for, within bounds."""
        self._open_until = max(self._open_until, self._clock() + min(seconds, MAX_HOLD_SECONDS))


class RetryBudget:
    """Lets so many be asked again at once, and then a part of those asked: an outage is not answered with a flood."""

    def __init__(self, burst: int = 10, part: float = 0.2) -> None:
        self._burst = burst
        self._part = part
        self._left = float(burst)

    def asked(self) -> None:
        """Count a first attempt."""
        self._left = min(self._burst, self._left + self._part)

    def take(self) -> bool:
        """Whether one may be asked again; it is counted."""
        if self._left < 1:
            return False
        self._left -= 1
        return True
