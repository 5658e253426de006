"""Pure decisions about chat: what a body may be, and what a batch of messages comes to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from contract.errors import Violation
from core.call import Connection
from core.errors import Conflict, InvalidArgument, NotAllowed

# Control characters but tab and line feed (Unicode's category Cc).
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Pair(NamedTuple):
    """The two sides of a conversation, the smaller id first."""

    low_id: bytes
    high_id: bytes


class Draft(NamedTuple):
    """A message somebody wants to send. `message_id` is the message's if it becomes a new one."""

    message_id: bytes
    sender_id: bytes
    recipient_id: bytes
    client_message_id: str
    body: str
    time: datetime
    # The connection it was sent over: the sender's other ones are told of it.
    connection: Connection | None = None

    @property
    def pair(self) -> Pair:
        return pair_of(self.sender_id, self.recipient_id)

    @property
    def key(self) -> tuple[bytes, str]:
        """What makes a repeat one."""
        return self.sender_id, self.client_message_id


class Message(NamedTuple):
    """A message of a conversation."""

    pair: Pair
    seq: int
    message_id: bytes
    sender_id: bytes
    client_message_id: str
    body: str
    time: datetime

    @property
    def recipient_id(self) -> bytes:
        return self.pair.high_id if self.sender_id == self.pair.low_id else self.pair.low_id


class Growth(NamedTuple):
    """What new messages do to a conversation: how many they are, and how many of them each side has to read."""

    pair: Pair
    messages: int
    low_unread: int
    high_unread: int
    time: datetime


def may_not_write() -> NotAllowed:
    """The error for whoever may not write to somebody: the same for strangers, the blocked and ids that are nobody's."""
    return NotAllowed("MAY_NOT_WRITE", "You can write to friends, and to the teachers and students of your courses.")


def pair_of(one: bytes, other: bytes) -> Pair:
    """Two people as a conversation's sides."""
    return Pair(one, other) if one < other else Pair(other, one)


def clean_body(body: str) -> str:
    """A body as it is kept: line ends as line feeds, other control characters gone. Raises InvalidArgument."""
    cleaned = _CONTROLS.sub("", body.replace("\r\n", "\n").replace("\r", "\n"))
    if not cleaned.strip():
        raise InvalidArgument(
            "INVALID_ARGUMENT", "The message is empty.", violations=[Violation("body", "not_blank", "must not be blank")]
        )
    return cleaned


def growths(drafts: Iterable[Draft]) -> list[Growth]:
    """What these drafts do to their conversations, in the order of the pairs: whoever locks rows in it never deadlocks."""
    found: dict[Pair, Growth] = {}
    for draft in drafts:
        pair = draft.pair
        to_low = draft.recipient_id == pair.low_id
        last = found.get(pair, Growth(pair, 0, 0, 0, draft.time))
        found[pair] = Growth(
            pair, last.messages + 1, last.low_unread + to_low, last.high_unread + (not to_low), max(last.time, draft.time)
        )
    return [found[pair] for pair in sorted(found)]


def numbered(drafts: Sequence[Draft], last_seqs: Mapping[Pair, int]) -> list[Message]:
    """The drafts as messages, given each conversation's newest number with all of them counted."""
    left: dict[Pair, int] = {}
    for draft in drafts:
        left[draft.pair] = left.get(draft.pair, 0) + 1
    made = []
    for draft in drafts:
        pair = draft.pair
        seq = last_seqs[pair] - left[pair] + 1
        left[pair] -= 1
        made.append(Message(pair, seq, draft.message_id, draft.sender_id, draft.client_message_id, draft.body, draft.time))
    return made


def repeat_of(message: Message, draft: Draft) -> Message:
    """The message a repeated draft became. Raises Conflict (MESSAGE_ID_REUSED) when it says something else.

    A body that is gone, as an erased account's are, was the same.
    """
    if message.pair == draft.pair and message.body in (draft.body, ""):
        return message
    raise Conflict("MESSAGE_ID_REUSED", "This clientMessageId is another message's. Make a new one for each message.")
