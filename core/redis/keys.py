"""Every key name, and how long what stands there lives.

A user's keys carry a hash tag made from crc32(user id) % 128, so that they share a Cluster slot and one script may
touch them together. Keys that are only ever used alone carry none.
"""

from __future__ import annotations

from hashlib import sha256
from zlib import crc32

USER_PARTITIONS = 128

# Accounts and session states, copied from MySQL.
SESSION_TTL_MS = 60_000
# A user's event log, and beside it the epoch and the top offset.
EVENTS_TTL_MS = 10 * 60_000
EVENTS_MAX = 512
EVENTS_HEAD_TTL_MS = 7 * 86_400_000
# That an event was published: longer than any relay may hold on to it.
PUBLISHED_TTL_MS = 60 * 60_000
# Idempotency: while the first call runs, and its stored answer.
IDEMPOTENCY_RUNNING_TTL_MS = 60_000
IDEMPOTENCY_DONE_TTL_MS = 86_400_000

# The channel that tells every process what to drop from its caches.
INVALIDATIONS = "invalidate"


def user_tag(user_id: bytes) -> str:
    """The hash tag of a user's keys, braces included."""
    return f"{{u{crc32(user_id) % USER_PARTITIONS}}}"


def account(clerk_id: str) -> str:
    """An account by its id at Clerk: `version|value`, SESSION_TTL_MS."""
    return f"account:{clerk_id}"


def session(session_id: str) -> str:
    """Whether a session is live or revoked: `version|value`, SESSION_TTL_MS."""
    return f"session:{session_id}"


def limit(policy: str, key: str) -> str:
    """A rate limit's state (GCRA): the theoretical arrival time, until it has passed."""
    return f"limit:{policy}:{key}"


def idempotency(scope: str, key: str) -> str:
    """A call's answer by its idempotency key; hashed, for both parts come from outside and may be long."""
    digest = sha256(f"{scope}\0{key}".encode()).hexdigest()
    return f"idempotency:{digest}"


def events(user_id: bytes) -> str:
    """STREAM: a user's event log, EVENTS_TTL_MS."""
    return f"events:{user_tag(user_id)}:{user_id.hex()}"


def events_head(user_id: bytes) -> str:
    """HASH: epoch and top offset of a user's event log, EVENTS_HEAD_TTL_MS."""
    return f"events-head:{user_tag(user_id)}:{user_id.hex()}"


def events_channel(user_id: bytes) -> str:
    """Sharded pub/sub channel of a user's events."""
    return f"events-channel:{user_tag(user_id)}:{user_id.hex()}"


def published(user_id: bytes, event_id: bytes) -> str:
    """That an event of a user was published, PUBLISHED_TTL_MS."""
    return f"published:{user_tag(user_id)}:{event_id.hex()}"
