"""Times: naive UTC `datetime`s inside (as DATETIME(6) holds them), protobuf Timestamps in the contract."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from time import time_ns

from google.protobuf.timestamp_pb2 import Timestamp

# Returns the present time in naive UTC; injected wherever time decides something.
Clock = Callable[[], datetime]

_EPOCH = datetime(1970, 1, 1)


def utc_now() -> datetime:
    """The present time, naive UTC."""
    return _EPOCH + timedelta(0, 0, time_ns() // 1000)  # days, seconds, microseconds


def to_timestamp(moment: datetime | None) -> Timestamp | None:
    """A contract Timestamp; None stays None (an unset field)."""
    if moment is None:
        return None
    delta = moment - _EPOCH
    return Timestamp(seconds=delta.days * 86400 + delta.seconds, nanos=delta.microseconds * 1000)


def to_unix(moment: datetime) -> float:
    """Seconds since 1970 of a naive UTC time."""
    return (moment - _EPOCH).total_seconds()


def from_unix(seconds: float) -> datetime:
    """The naive UTC time of seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)
