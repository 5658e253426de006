"""All SQL of conversations and messages. Rows are kept in the order of the ids; callers see them from their own side."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from core.chat.rules import Growth, Message, Pair, pair_of
from core.db import Reader, Transaction

# The last row of the page before.
After = tuple[datetime, bytes] | None

_COLUMNS = "m.low_id, m.high_id, m.seq, m.id, m.sender_id, m.client_message_id, m.body, m.send_time"


class Watermarks(NamedTuple):
    """How far a side has received and read a conversation."""

    delivered: int
    read: int


class ConversationRow(NamedTuple):
    """A conversation as one side sees it; the last message's columns follow."""

    peer_id: bytes
    peer_name: str
    peer_image_url: str
    last_seq: int
    last_time: datetime
    unread: int
    mine: Watermarks
    theirs: Watermarks
    last_message: Message


async def known(db: Reader, keys: Collection[tuple[bytes, str]]) -> dict[tuple[bytes, str], Message]:
    """The messages with these (sender, client message id)."""
    sql = f"SELECT {_COLUMNS} FROM messages m WHERE (m.sender_id, m.client_message_id) IN %s"
    found = (_message(row) for row in await db.fetch_all(sql, (tuple(keys),)))
    return {(item.sender_id, item.client_message_id): item for item in found}


async def grow(tx: Transaction, growths: Sequence[Growth]) -> None:
    """Count new messages in their conversations, which are made where they are the first; nobody else numbers messages
    of these until the end. Raises MissingParent when a side has no account."""
    sql = """
        INSERT INTO conversations (
          low_id, high_id, last_seq, low_unread, high_unread, last_time, low_delivered, high_delivered, low_read, high_read
        ) VALUES (%s, %s, %s, %s, %s, %s, 0, 0, 0, 0)
        ON DUPLICATE KEY UPDATE
          last_seq = last_seq + VALUES(last_seq),
          low_unread = low_unread + VALUES(low_unread),
          high_unread = high_unread + VALUES(high_unread),
          last_time = GREATEST(last_time, VALUES(last_time))
    """
    await tx.insert_many(sql, [(*item.pair, item.messages, item.low_unread, item.high_unread, item.time) for item in growths])


async def last_seqs(tx: Transaction, pairs: Collection[Pair]) -> dict[Pair, int]:
    """The newest number of each conversation."""
    # Left to itself, MariaDB finds the rows by another index and compares each with the whole list.
    sql = "SELECT low_id, high_id, last_seq FROM conversations FORCE INDEX (PRIMARY) WHERE (low_id, high_id) IN %s"
    return {Pair(low, high): seq for low, high, seq in await tx.fetch_all(sql, (tuple(map(tuple, pairs)),))}


async def insert_messages(tx: Transaction, messages: Sequence[Message]) -> None:
    """New messages. Raises DuplicateKey when one is a repeat."""
    sql = """
        INSERT INTO messages (low_id, high_id, seq, id, sender_id, client_message_id, body, send_time)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
    """
    await tx.insert_many(sql, [(*item.pair, *item[1:]) for item in messages])


async def history(db: Reader, pair: Pair, after_seq: int, before_seq: int | None, limit: int) -> list[Message]:
    """Messages newest first, with numbers between the two."""
    where, params = "", ()  # type: tuple[str, tuple[object, ...]]
    if before_seq is not None:
        where, params = "AND m.seq < %s", (before_seq,)
    sql = f"""
        SELECT {_COLUMNS} FROM messages m WHERE m.low_id = %s AND m.high_id = %s AND m.seq > %s {where}
        ORDER BY m.seq DESC LIMIT %s
    """
    return [_message(row) for row in await db.fetch_all(sql, (*pair, after_seq, *params, limit))]


