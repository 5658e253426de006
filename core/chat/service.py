"""Writing, reading and typing."""

from __future__ import annotations

from google.protobuf.empty_pb2 import Empty

from core.call import Call
from core.chat import messages, queries
from core.chat.queries import Watermarks
from core.chat.receipts import Receipts
from core.chat.rules import Draft, clean_body, may_not_write, pair_of
from core.chat.sending import Sending, Sent
from core.db import Batcher, Database, Transaction
from core.errors import InvalidArgument, missing
from core.friends.service import FriendsService
from core.ids import new_id, to_bytes, to_text
from core.isolated import isolated
from core.outbox import Outbox
from core.pages import Pages, time_key
from core.realtime.publisher import Publisher
from skillforge.v1 import chat_pb2

TYPING = "chat.typing"
# A batch costs seven round trips: what comes within so little time shares them. Whoever writes alone waits for nobody.
BATCH_SPACING_SECONDS = 0.016


class ChatService:
    """Implements skillforge.v1.ChatService. Close it."""

    def __init__(self, db: Database, friends: FriendsService, outbox: Outbox, publisher: Publisher, pages: Pages) -> None:
        self._db = db
        self._friends = friends
        self._publisher = publisher
        self._pages = pages
        self._receipts = Receipts(publisher)
        self._sending: Batcher[Draft, Sent] = Batcher(
            isolated(Sending(db, friends, outbox).run), max_size=200, in_flight=2, spacing=BATCH_SPACING_SECONDS
        )

    async def close(self) -> None:
        """Push the receipts that wait."""
        await self._sending.close()
        await self._receipts.close()

    # The RPCs.

    async def send_message(self, call: Call, request: chat_pb2.SendMessageRequest) -> chat_pb2.SendMessageResponse:
        """Write a message; it is committed when this returns. A repeat gives the same message (200).

        Raises InvalidArgument (blank, to oneself), NotAllowed (MAY_NOT_WRITE), Conflict (MESSAGE_ID_REUSED).
        """
        draft = Draft(
            message_id=new_id(),
            sender_id=call.user.user_id,
            recipient_id=_another(call, request.to),
            client_message_id=request.client_message_id,
            body=clean_body(request.body),
            time=call.now,
            connection=call.connection,
        )
        message, created = await self._sending.submit(draft)
        if not created:
            call.answer_with(200)
        return chat_pb2.SendMessageResponse(message=message)

    async def list_messages(self, call: Call, request: chat_pb2.ListMessagesRequest) -> chat_pb2.ListMessagesResponse:
        """The caller's messages with somebody, newest first; none with a stranger, whoever that is."""
        other = to_bytes(request.user_id)
        page = self._pages.open(call, request, scope=(other, request.after_seq))
        before = int(page.after[0]) if page.after else None
        rows = await queries.history(self._db, pair_of(call.user.user_id, other), request.after_seq, before, page.size + 1)
        kept, token = page.close(rows, lambda row: (row.seq,))
        return chat_pb2.ListMessagesResponse(messages=[messages.message(row) for row in kept], next_page_token=token)

    async def list_conversations(
        self, call: Call, request: chat_pb2.ListConversationsRequest
    ) -> chat_pb2.ListConversationsResponse:
        """The caller's conversations, the latest written to first."""
        page = self._pages.open(call, request)
        rows = await queries.conversations(self._db, call.user.user_id, page.after_time, page.size + 1)
        kept, token = page.close(rows, lambda row: time_key(row.last_time, row.peer_id))
        return chat_pb2.ListConversationsResponse(
            conversations=[messages.conversation(row) for row in kept], next_page_token=token
        )

    async def mark_read(self, call: Call, request: chat_pb2.MarkReadRequest) -> chat_pb2.ChatReceipt:
        """Read a conversation up to a message. Raises NotFound."""
        return await self._mark(call, request.user_id, Watermarks(delivered=0, read=request.seq))

    async def mark_delivered(self, call: Call, request: chat_pb2.MarkDeliveredRequest) -> chat_pb2.ChatReceipt:
        """Receive a conversation up to a message. Raises NotFound."""
        return await self._mark(call, request.user_id, Watermarks(delivered=request.seq, read=0))

    async def set_typing(self, call: Call, request: chat_pb2.SetTypingRequest) -> Empty:
        """Tell somebody's devices that the caller types. Raises NotAllowed (MAY_NOT_WRITE)."""
        me, other = call.user.user_id, _another(call, request.to)
        if not await self._friends.may_talk(self._db, me, other):
            raise may_not_write()
        await self._publisher.push(other, TYPING, chat_pb2.ChatTyping(user_id=to_text(me), typing=request.typing))
        return Empty()

    async def _mark(self, call: Call, user_id: str, marks: Watermarks) -> chat_pb2.ChatReceipt:
        me, other = call.user.user_id, to_bytes(user_id)

        async def work(tx: Transaction) -> bool:
            grew = await queries.raise_watermarks(tx, me, other, marks)
            if grew and marks.read:
                await queries.count_unread(tx, me, other)
            return grew

        grew = await self._db.transact(work)
        found = await queries.watermarks(self._db, me, other)
        if found is None:
            raise missing("conversation")
        if grew:
            await self._receipts.tell(me, other, found)
        return messages.receipt(me, other, found)


def _another(call: Call, user_id: str) -> bytes:
    other = to_bytes(user_id)
    if other == call.user.user_id:
        raise InvalidArgument("INVALID_ARGUMENT", "You cannot write to yourself.")
    return other
