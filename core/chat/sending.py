"""Sending, many messages at a time: those that arrive while others are written share statements and a commit."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from core.chat import messages, queries
from core.chat.rules import Draft, Message, growths, may_not_write, numbered, repeat_of
from core.db import Database, DuplicateKey, Transaction
from core.db.errors import RetryScope
from core.errors import DomainError
from core.friends.service import FriendsService
from core.outbox import News, Outbox
from core.realtime.events import elsewhere
from skillforge.v1 import chat_pb2

BATCH_SECONDS = 8.0
MESSAGE = "chat.message"

# A message and whether it is new.
Sent = tuple[chat_pb2.ChatMessage, bool]
# Or why the draft is none.
Result = Sent | DomainError


class Sending:
    """Writes batches of drafts."""

    def __init__(self, db: Database, friends: FriendsService, outbox: Outbox) -> None:
        self._db = db
        self._friends = friends
        self._outbox = outbox

    async def run(self, drafts: list[Draft]) -> list[Result]:
        """Write a batch in one transaction; each draft has its own result.

        Repeats are rare, so they are looked for only when a first try runs into one.
        """
        async with asyncio.timeout(BATCH_SECONDS):
            distinct = len({draft.key for draft in drafts}) == len(drafts)
            if distinct:
                try:
                    return await self._db.transact(lambda tx: self._write(tx, drafts, {}))
                except _Repeated:
                    pass
            return await self._db.transact(lambda tx: self._write_unknown(tx, drafts))

    async def _write_unknown(self, tx: Transaction, drafts: Sequence[Draft]) -> list[Result]:
        """Some of the drafts were sent before, or are there twice."""
        known = await queries.known(tx, {draft.key for draft in drafts})
        try:
            return await self._write(tx, drafts, known)
        except _Repeated as error:
            raise RetryScope("another transaction wrote the message meanwhile") from error

    async def _write(self, tx: Transaction, drafts: Sequence[Draft], known: dict[tuple[bytes, str], Message]) -> list[Result]:
        fresh = {draft.key: draft for draft in reversed(drafts) if draft.key not in known}
        ordered = [draft for draft in drafts if fresh.get(draft.key) is draft]
        talking = await self._friends.talking_among(tx, {(draft.sender_id, draft.recipient_id) for draft in ordered})
        allowed = [draft for draft in ordered if (draft.sender_id, draft.recipient_id) in talking]
        if len(allowed) < len(ordered):
            # What was sent while they might is answered all the same.
            known = known | await queries.known(tx, {draft.key for draft in ordered} - {draft.key for draft in allowed})
        made = await self._insert(tx, allowed) if allowed else []
        told = [messages.message(item) for item in made]
        # To the recipient's devices, and to the sender's other ones.
        news: list[News] = []
        for draft, message in zip(allowed, told, strict=True):
            news += [(draft.recipient_id, MESSAGE, message), (draft.sender_id, elsewhere(MESSAGE, draft.connection), message)]
        await self._outbox.add_together(tx, news)
        if len(made) == len(drafts):
            return [(message, True) for message in told]
        new = {(item.sender_id, item.client_message_id): item for item in made}
        return [_result(draft, draft.key in new and fresh[draft.key] is draft, known | new) for draft in drafts]

    async def _insert(self, tx: Transaction, drafts: Sequence[Draft]) -> list[Message]:
        grown = growths(drafts)
        await queries.grow(tx, grown)
        made = numbered(drafts, await queries.last_seqs(tx, [item.pair for item in grown]))
        try:
            await queries.insert_messages(tx, made)
        except DuplicateKey as error:
            raise _Repeated from error
        return made


class _Repeated(Exception):
    """A draft was sent before."""


def _result(draft: Draft, first: bool, found: dict[tuple[bytes, str], Message]) -> Result:
    message = found.get(draft.key)
    if message is None:
        return may_not_write()
    if first:
        return messages.message(message), True
    try:
        return messages.message(repeat_of(message, draft)), False
    except DomainError as error:
        return error
