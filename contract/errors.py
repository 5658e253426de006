"""The one error a door gets from a `CoreClient`: `google.rpc.Status` with its standard details.

Source: the google.rpc error model (AIP-193): `ErrorInfo` carries the reason, `BadRequest` the violations,
`RetryInfo` when to try again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, TypeVar

from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

DOMAIN = "skillforge"

_Detail = TypeVar("_Detail", bound=Message)


class Violation(NamedTuple):
    """One thing wrong with a request: the field's path, the rule's name and a sentence."""

    field: str
    rule: str
    description: str


class CallError(Exception):
    """A failed call, as it travels: the status and, beside it, reply metadata such as the rate limit's state."""

    def __init__(self, status: status_pb2.Status, metadata: dict[str, str] | None = None) -> None:
        super().__init__(status.message)
        self.status = status
        self.metadata: dict[str, str] = metadata if metadata is not None else {}

    @classmethod
    def build(
        cls, code: int, reason: str, detail: str, violations: Iterable[Violation] = (), retry_after: float | None = None
    ) -> CallError:
        """Make an error; `reason` is an `ErrorReason` name without its prefix, `retry_after` is in seconds."""
        status = status_pb2.Status(code=code, message=detail)
        status.details.add().Pack(error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN))
        fields = [
            error_details_pb2.BadRequest.FieldViolation(field=item.field, reason=item.rule, description=item.description)
            for item in violations
        ]
        if fields:
            status.details.add().Pack(error_details_pb2.BadRequest(field_violations=fields))
        if retry_after is not None:
            info = error_details_pb2.RetryInfo()
            info.retry_delay.FromMilliseconds(max(0, round(retry_after * 1000)))
            status.details.add().Pack(info)
        return cls(status)

    @property
    def code(self) -> int:
        """The google.rpc.Code number (the same as gRPC's)."""
        return int(self.status.code)

    @property
    def code_name(self) -> str:
        """The code's name, such as "NOT_FOUND"."""
        known = code_pb2.Code.DESCRIPTOR.values_by_number.get(self.status.code)
        return known.name if known else "UNKNOWN"

    @property
    def detail(self) -> str:
        """The sentence for people."""
        return str(self.status.message)

    @property
    def reason(self) -> str:
        """The reason for programs; empty when the sender gave none."""
        info = self._find(error_details_pb2.ErrorInfo)
        return info.reason if info else ""

    @property
    def violations(self) -> tuple[Violation, ...]:
        """What is wrong with the request, field by field."""
        bad = self._find(error_details_pb2.BadRequest)
        return tuple(Violation(item.field, item.reason, item.description) for item in bad.field_violations) if bad else ()

    @property
    def retry_after(self) -> float | None:
        """After how many seconds the call may succeed; None when nothing is known."""
        info = self._find(error_details_pb2.RetryInfo)
        return info.retry_delay.ToMilliseconds() / 1000 if info else None

    def _find(self, kind: type[_Detail]) -> _Detail | None:
        for detail in self.status.details:
            if detail.Is(kind.DESCRIPTOR):
                found = kind()
                detail.Unpack(found)
                return found
        return None
