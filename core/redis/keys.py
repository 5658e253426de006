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
# That events were published: longer than a claim on them lives. Whoever tries again makes it last.
PUBLISHED_TTL_MS = 10 * 60_000
# A ticket to connect with.
TICKET_TTL_MS = 30_000
# When a user was last connected, and who watches whom.
SEEN_TTL_MS = 90 * 86_400_000
WATCH_TTL_MS = 15 * 60_000
# A live call and the locks on its people, carried on while it is live; and what is left of one that has ended.
CALL_TTL_MS = 10 * 60_000
CALL_ENDED_TTL_MS = 5 * 60_000
# The client's own name of an invite, and that a signal was relayed.
CALL_MARK_TTL_MS = 5 * 60_000
# Idempotency: while the first call runs, and its stored answer.
IDEMPOTENCY_RUNNING_TTL_MS = 60_000
IDEMPOTENCY_DONE_TTL_MS = 86_400_000
# What the assistant answered, and how much a user asked it on one day.
AI_ANSWER_TTL_MS = 7 * 86_400_000
AI_BUDGET_TTL_MS = 2 * 86_400_000

# ZSET: the processes that hold connections, by when their lease ends.
PRESENCE_PROCESSES = "presence-processes"
# ZSET: the live calls, by when each is to be looked at.
CALLS_DUE = "calls-due"
# The channel that tells every process what to drop from its caches.
INVALIDATIONS = "invalidate"


def user_tag(user_id: bytes) -> str:
    """The hash tag of a user's keys, braces included."""
    return f"{{u{crc32(user_id) % USER_PARTITIONS}}}"


def hash_tag(key: str) -> str:
    """What stands in a key's first braces."""
    return key.partition("{")[2].partition("}")[0]


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


def published(user_id: bytes, mark: bytes) -> str:
    """That events of users of this one's partition were published, PUBLISHED_TTL_MS. The mark is the first one's id."""
    return f"published:{user_tag(user_id)}:{mark.hex()}"


def ticket(digest: str) -> str:
    """Who connects with a ticket, by its SHA-256, TICKET_TTL_MS; read once."""
    return f"ticket:{digest}"


def presence(user_id: bytes) -> str:
    """ZSET: a user's connections by when each expires, in milliseconds of Redis's own clock."""
    return f"presence:{user_tag(user_id)}:{user_id.hex()}"


def presence_seen(user_id: bytes) -> str:
    """When a user was last connected, in milliseconds since 1970, SEEN_TTL_MS."""
    return f"presence-seen:{user_tag(user_id)}:{user_id.hex()}"


def presence_watchers(user_id: bytes) -> str:
    """ZSET: who watches a user, by when the watch ends, WATCH_TTL_MS."""
    return f"presence-watchers:{user_tag(user_id)}:{user_id.hex()}"


def presence_users(tag: str, process: str) -> str:
    """SET: the users of one partition who are connected to a process."""
    return f"presence-users:{tag}:{process}"


def call(call_id: bytes) -> str:
    """HASH: a call. The last byte of its id is its partition, the pair's."""
    return f"call:{_call_tag(call_id)}:{call_id.hex()}"


def call_pair(low_id: bytes, high_id: bytes) -> str:
    """The live call of two people, the smaller id first: CALL_TTL_MS."""
    return f"call-pair:{user_tag(low_id)}:{low_id.hex()}{high_id.hex()}"


def call_mark(low_id: bytes, user_id: bytes, client_id: str) -> str:
    """The call that an invite of a user made, by the client's own name of it, in the pair's partition: CALL_MARK_TTL_MS."""
    return f"call-mark:{user_tag(low_id)}:{user_id.hex()}:{client_id}"


def call_partition(low_id: bytes) -> int:
    """The partition of a pair's calls, for their ids."""
    return crc32(low_id) % USER_PARTITIONS


def call_busy(user_id: bytes) -> str:
    """The call a user is in: CALL_TTL_MS."""
    return f"call-busy:{user_tag(user_id)}:{user_id.hex()}"


def _call_tag(call_id: bytes) -> str:
    return f"{{u{call_id[-1]}}}"


def ai_answer(digest: str) -> str:
    """An answer of the assistant by the digest of all it follows from, AI_ANSWER_TTL_MS."""
    return f"ai-answer:{digest}"


def ai_budget(user_id: bytes, day: str) -> str:
    """How many answers a user had made on a day (UTC, such as 2026-11-22), AI_BUDGET_TTL_MS."""
    return f"ai-budget:{user_id.hex()}:{day}"


def partition_tags() -> list[str]:
    """The hash tag of every partition."""
    return [f"{{u{number}}}" for number in range(USER_PARTITIONS)]
