"""The only place that turns an error of the domain into a status."""

from __future__ import annotations

from google.rpc import code_pb2

from contract.errors import CallError
from core import errors

# By the exact class: the family has one level.
CODES: dict[type[errors.DomainError], int] = {
    errors.InvalidArgument: code_pb2.INVALID_ARGUMENT,
    errors.FailedPrecondition: code_pb2.FAILED_PRECONDITION,
    errors.Unauthenticated: code_pb2.UNAUTHENTICATED,
    errors.NotAllowed: code_pb2.PERMISSION_DENIED,
    errors.NotFound: code_pb2.NOT_FOUND,
    errors.AlreadyExists: code_pb2.ALREADY_EXISTS,
    errors.Conflict: code_pb2.ABORTED,
    errors.TooMany: code_pb2.RESOURCE_EXHAUSTED,
    errors.Unavailable: code_pb2.UNAVAILABLE,
    errors.DeadlineExceeded: code_pb2.DEADLINE_EXCEEDED,
}

# What is wrong with a long input may be longer than the input.
MAX_VIOLATIONS = 1000

# Errors worth a log line: the fault is ours or of what we depend on.
SERVER_FAULTS = frozenset({code_pb2.INTERNAL, code_pb2.UNAVAILABLE, code_pb2.DEADLINE_EXCEEDED})


def to_call_error(error: Exception) -> CallError:
    """The status of any error a handler may raise; an unexpected one becomes INTERNAL without detail."""
    if isinstance(error, CallError):
        return error
    if isinstance(error, errors.DomainError) and type(error) in CODES:
        return CallError.build(
            CODES[type(error)], error.reason, error.detail, error.violations[:MAX_VIOLATIONS], error.retry_after
        )
    if isinstance(error, TimeoutError):
        return CallError.build(
            code_pb2.DEADLINE_EXCEEDED,
            "DEADLINE_EXCEEDED",
            "The call ran out of time. Nothing of it may be assumed done; try again.",
        )
    return CallError.build(code_pb2.INTERNAL, "INTERNAL", "Something went wrong here. Quote the request id when you report it.")
