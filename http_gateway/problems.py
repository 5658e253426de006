"""Errors as HTTP: the only place that knows which status an error becomes.

Source: RFC 9457 (problem+json), RFC 6750 (Bearer), RFC 9110 (Retry-After), google/rpc/code.proto.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, NamedTuple

import orjson
from google.rpc import code_pb2

from contract.errors import CallError, Violation
from contract.metadata import RATE_LIMIT, RATE_LIMIT_POLICY

CONTENT_TYPE = "application/problem+json"
_CLIENT_CLOSED = 499
_TRY_AGAIN = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
_LOG = logging.getLogger("http_gateway")

STATUS_BY_CODE = {
    code_pb2.CANCELLED: _CLIENT_CLOSED,
    code_pb2.UNKNOWN: 500,
    code_pb2.INVALID_ARGUMENT: 400,
    code_pb2.DEADLINE_EXCEEDED: 504,
    code_pb2.NOT_FOUND: 404,
    code_pb2.ALREADY_EXISTS: 409,
    code_pb2.PERMISSION_DENIED: 403,
    code_pb2.RESOURCE_EXHAUSTED: 429,
    code_pb2.FAILED_PRECONDITION: 400,
    code_pb2.ABORTED: 409,
    code_pb2.OUT_OF_RANGE: 400,
    code_pb2.UNIMPLEMENTED: 501,
    code_pb2.INTERNAL: 500,
    code_pb2.UNAVAILABLE: 503,
    code_pb2.DATA_LOSS: 500,
    code_pb2.UNAUTHENTICATED: 401,
}
# Where HTTP has a finer status than the code's.
STATUS_BY_REASON = {
    "METHOD_NOT_ALLOWED": 405,
    "BODY_TOO_LARGE": 413,
    "RANGE_NOT_SATISFIABLE": 416,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "IDEMPOTENCY_KEY_REUSED": 422,
    "IDEMPOTENCY_KEY_IN_USE": 409,
}


class Problem(NamedTuple):
    """An error, ready to be sent: its status, the headers it adds, and its problem+json body."""

    status: int
    headers: dict[str, str]
    body: bytes


def problem_for(error: CallError, request_id: str, if_match: bool = False) -> Problem:
    """The answer for a failed call; `if_match` says whether the request carried If-Match."""
    status = status_of(error, if_match)
    return Problem(status, _headers(status, error), orjson.dumps(problem_fields(error, request_id, status)))


def status_of(error: CallError, if_match: bool = False) -> int:
    """The HTTP status an error becomes."""
    if if_match and error.reason == "ETAG_MISMATCH":
        return 412
    return STATUS_BY_REASON.get(error.reason) or STATUS_BY_CODE.get(error.code, 500)


def problem_fields(error: CallError, request_id: str, status: int) -> dict[str, Any]:
    """The members of the problem+json object."""
    reason = error.reason
    return {
        "type": f"/problems/{reason.lower().replace('_', '-')}" if reason else "about:blank",
        "title": reason.replace("_", " ").capitalize() if reason else phrase(status),
        "status": status,
        # What went wrong inside is for the log alone.
        "detail": "" if status == HTTPStatus.INTERNAL_SERVER_ERROR else error.detail,
        "instance": request_id,
        "code": error.code_name,
        "reason": reason,
        "violations": [
            {"field": _json_path(item.field), "rule": item.rule, "description": item.description} for item in error.violations
        ],
    }


def phrase(status: int) -> str:
    """The status' reason phrase."""
    return "Client Closed Request" if status == _CLIENT_CLOSED else HTTPStatus(status).phrase


def unexpected(request_id: str, name: str, error: BaseException) -> CallError:
    """Log an exception nobody foresaw, with its traceback, and give the error that tells the caller nothing but its
    request id. `name` is the call's name."""
    _LOG.error("unexpected error in %s", name, exc_info=error, extra={"fields": {"request_id": request_id}})
    return CallError.build(code_pb2.INTERNAL, "INTERNAL", "")


def route_not_found() -> CallError:
    """404: no route has this path."""
    return CallError.build(code_pb2.NOT_FOUND, "ROUTE_NOT_FOUND", "There is nothing at this path.")


def method_not_allowed(allowed: Iterable[str]) -> CallError:
    """405 with `Allow`: the path has no such verb."""
    allow = ", ".join(allowed)
    error = CallError.build(code_pb2.UNIMPLEMENTED, "METHOD_NOT_ALLOWED", f"This path takes {allow}.")
    error.metadata["allow"] = allow
    return error


def body_too_large(limit: int) -> CallError:
    """413: the body is over the limit, in bytes."""
    return CallError.build(code_pb2.INVALID_ARGUMENT, "BODY_TOO_LARGE", f"A body has at most {limit} bytes.")


def unsupported_media_type(detail: str) -> CallError:
    """415: the body's type or encoding is none the route takes."""
    return CallError.build(code_pb2.INVALID_ARGUMENT, "UNSUPPORTED_MEDIA_TYPE", detail)


def bad_request(detail: str, *violations: Violation) -> CallError:
    """400 for what is wrong with the request outside of its body."""
    return CallError.build(code_pb2.INVALID_ARGUMENT, "INVALID_ARGUMENT", detail, violations)


def range_not_satisfiable(length: int) -> CallError:
    """416: no byte that was asked for is among those there are."""
    error = CallError.build(code_pb2.OUT_OF_RANGE, "RANGE_NOT_SATISFIABLE", f"There are {length} bytes.")
    error.metadata["content-range"] = f"bytes */{length}"
    return error


def body_timeout() -> CallError:
    """504: the body did not come in time."""
    return CallError.build(code_pb2.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED", "The request's body did not arrive in time.")


def _headers(status: int, error: CallError) -> dict[str, str]:
    metadata = error.metadata
    headers: dict[str, str] = {}
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="skillforge"'
    wait = error.retry_after
    if wait is not None or status in _TRY_AGAIN:
        headers["Retry-After"] = str(max(1, math.ceil(wait or 0)))
    if "allow" in metadata:
        headers["Allow"] = metadata["allow"]
    if "content-range" in metadata:
        headers["Content-Range"] = metadata["content-range"]
    if RATE_LIMIT in metadata:
        headers["RateLimit"] = metadata[RATE_LIMIT]
    if RATE_LIMIT_POLICY in metadata:
        headers["RateLimit-Policy"] = metadata[RATE_LIMIT_POLICY]
    return headers


def _json_path(field: str) -> str:
    """A field path with its names as JSON has them: "price.amount_minor" is "price.amountMinor" to a client."""
    return re.sub(r"(?<=[a-z0-9])_([a-z0-9])", lambda found: found.group(1).upper(), field)
