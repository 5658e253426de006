"""Asking, accepting, declining, blocking and leaving, and who may talk to whom."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from datetime import datetime
from functools import partial

from google.protobuf.empty_pb2 import Empty

from core.call import Call
from core.db import Database, DuplicateKey, Reader, Transaction
from core.db.errors import RetryScope
from core.enrollments.access import taught_among
from core.errors import FailedPrecondition, InvalidArgument, missing
from core.friends import messages, queries, rules
from core.friends.queries import Pair, PersonRow
from core.friends.rules import News, Relation, View, Wish
from core.ids import to_bytes
from core.outbox import Outbox
from core.pages import Pages, time_key
from skillforge.v1 import friends_pb2

# Called after two people have parted: no longer friends, or one blocks the other.
Parted = Callable[[bytes, bytes], Awaitable[None]]


class FriendsService:
    """Implements skillforge.v1.FriendsService. `on_parted` hears of pairs that may no longer talk as friends."""

    on_parted: tuple[Parted, ...] = ()

    def __init__(self, db: Database, outbox: Outbox, pages: Pages) -> None:
        self._db = db
        self._outbox = outbox
        self._pages = pages

    # The RPCs.

    async def request_friend(self, call: Call, request: friends_pb2.RequestFriendRequest) -> friends_pb2.RequestFriendResponse:
        """Ask somebody. Raises NotFound (by id), InvalidArgument (oneself), FailedPrecondition (LIMIT_REACHED, USER_BLOCKED)."""
        by_email = request.WhichOneof("who") == "email"
        other = await queries.user_of_email(self._db, request.email) if by_email else to_bytes(request.user_id)
        if other == call.user.user_id:
            raise InvalidArgument("INVALID_ARGUMENT", "You cannot be your own friend.")
        if other is None:  # nobody's address is answered as somebody's
            await self._require_room(self._db, call.user.user_id, View(Relation.ASKED))
            return _requested(View(Relation.ASKED))
        return _requested(await self._wish(call, other, partial(rules.request, by_email=by_email), missing("user")))

    async def accept_friend(self, call: Call, request: friends_pb2.AcceptFriendRequest) -> friends_pb2.Friend:
        """Accept a request. Raises NotFound, FailedPrecondition (LIMIT_REACHED)."""
        other = to_bytes(request.user_id)
        await self._wish(call, other, rules.accept, missing("friend request"))
        row = await queries.person(self._db, other)
        if row is None:
            raise missing("friend request")
        return messages.friend(row._replace(since=await queries.since(self._db, call.user.user_id, other) or call.now))

    async def decline_friend(self, call: Call, request: friends_pb2.DeclineFriendRequest) -> Empty:
        """Decline a request. Raises NotFound."""
        await self._wish(call, to_bytes(request.user_id), rules.decline, missing("friend request"))
        return Empty()

    async def block_user(self, call: Call, request: friends_pb2.BlockUserRequest) -> Empty:
        """Block somebody. Raises NotFound, InvalidArgument (oneself)."""
        other = to_bytes(request.user_id)
        if other == call.user.user_id:
            raise InvalidArgument("INVALID_ARGUMENT", "You cannot block yourself.")
        await self._wish(call, other, rules.block, missing("user"))
        return Empty()

    async def unblock_user(self, call: Call, request: friends_pb2.UnblockUserRequest) -> Empty:
        """End a block; who is not blocked stays so. Raises NotFound."""
        await self._wish(call, to_bytes(request.user_id), rules.unblock, missing("user"))
        return Empty()

    async def remove_friend(self, call: Call, request: friends_pb2.RemoveFriendRequest) -> Empty:
        """End a friendship, or take a request back. Raises NotFound."""
        await self._wish(call, to_bytes(request.user_id), rules.remove, missing("friend"))
        return Empty()

    async def list_friends(self, call: Call, request: friends_pb2.ListFriendsRequest) -> friends_pb2.ListFriendsResponse:
        """The caller's friends, or those the caller blocks."""
        page, me = self._pages.open(call, request, scope=(request.blocked,)), call.user.user_id
        if request.blocked:
            rows = await queries.blocked(self._db, me, page.after_time, page.size + 1)
        else:
            rows = await queries.related(self._db, me, Relation.FRIENDS, page.after_time, page.size + 1)
        kept, token = page.close(rows, _key)
        return friends_pb2.ListFriendsResponse(friends=[messages.friend(row) for row in kept], next_page_token=token)

    async def list_friend_requests(
        self, call: Call, request: friends_pb2.ListFriendRequestsRequest
    ) -> friends_pb2.ListFriendRequestsResponse:
        """Requests to the caller, or by the caller."""
        outgoing = request.direction == friends_pb2.REQUEST_DIRECTION_OUTGOING
        page = self._pages.open(call, request, scope=(outgoing,))
        relation = Relation.ASKED if outgoing else Relation.ASKED_ME
        rows = await queries.related(self._db, call.user.user_id, relation, page.after_time, page.size + 1)
        kept, token = page.close(rows, _key)
        return friends_pb2.ListFriendRequestsResponse(requests=[messages.friend(row) for row in kept], next_page_token=token)

    # What other features ask.

    async def friends_among(self, user_id: bytes, others: Collection[bytes]) -> set[bytes]:
        """Which of these are the user's friends."""
        return await queries.friends_among(self._db, user_id, others)

    async def may_talk(self, db: Reader, user_id: bytes, other_id: bytes) -> bool:
        """Whether two people may write to and call each other: friends, or teacher and enrolled student; and neither
        blocks the other."""
        return bool(await self.talking_among(db, [(user_id, other_id)]))

    async def talking_among(self, db: Reader, pairs: Collection[Pair]) -> set[Pair]:
        """`may_talk` for many pairs at once; returns those that may, as they were given."""
        ordered = {pair: (min(pair), max(pair)) for pair in pairs}
        known = await queries.standings(db, set(ordered.values()))
        unclear = {pair for pair in ordered.values() if not any(known.get(pair, (False, False)))}
        taught = await taught_among(db, unclear) if unclear else set()
        allowed = {pair for pair, (friends, blocked) in known.items() if friends and not blocked} | taught
        return {pair for pair, key in ordered.items() if key in allowed}

    async def forget(self, tx: Transaction, user_id: bytes) -> None:
        """End all friendships, requests and blocks of an account, as when it is erased."""
        await queries.forget(tx, user_id)

    # Changing a pair.

    async def _wish(self, call: Call, other: bytes, wish: Wish, unknown: Exception) -> View:
        return await self._db.transact(lambda tx: self._change(tx, call, other, wish, unknown))

    async def _change(self, tx: Transaction, call: Call, other: bytes, wish: Wish, unknown: Exception) -> View:
        """What a wish makes of the pair; whoever changed it meanwhile makes this begin anew."""
        me, now = call.user.user_id, call.now
        before = await queries.view(tx, me, other)
        if before is None and (other == me or await queries.person(tx, other) is None):
            raise unknown
        view, news = wish(before or View())
        if view == (before or View()):
            return view
        await self._require_room(tx, me, view)
        if before is None:
            try:
                await queries.insert(tx, me, other, view, now)
            except DuplicateKey as error:
                raise RetryScope("the other side wrote the pair's first row meanwhile") from error
        elif not await queries.move(tx, me, other, before, view, now):
            raise RetryScope("the pair was changed meanwhile")
        if news:
            await self._tell(tx, me, other, news, now)
        if (before and before.relation is Relation.FRIENDS and view.relation is not Relation.FRIENDS) or view.i_block:
            for parted in self.on_parted:
                tx.after_commit(partial(parted, me, other))
        return view

    async def _require_room(self, db: Reader, me: bytes, view: View) -> None:
        limits = {Relation.FRIENDS: rules.MAX_FRIENDS, Relation.ASKED: rules.MAX_REQUESTS}
        limit = limits.get(view.relation)
        if limit is not None and await queries.count(db, me, view.relation) >= limit:
            what = "friends" if view.relation is Relation.FRIENDS else "requests that wait for an answer"
            raise FailedPrecondition("LIMIT_REACHED", f"You have {limit} {what} already, which is the most. Remove some first.")

    async def _tell(self, tx: Transaction, me: bytes, other: bytes, news: News, now: datetime) -> None:
        people = {who: row for who in (me, other) if (row := await queries.person(tx, who))}
        told = [(other, me)] if news is News.REQUESTED else [(other, me), (me, other)]
        await self._outbox.add_many(
            tx, [(to, news.value, messages.event(people[about], now)) for to, about in told if about in people]
        )


def _requested(view: View) -> friends_pb2.RequestFriendResponse:
    friends = view.relation is Relation.FRIENDS
    status = friends_pb2.FRIEND_STATUS_FRIENDS if friends else friends_pb2.FRIEND_STATUS_REQUESTED
    return friends_pb2.RequestFriendResponse(status=status)


def _key(row: PersonRow) -> tuple[str, str]:
    return time_key(row.since, row.user_id)
