"""What whoever composes the gateway decides. The gateway itself never reads the environment."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from aiohttp import web

RawHandler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
# Part of the service to "ok", or to a sentence why it is not.
Readiness = Callable[[], Awaitable[Mapping[str, str]]]
# Figures for Prometheus, and their media type.
MetricsText = Callable[[], Awaitable[tuple[bytes, str]]]


async def no_more() -> None:
    """Nothing else is to be ended."""


async def always_ready() -> Mapping[str, str]:
    """The readiness of a gateway that depends on nothing."""
    return {}


@dataclass(frozen=True, slots=True)
class GatewayOptions:
    """Settings of one gateway.

    `allowed_origins`: origins whose pages may call ("https://app.example"; "*" for any).
    `trusted_proxy_hops`: how many proxies of ours stand in front; the client's address is then the one the outermost
    of them wrote into X-Forwarded-For.
    `extra_handlers`: handlers of other rooms by path prefix ("/dev"); they take the prefix itself and all below.
    `metrics`: gives the figures that `/metrics` shows to whoever sends `metrics_token` as a bearer token; without a token
    nobody gets them here.
    `drain_others`: ends what they hold open, when the server has stopped listening.
    """

    allowed_origins: frozenset[str] = frozenset()
    trusted_proxy_hops: int = 0
    max_body_bytes: int = 1024 * 1024
    default_timeout_seconds: float = 30.0
    # A stream goes on for as long as its reader takes; the core allows no more than this.
    stream_timeout_seconds: float = 60.0
    body_timeout_seconds: float = 30.0
    keepalive_seconds: float = 75.0
    readiness: Readiness = always_ready
    readiness_timeout_seconds: float = 5.0
    encoded_cache_bytes: int = 32 * 1024 * 1024
    extra_handlers: Mapping[str, RawHandler] = field(default_factory=dict)
    metrics: MetricsText | None = None
    metrics_token: str = field(default="", repr=False)
    drain_others: Callable[[], Awaitable[None]] = no_more
