"""Calls of ours to services outside (Clerk, payment and AI providers): counted, timed, and traced when there are traces.

Give `watched(SERVICE)` to an `aiohttp.ClientSession` as its `trace_configs`; that is all a client has to do.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from time import perf_counter
from types import SimpleNamespace

import aiohttp

from telemetry import tracing
from telemetry.figures import OUTSIDE_SECONDS, Figure, Histogram, Spread

_CALLS = "Requests to services outside, by service and outcome: an HTTP status, or failed when there was no answer."
_SECONDS = "How long services outside took until their answer began."
_BREAKER = "1 while a service's breaker is open: it is not asked."


class OutsideCalls:
    """What was asked of services outside."""

    def __init__(self) -> None:
        self._answers: Counter[tuple[str, str]] = Counter()
        self._took: dict[str, Histogram] = {}
        self._breakers: dict[str, Callable[[], bool]] = {}

    def count(self, service: str, outcome: str, seconds: float) -> None:
        """Count an answer ("200") or that there was none ("failed")."""
        self._answers[service, outcome] += 1
        if service not in self._took:
            self._took[service] = Histogram(OUTSIDE_SECONDS)
        self._took[service].observe(seconds)

    def breaker(self, service: str, is_open: Callable[[], bool]) -> None:
        """Tell of a service's breaker; the last one told of counts."""
        self._breakers[service] = is_open

    def figures(self) -> Iterator[Figure | Spread]:
        """All of it."""
        for (service, outcome), count in self._answers.items():
            yield Figure("skillforge_outside_calls_total", _CALLS, count, (("service", service), ("outcome", outcome)))
        for service, histogram in self._took.items():
            yield histogram.spread("skillforge_outside_call_seconds", _SECONDS, ("service", service))
        for service, is_open in self._breakers.items():
            yield Figure("skillforge_breaker_open", _BREAKER, int(is_open()), (("service", service),))


# One a process: services are asked from deep inside of features.
OUTSIDE = OutsideCalls()


def watched(service: str) -> list[aiohttp.TraceConfig]:
    """What makes a session's requests count as the service's."""

    async def start(session: aiohttp.ClientSession, context: SimpleNamespace, params: aiohttp.TraceRequestStartParams) -> None:
        context.began = perf_counter()
        context.span = tracing.start_outside(service, params.method, params.url.host or "", params.headers)

    async def end(session: aiohttp.ClientSession, context: SimpleNamespace, params: aiohttp.TraceRequestEndParams) -> None:
        OUTSIDE.count(service, str(params.response.status), perf_counter() - context.began)
        tracing.end_outside(context.span, params.response.status)

    async def fail(session: aiohttp.ClientSession, context: SimpleNamespace, params: aiohttp.TraceRequestExceptionParams) -> None:
        left = isinstance(params.exception, asyncio.CancelledError)
        OUTSIDE.count(service, "left" if left else "failed", perf_counter() - context.began)
        tracing.end_outside(context.span, 0, type(params.exception).__name__)

    config = aiohttp.TraceConfig()
    config.on_request_start.append(start)
    config.on_request_end.append(end)
    config.on_request_exception.append(fail)
    return [config]
