"""Whether calls are traced, and how: off unless `start` was called, and then everything here costs a look at a name.

The SDK is imported by `start` alone: it takes a tenth of a second and some megabytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from telemetry.spans import Spans

_spans: Spans | None = None
_NOTHING: AbstractContextManager[None] = nullcontext()


def start(endpoint: str, service: str) -> None:
    """Send spans to an OTLP collector ("http://host:4318") from now on. What is made before is not traced."""
    global _spans
    from telemetry.spans import Spans

    _spans = Spans(f"{endpoint.rstrip('/')}/v1/traces", service)


async def stop() -> None:
    """Send what is left, if that is quick, and stop."""
    global _spans
    spans, _spans = _spans, None
    if spans is not None:
        await spans.close()


def spans() -> Spans | None:
    """What makes spans; None while calls are not traced."""
    return _spans


def here() -> Any:
    """The span of whoever asks, for `batch`; None while calls are not traced."""
    return _spans.here() if _spans is not None else None


def batch(waiting: Sequence[Any]) -> AbstractContextManager[None]:
    """A span of work that is done for several at once, linked with what `here` said to each of them."""
    return _spans.batch(waiting) if _spans is not None else _NOTHING


def trace_id() -> str:
    """The trace in which the caller works, as 32 hexadecimal digits; "" when there is none."""
    return _spans.trace_id() if _spans is not None else ""


def start_outside(service: str, verb: str, host: str, headers: Any) -> Any:
    """Begin the span of a request to a service outside, and put its traceparent into the headers."""
    return _spans.start_outside(service, verb, host, headers) if _spans is not None else None


def end_outside(span: Any, status: int, error: str = "") -> None:
    """End it with the answer's status, or the error's class when there was none."""
    if span is not None:
        if status:
            span.set_attribute("http.response.status_code", status)
        if error:
            span.set_attribute("error.type", error)
        span.end()
