"""Every code and reason becomes its status, and what goes with it."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from google.rpc import code_pb2

from contract.errors import CallError, Violation
from http_gateway.problems import STATUS_BY_CODE, problem_for
from skillforge.v1 import errors_pb2

CODES = [
    ("CANCELLED", 499), ("UNKNOWN", 500), ("INVALID_ARGUMENT", 400), ("DEADLINE_EXCEEDED", 504), ("NOT_FOUND", 404),
    ("ALREADY_EXISTS", 409), ("PERMISSION_DENIED", 403), ("RESOURCE_EXHAUSTED", 429), ("FAILED_PRECONDITION", 400),
    ("ABORTED", 409), ("OUT_OF_RANGE", 400), ("UNIMPLEMENTED", 501), ("INTERNAL", 500), ("UNAVAILABLE", 503),
    ("DATA_LOSS", 500), ("UNAUTHENTICATED", 401),
]  # fmt: skip


def problem(error: CallError, if_match: bool = False) -> tuple[int, dict[str, str], dict[str, Any]]:
    made = problem_for(error, "request-1", if_match)
    return made.status, made.headers, orjson.loads(made.body)


@pytest.mark.parametrize(("name", "status"), CODES)
def test_code_becomes_status(name: str, status: int) -> None:
    code = code_pb2.Code.Value(name)
    violation = Violation("price.amount_minor", "int32.gte", "too low")
    got, _, body = problem(CallError.build(code, "SOME_REASON", "words", [violation]))
    assert got == status
    assert body == {
        "type": "/problems/some-reason",
        "title": "Some reason",
        "status": status,
        "detail": "" if status == 500 else "words",
        "instance": "request-1",
        "code": name,
        "reason": "SOME_REASON",
        "violations": [{"field": "price.amountMinor", "rule": "int32.gte", "description": "too low"}],
    }


def test_every_code_has_a_status() -> None:
    assert set(STATUS_BY_CODE) == set(code_pb2.Code.values()) - {code_pb2.OK}


@pytest.mark.parametrize(
    ("code", "reason", "if_match", "status"),
    [
        (code_pb2.ABORTED, "ETAG_MISMATCH", True, 412),
        (code_pb2.FAILED_PRECONDITION, "ETAG_MISMATCH", True, 412),
        (code_pb2.ABORTED, "ETAG_MISMATCH", False, 409),
        (code_pb2.ABORTED, "CONFLICT", True, 409),
        (code_pb2.FAILED_PRECONDITION, "IDEMPOTENCY_KEY_REUSED", False, 422),
        (code_pb2.INVALID_ARGUMENT, "IDEMPOTENCY_KEY_REUSED", True, 422),
        (code_pb2.ABORTED, "IDEMPOTENCY_KEY_IN_USE", False, 409),
        (code_pb2.INVALID_ARGUMENT, "BODY_TOO_LARGE", False, 413),
        (code_pb2.INVALID_ARGUMENT, "UNSUPPORTED_MEDIA_TYPE", False, 415),
        (code_pb2.UNIMPLEMENTED, "METHOD_NOT_ALLOWED", False, 405),
    ],
)
def test_reason_refines_the_status(code: int, reason: str, if_match: bool, status: int) -> None:
    assert "ERROR_REASON_" + reason in errors_pb2.ErrorReason.DESCRIPTOR.values_by_name
    assert problem(CallError.build(code, reason, ""), if_match)[0] == status


@pytest.mark.parametrize(
    ("code", "retry_after", "header"),
    [
        (code_pb2.RESOURCE_EXHAUSTED, 2.1, "3"),
        (code_pb2.RESOURCE_EXHAUSTED, 0.01, "1"),
        (code_pb2.RESOURCE_EXHAUSTED, None, "1"),
        (code_pb2.UNAVAILABLE, None, "1"),
        (code_pb2.UNAVAILABLE, 5.0, "5"),
        (code_pb2.NOT_FOUND, None, None),
    ],
)
def test_retry_after_is_whole_seconds(code: int, retry_after: float | None, header: str | None) -> None:
    assert problem(CallError.build(code, "X", "", retry_after=retry_after))[1].get("Retry-After") == header


def test_unauthenticated_names_the_scheme() -> None:
    headers = problem(CallError.build(code_pb2.UNAUTHENTICATED, "TOKEN_MISSING", ""))[1]
    assert headers["WWW-Authenticate"] == 'Bearer realm="skillforge"'


def test_rate_limit_metadata_becomes_headers() -> None:
    error = CallError.build(code_pb2.RESOURCE_EXHAUSTED, "RATE_LIMITED", "")
    error.metadata.update({"ratelimit": '"ip";r=0;t=3', "ratelimit-policy": '"ip";q=10;w=60'})
    headers = problem(error)[1]
    assert (headers["RateLimit"], headers["RateLimit-Policy"]) == ('"ip";r=0;t=3', '"ip";q=10;w=60')


def test_an_error_without_a_reason_is_about_blank() -> None:
    body = problem(CallError.build(code_pb2.NOT_FOUND, "", "gone"))[2]
    assert (body["type"], body["title"]) == ("about:blank", "Not Found")
