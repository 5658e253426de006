"""People as messages of the contract."""

from __future__ import annotations

from datetime import datetime

from core.friends.queries import PersonRow
from core.ids import to_text
from core.times import to_timestamp
from skillforge.v1 import friends_pb2


def person(row: PersonRow) -> friends_pb2.Person:
    """Somebody as friends see them."""
    return friends_pb2.Person(id=to_text(row.user_id), display_name=row.display_name, image_url=row.image_url)


def friend(row: PersonRow) -> friends_pb2.Friend:
    """Somebody in a list, with since when."""
    return friends_pb2.Friend(person=person(row), since_time=to_timestamp(row.since))


def event(row: PersonRow, now: datetime) -> friends_pb2.FriendEvent:
    """News about somebody."""
    return friends_pb2.FriendEvent(person=person(row), time=to_timestamp(now))
