"""The domain's error family. Each carries a machine-readable reason (an `ErrorReason` name without its
prefix), a sentence that says what to do, and what is wrong field by field.

`core.rpc.statuses` is the only place that turns them into statuses.
"""

from __future__ import annotations

from collections.abc import Iterable

from contract.errors import Violation


class DomainError(Exception):
    """A call that cannot be done. Raise one of the subclasses."""

    def __init__(
        self, reason: str, detail: str, *, violations: Iterable[Violation] = (), retry_after: float | None = None
    ) -> None:
        """`retry_after`: after how many seconds a repeat may succeed."""
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.violations = tuple(violations)
        self.retry_after = retry_after


class InvalidArgument(DomainError):
    """The request itself is wrong, whatever the state."""


class FailedPrecondition(DomainError):
    """The state does not allow it now."""


class Unauthenticated(DomainError):
    """Nobody, or nobody believable, is calling."""


class NotAllowed(DomainError):
    """The caller may not do this."""


class NotFound(DomainError):
    """It does not exist, or the caller may not know that it does."""


class AlreadyExists(DomainError):
    """It exists already."""


class Conflict(DomainError):
    """Somebody else changed it meanwhile, or is changing it now."""


class TooMany(DomainError):
    """A limit is reached."""


class Unavailable(DomainError):
    """Something this depends on is away for now; a repeat may succeed after `retry_after` seconds."""

    def __init__(self, reason: str, detail: str, *, retry_after: float = 1.0) -> None:
        super().__init__(reason, detail, retry_after=retry_after)


class DeadlineExceeded(DomainError):
    """The caller's deadline, or our own, ran out."""


def stale_etag(what: str) -> Conflict:
    """The error for an `If-Match` that names an older version of `what`."""
    return Conflict("ETAG_MISMATCH", f"The {what} was changed since it was read. Read it again and repeat the change.")


def missing(what: str) -> NotFound:
    """The error for something that is not there, or not there for this caller."""
    return NotFound("NOT_FOUND", f"There is no such {what}.")