async def conversations(db: Reader, me: bytes, after: After, limit: int) -> list[ConversationRow]:
    """My conversations, the latest written to first: both halves of the table by their own indexes, merged."""
    halves, params = [], []  # type: tuple[list[str], list[object]]
    for own, other in (("low", "high"), ("high", "low")):
        where, values = f"{own}_id = %s", [me]  # type: tuple[str, list[object]]
        if after is not None:
            where += f" AND last_time <= %s AND (last_time < %s OR {other}_id < %s)"
            values += [after[0], *after]
        sides = ", ".join(f"{side}_{column}" for side in (own, other) for column in ("delivered", "read"))
        halves.append(
            f"(SELECT low_id, high_id, {other}_id AS peer_id, last_seq, last_time, {own}_unread AS unread, {sides}"
            f" FROM conversations WHERE {where} ORDER BY last_time DESC, {other}_id DESC LIMIT %s)"
        )
        params += [*values, limit]
    # The columns of a union are named by its first half.
    sql = f"""
        SELECT c.peer_id, u.display_name, u.image_url, c.last_seq, c.last_time, c.unread,
          c.low_delivered, c.low_read, c.high_delivered, c.high_read, {_COLUMNS}
        FROM ({" UNION ALL ".join(halves)}) c
        JOIN users u ON u.id = c.peer_id
        JOIN messages m ON m.low_id = c.low_id AND m.high_id = c.high_id AND m.seq = c.last_seq
        ORDER BY c.last_time DESC, c.peer_id DESC LIMIT %s
    """
    rows = await db.fetch_all(sql, (*params, limit))
    return [_conversation(row) for row in rows]


async def raise_watermarks(tx: Transaction, me: bytes, other: bytes, marks: Watermarks) -> bool:
    """Bring my watermarks up to these, as far as there are messages; what is read is delivered. False: nothing grew."""
    own = _side(me, other)
    sql = f"""
        UPDATE conversations SET
          {own}_delivered = GREATEST({own}_delivered, LEAST(%s, last_seq)),
          {own}_read = GREATEST({own}_read, LEAST(%s, last_seq))
        WHERE low_id = %s AND high_id = %s AND ({own}_delivered < LEAST(%s, last_seq) OR {own}_read < LEAST(%s, last_seq))
    """
    delivered = max(marks)
    params = (delivered, marks.read, *pair_of(me, other), delivered, marks.read)
    return await tx.execute(sql, params) == 1


async def count_unread(tx: Transaction, me: bytes, other: bytes) -> None:
    """Count anew what I have to read. A statement of its own, behind the one that took the row: what was sent meanwhile
    is only seen by a snapshot taken after."""
    own, pair = _side(me, other), pair_of(me, other)
    sql = f"""
        UPDATE conversations SET {own}_unread = (
          SELECT COUNT(*) FROM messages WHERE low_id = %s AND high_id = %s AND seq > {own}_read AND sender_id = %s
        ) WHERE low_id = %s AND high_id = %s
    """
    await tx.execute(sql, (*pair, other, *pair))


async def watermarks(db: Reader, me: bytes, other: bytes) -> Watermarks | None:
    """How far I have received and read a conversation; None: there is none."""
    own = _side(me, other)
    sql = f"SELECT {own}_delivered, {own}_read FROM conversations WHERE low_id = %s AND high_id = %s"
    row = await db.fetch_one(sql, pair_of(me, other))
    return Watermarks(*row) if row else None


def _side(me: bytes, other: bytes) -> str:
    return "low" if me < other else "high"


def _conversation(row: Sequence[Any]) -> ConversationRow:
    peer_id, name, image_url, last_seq, last_time, unread = row[:6]
    mine, theirs = Watermarks(*row[6:8]), Watermarks(*row[8:10])
    return ConversationRow(peer_id, name, image_url, last_seq, last_time, unread, mine, theirs, _message(row[10:]))


def _message(row: Sequence[Any]) -> Message:
    low_id, high_id, *rest = row
    return Message(Pair(low_id, high_id), *rest)
