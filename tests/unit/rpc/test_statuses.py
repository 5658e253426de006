"""Errors of the domain as statuses."""

from __future__ import annotations

import pytest
from google.rpc import code_pb2

from contract.errors import CallError, Violation
from core import errors
from core.errors import DomainError
from core.rpc.statuses import CODES, to_call_error
from skillforge.v1 import errors_pb2


def family(kind: type[DomainError]) -> list[type[DomainError]]:
    return [found for child in kind.__subclasses__() for found in (child, *family(child))]


@pytest.mark.parametrize("kind", family(DomainError))
def test_every_error_of_the_domain_has_a_code_of_its_own(kind: type[DomainError]) -> None:
    error = to_call_error(kind("CONFLICT", "Say what to do."))
    assert error.code == CODES[kind]
    assert error.code not in (code_pb2.OK, code_pb2.UNKNOWN, code_pb2.INTERNAL)
    assert (error.reason, error.detail) == ("CONFLICT", "Say what to do.")


def test_the_codes_are_distinct_and_nobody_else_s() -> None:
    assert set(CODES) == set(family(DomainError))
    assert len(set(CODES.values())) == len(CODES)


def test_violations_and_the_pause_travel_along() -> None:
    violation = Violation("price.amountMinor", "int32.gte", "must not be negative")
    error = to_call_error(errors.InvalidArgument("INVALID_ARGUMENT", "No.", violations=[violation]))
    assert (error.violations, error.retry_after) == ((violation,), None)
    assert to_call_error(errors.Unavailable("UNAVAILABLE", "Away.")).retry_after == 1.0
    assert to_call_error(errors.TooMany("RATE_LIMITED", "Slow down.", retry_after=2.5)).retry_after == 2.5


def test_running_out_of_time() -> None:
    assert to_call_error(TimeoutError()).code == code_pb2.DEADLINE_EXCEEDED


@pytest.mark.parametrize("error", [RuntimeError("the secret"), KeyError("the secret"), DomainError("CONFLICT", "the secret")])
def test_anything_else_is_internal_and_without_detail(error: Exception) -> None:
    found = to_call_error(error)
    assert (found.code, found.reason) == (code_pb2.INTERNAL, "INTERNAL")
    assert "secret" not in str(found.status)


def test_a_finished_error_stays_itself() -> None:
    error = CallError.build(code_pb2.NOT_FOUND, "NOT_FOUND", "No.")
    assert to_call_error(error) is error


def test_the_pipeline_s_own_reasons_are_the_contract_s() -> None:
    known = {name.removeprefix("ERROR_REASON_") for name in errors_pb2.ErrorReason.keys()}  # noqa: SIM118 (no mapping)
    assert {to_call_error(TimeoutError()).reason, to_call_error(ValueError()).reason} <= known
