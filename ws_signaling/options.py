"""What whoever composes the door decides, and the numbers of the protocol. The door itself never reads the environment."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SignalingOptions:
    """Settings of one door; durations in seconds.

    `allowed_origins`: origins whose pages may connect ("*" for any); a client that is no browser sends none.
    `trusted_proxy_hops`: as of the gateway.
    """

    allowed_origins: frozenset[str] = frozenset()
    trusted_proxy_hops: int = 0
    connect_seconds: float = 5.0
    # How long the core may take to open a connection; many may come at once.
    open_seconds: float = 40.0
    # How often a client is asked for a sign of life, and how soon it answers.
    heartbeat_seconds: float = 25.0
    pong_seconds: float = 8.0
    # How long before its token's end a client is told, and how long after it the socket stays open.
    expiring_seconds: float = 60.0
    expired_seconds: float = 25.0
    frame_bytes: int = 64 * 1024
    frames_per_second: float = 20.0
    frames_burst: int = 60
    # Frames of one socket in work; beyond, no more are read.
    in_flight: int = 32
    call_seconds: float = 10.0
    # What may wait for a slow reader, and for how long.
    outbox_frames: int = 256
    outbox_bytes: int = 512 * 1024
    slow_seconds: float = 10.0
    # How long the peer may take to answer a close, and over how long a drain spreads.
    close_seconds: float = 3.0
    drain_seconds: float = 5.0
    clock: Callable[[], float] = time.monotonic
