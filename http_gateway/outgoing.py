"""The headers answers share, entity tags, and what an Accept header prefers."""

from __future__ import annotations

from collections.abc import Mapping

from contract.metadata import IDEMPOTENCY_REPLAYED, RATE_LIMIT, RATE_LIMIT_POLICY
from http_gateway.answers import Answer
from http_gateway.problems import CONTENT_TYPE as PROBLEM
from http_gateway.problems import Problem

JSON = "application/json"
HTML = "text/html; charset=utf-8"
NO_STORE = "no-store"
NO_CACHE = "no-cache"  # kept, but asked about each time: an answer may change at any moment
API_POLICY = "default-src 'none'; frame-ancestors 'none'"
_FROM_METADATA = (
    (RATE_LIMIT, "RateLimit"),
    (RATE_LIMIT_POLICY, "RateLimit-Policy"),
    (IDEMPOTENCY_REPLAYED, "Idempotency-Replayed"),
)


def shared_headers(cache_control: str, policy: str = API_POLICY) -> dict[str, str]:
    """The headers of every answer of ours; `policy` is its Content-Security-Policy."""
    return {
        "Cache-Control": cache_control,
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
        "Server": "skillforge",
    }


def header_lines(content_type: str, cache_control: str, policy: str = API_POLICY) -> bytes:
    """The shared headers as the `base` of answers; `content_type` "" for those without a body."""
    headers = shared_headers(cache_control, policy)
    if content_type:
        headers["Content-Type"] = content_type
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode("ascii")


_PROBLEM = header_lines(PROBLEM, NO_STORE)


def add_metadata(answer: Answer, metadata: Mapping[str, str]) -> None:
    """Add the headers that a reply's metadata calls for."""
    for name, header in _FROM_METADATA:
        if name in metadata:
            answer.add(header, metadata[name])


def problem_answer(problem: Problem, request_id: str) -> Answer:
    """The answer for an error."""
    answer = Answer(problem.status, _PROBLEM, problem.body)
    answer.add("X-Request-Id", request_id)
    for name, value in problem.headers.items():
        answer.add(name, value)
    return answer


def simple_answer(status: int, body: bytes, content_type: str, request_id: str, policy: str = API_POLICY) -> Answer:
    """An answer of the gateway's own, never stored."""
    answer = Answer(status, header_lines(content_type, NO_STORE, policy), body)
    answer.add("X-Request-Id", request_id)
    return answer


def matches_none(if_none_match: str, tag: str) -> bool:
    """Whether an If-None-Match header names the quoted tag (weak comparison, RFC 9110 13.1.2)."""
    given = (item.strip().removeprefix("W/") for item in if_none_match.split(","))
    return if_none_match.strip() == "*" or tag in given


def prefers_html(accept: str) -> bool:
    """Whether an Accept header ranks HTML above JSON: browsers do, programs that say nothing do not."""
    return prefers(accept, "text/html")


def prefers(accept: str, kind: str) -> bool:
    """Whether an Accept header ranks a media type above JSON."""
    return _quality(accept, kind) > _quality(accept, JSON)


def _quality(accept: str, kind: str) -> float:
    """The weight an Accept header gives to a media type; the most specific range decides (RFC 9110 12.5.1)."""
    ranges = {kind: 3, kind.partition("/")[0] + "/*": 2, "*/*": 1}
    best, weight = 0, 0.0
    for item in accept.lower().split(","):
        name, _, rest = item.partition(";")
        rank = ranges.get(name.strip(), 0)
        if rank > best:
            best, weight = rank, _weight(rest)
    return weight


def _weight(parameters: str) -> float:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return min(max(float(value), 0.0), 1.0)
            except ValueError:
                return 0.0
    return 1.0
