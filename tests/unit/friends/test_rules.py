"""What two people's wishes make of a pair, against a model that keeps each side's own memory."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import DomainError, FailedPrecondition, NotFound
from core.friends import rules
from core.friends.rules import News, Relation, Step, View, Wish

WISHES: dict[str, Wish] = {
    "ask": partial(rules.request, by_email=False),
    "ask by address": partial(rules.request, by_email=True),
    "accept": rules.accept,
    "decline": rules.decline,
    "block": rules.block,
    "unblock": rules.unblock,
    "remove": rules.remove,
}
TURNED = {Relation.ASKED: Relation.ASKED_ME, Relation.ASKED_ME: Relation.ASKED}


def turned(view: View) -> View:
    """The same pair from the other side."""
    return View(TURNED.get(view.relation, view.relation), view.blocks_me, view.i_block, view.by_email)


def seen(view: View) -> tuple[object, ...]:
    """What a side can find out: everything but whether it is blocked, and requests it blocks."""
    hidden = view.i_block and view.relation is Relation.ASKED_ME
    return (Relation.NOTHING if hidden else view.relation), view.i_block


def outcome(view: View, wish: str) -> tuple[View, object]:
    """The pair after a wish, and what the wisher is told."""
    try:
        step = WISHES[wish](view)
    except DomainError as error:
        return view, (type(error), error.reason)
    return step.view, seen(step.view)


@given(st.lists(st.tuples(st.booleans(), st.sampled_from(sorted(WISHES))), max_size=30))
def test_the_pair_is_always_one_that_makes_sense(wishes: list[tuple[bool, str]]) -> None:
    view = View()
    for other_side, wish in wishes:
        view = turned(outcome(turned(view), wish)[0]) if other_side else outcome(view, wish)[0]
        blocked = view.i_block or view.blocks_me
        assert not (blocked and view.relation is Relation.FRIENDS)
        assert not (view.i_block and view.relation is Relation.ASKED)
        assert not (view.blocks_me and view.relation is Relation.ASKED_ME)
        assert not view.by_email or view.relation in TURNED


@given(st.lists(st.sampled_from(sorted(WISHES)), max_size=20))
def test_who_is_blocked_cannot_tell_it_from_silence(wishes: list[str]) -> None:
    """A stranger who never answers and one who blocks are the same to whoever asks."""
    silent, blocking = View(), View(blocks_me=True)
    for wish in wishes:
        silent, told = outcome(silent, wish)
        blocking, told_too = outcome(blocking, wish)
        assert told == told_too


def test_crossing_requests_make_friends() -> None:
    asked = rules.request(View(), by_email=False)
    assert asked == Step(View(Relation.ASKED), News.REQUESTED)
    assert rules.request(turned(asked.view), by_email=False) == Step(View(Relation.FRIENDS), News.ACCEPTED)
    assert rules.request(View(Relation.FRIENDS), by_email=False) == Step(View(Relation.FRIENDS))


def test_a_block_swallows_requests_until_it_ends() -> None:
    asked = rules.request(View(blocks_me=True), by_email=False)
    assert asked.news is None
    theirs = turned(asked.view)
    with pytest.raises(NotFound):
        rules.accept(theirs)
    with pytest.raises(FailedPrecondition, match="Unblock"):
        rules.request(theirs, by_email=False)
    assert rules.accept(rules.unblock(theirs).view).view.relation is Relation.FRIENDS


def test_an_end_is_told_only_where_there_was_something() -> None:
    assert rules.block(View(Relation.FRIENDS)).news is News.REMOVED
    assert rules.block(View(Relation.ASKED)).news is None
    assert rules.remove(View(Relation.FRIENDS)).news is News.REMOVED
    assert rules.remove(View(Relation.ASKED, blocks_me=True)).news is None
    assert rules.decline(View(Relation.ASKED_ME)).news is None
    with pytest.raises(NotFound):
        rules.remove(View(Relation.ASKED_ME))
