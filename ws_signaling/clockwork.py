"""When what is due on a socket: pure, on the times it is given."""

from __future__ import annotations

import math
import random
from typing import NamedTuple

from ws_signaling import codes
from ws_signaling.options import SignalingOptions


class Due(NamedTuple):
    """What to do now, and when to look again: close (code, reason), ask for a sign of life, tell that the token
    expires (at unix milliseconds)."""

    again: float
    close: tuple[int, str] | None = None
    ping: bool = False
    expiring: int | None = None


class Clockwork:
    """The times of one socket, by the options' clock in seconds; `inf` is never."""

    __slots__ = (
        "_arrival", "_asked", "_expires", "_expires_ms", "_heard", "_next_ping", "_offset_ms", "_options", "_tell_at",
        "overdue_at",
    )  # fmt: skip

    def __init__(self, options: SignalingOptions) -> None:
        self._options = options
        now = options.clock()
        self._heard = now
        # The theoretical arrival time of the frame limit (GCRA).
        self._arrival = 0.0
        # When the first frame, or the connection after it, is overdue; until then there is no heartbeat.
        self.overdue_at = now + options.connect_seconds
        self._next_ping = math.inf
        self._asked = math.inf
        self._tell_at = math.inf
        self._expires = math.inf
        self._expires_ms = 0
        # The server's unix milliseconds at 0 of the clock.
        self._offset_ms = 0.0

    @property
    def next_notice(self) -> float:
        """When to look for a heartbeat or a token's end."""
        return min(self._next_ping, self._tell_at, self._expires + self._options.expired_seconds)

    def take_frame(self) -> bool:
        """Count a frame, which is a sign of life; False when they come too fast."""
        options = self._options
        now = options.clock()
        self._heard = now
        interval = 1 / options.frames_per_second
        arrival = max(self._arrival, now)
        if arrival - now > (options.frames_burst - 1) * interval + 1e-9:
            return False
        self._arrival = arrival + interval
        return True

    def connecting(self) -> None:
        """The first frame came; the core may take its time to open the connection."""
        self.overdue_at = self._options.clock() + self._options.open_seconds

    def connected(self, expires_ms: int, server_ms: int) -> None:
        """The connection stands until its token expires (unix milliseconds, as is the server's time now)."""
        now = self._options.clock()
        self._plan_ping(now)
        self._offset_ms = server_ms - now * 1000
        self._set_expiry(expires_ms)
        self._tell_at = max(now, self._expires - self._options.expiring_seconds)
        # One that is over already, of a ticket, gets its time all the same.
        self._expires = max(self._expires, now)

    def refreshed(self, expires_ms: int) -> None:
        """The connection stands until another token expires. Tokens may live shorter than the notice is long: the next
        notice comes no sooner than after half of what is left."""
        now = self._options.clock()
        self._set_expiry(expires_ms)
        self._tell_at = max(self._expires - self._options.expiring_seconds, now + (self._expires - now) / 2)

    def due(self, now: float) -> Due:
        """What to do at a time."""
        options = self._options
        if self._next_ping == math.inf:
            overdue = now >= self.overdue_at
            return Due(self.overdue_at, (codes.NO_CONNECT, "no connect in time") if overdue else None)
        if self._heard >= self._asked:
            self._asked = math.inf
        if now >= self._asked + options.pong_seconds:
            return Due(now, (codes.NO_PONG, "no sign of life"))
        if now >= self._expires + options.expired_seconds:
            return Due(now, (codes.TOKEN_EXPIRED, "the token has expired"))
        ping = now >= self._next_ping
        if ping:
            self._asked = min(self._asked, now)
            self._plan_ping(now)
        expiring = None
        if now >= self._tell_at:
            expiring, self._tell_at = self._expires_ms, math.inf
        again = min(self._next_ping, self._asked + options.pong_seconds, self._expires + options.expired_seconds, self._tell_at)
        return Due(again, None, ping, expiring)

    def _set_expiry(self, expires_ms: int) -> None:
        self._expires_ms = expires_ms
        self._expires = (expires_ms - self._offset_ms) / 1000

    def _plan_ping(self, now: float) -> None:
        self._next_ping = now + self._options.heartbeat_seconds * random.uniform(0.8, 1.0)
