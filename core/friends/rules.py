"""What a pair of people is to each other, seen from one of them, and what each of their wishes makes of it. Pure."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, IntEnum
from typing import Final, NamedTuple

from core.errors import FailedPrecondition, missing

MAX_FRIENDS: Final = 5000
MAX_REQUESTS: Final = 500


class Relation(IntEnum):
    """What stands between me and somebody else."""

    NOTHING = 0
    ASKED = 1  # I asked them
    ASKED_ME = 2
    FRIENDS = 3


class News(Enum):
    """What the other side hears of; the value is the event's topic."""

    REQUESTED = "friend.requested"
    ACCEPTED = "friend.accepted"
    REMOVED = "friend.removed"


class View(NamedTuple):
    """A pair as I see it, with what I may not see: `blocks_me`."""

    relation: Relation = Relation.NOTHING
    i_block: bool = False
    blocks_me: bool = False
    by_email: bool = False


class Step(NamedTuple):
    """The pair after a wish of mine, and what is told: to both of us but REQUESTED, which is told to them alone."""

    view: View
    news: News | None = None


Wish = Callable[[View], Step]


def request(view: View, by_email: bool) -> Step:
    """I ask them. Raises FailedPrecondition (USER_BLOCKED)."""
    if view.i_block:
        raise FailedPrecondition("USER_BLOCKED", "You block this person. Unblock them first.")
    if view.relation is Relation.ASKED_ME:
        return Step(View(Relation.FRIENDS), News.ACCEPTED)
    if view.relation is Relation.NOTHING:
        return Step(view._replace(relation=Relation.ASKED, by_email=by_email), None if view.blocks_me else News.REQUESTED)
    # Who names the person is told what the address hid.
    return Step(view._replace(by_email=view.by_email and by_email) if view.relation is Relation.ASKED else view)


def accept(view: View) -> Step:
    """I accept their request. Raises NotFound."""
    if view.relation is Relation.FRIENDS:
        return Step(view)
    _require_visible_request(view)
    return Step(View(Relation.FRIENDS), News.ACCEPTED)


def decline(view: View) -> Step:
    """I decline their request; they are not told. Raises NotFound."""
    _require_visible_request(view)
    return Step(view._replace(relation=Relation.NOTHING, by_email=False))


def block(view: View) -> Step:
    """I block them: a friendship ends, and so does a request of mine. A request of theirs stays, unseen."""
    kept = view.relation if view.relation is Relation.ASKED_ME else Relation.NOTHING
    news = News.REMOVED if view.relation is Relation.FRIENDS else None
    return Step(view._replace(relation=kept, i_block=True, by_email=view.by_email and kept is Relation.ASKED_ME), news)


def unblock(view: View) -> Step:
    """I block them no longer."""
    return Step(view._replace(i_block=False))


def remove(view: View) -> Step:
    """I end the friendship, or take my request back. Raises NotFound."""
    if view.relation is Relation.FRIENDS:
        return Step(view._replace(relation=Relation.NOTHING), News.REMOVED)
    if view.relation is Relation.ASKED:
        return Step(view._replace(relation=Relation.NOTHING, by_email=False), None if view.blocks_me else News.REMOVED)
    raise missing("friend")


def _require_visible_request(view: View) -> None:
    if view.relation is not Relation.ASKED_ME or view.i_block:
        raise missing("friend request")
