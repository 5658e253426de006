"""Conversations as messages of the contract."""

from __future__ import annotations

from core.chat.queries import ConversationRow, Watermarks
from core.chat.rules import Message
from core.ids import to_text
from core.times import to_timestamp
from skillforge.v1 import chat_pb2, friends_pb2


def message(item: Message) -> chat_pb2.ChatMessage:
    """One message."""
    return chat_pb2.ChatMessage(
        id=to_text(item.message_id),
        sender_id=to_text(item.sender_id),
        recipient_id=to_text(item.recipient_id),
        client_message_id=item.client_message_id,
        seq=item.seq,
        body=item.body,
        send_time=to_timestamp(item.time),
    )


def receipt(me: bytes, other: bytes, marks: Watermarks) -> chat_pb2.ChatReceipt:
    """How far I have received and read the conversation with the other."""
    return chat_pb2.ChatReceipt(user_id=to_text(me), peer_id=to_text(other), delivered_seq=marks.delivered, read_seq=marks.read)


def conversation(row: ConversationRow) -> chat_pb2.Conversation:
    """A conversation as its reader sees it."""
    return chat_pb2.Conversation(
        peer=friends_pb2.Person(id=to_text(row.peer_id), display_name=row.peer_name, image_url=row.peer_image_url),
        last_message=message(row.last_message),
        last_seq=row.last_seq,
        unread_count=row.unread,
        delivered_seq=row.mine.delivered,
        read_seq=row.mine.read,
        peer_delivered_seq=row.theirs.delivered,
        peer_read_seq=row.theirs.read,
    )
