"""Watched seconds: each counts once, in whatever order and however often it is watched, and never faster than the clock."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from core.progress import rules
from core.progress.rules import UNSEEN, LectureState, apply_mark
from core.progress.stretches import MAX_STRETCHES, Stretches, cover, missed, pack, unpack
from tests.unit.progress.test_rules import NOW, SECOND, mark

PIECES = st.lists(st.tuples(st.integers(0, 300), st.integers(0, 40)).map(lambda item: (item[0], item[0] + item[1])), max_size=30)
MANY = st.lists(st.tuples(st.integers(0, 5000), st.integers(1, 3)).map(lambda item: (item[0], item[0] + item[1])), max_size=200)


def covered(pieces: list[tuple[int, int]]) -> Stretches:
    found: Stretches = ()
    for start, end in pieces:
        found = cover(found, start, end)
    return found


def seconds(stretches: Stretches) -> set[int]:
    return {second for start, end in stretches for second in range(start, end)}


@given(PIECES)
def test_stretches_are_the_union_of_what_was_watched(pieces: list[tuple[int, int]]) -> None:
    found = covered(pieces)
    assert seconds(found) == {second for start, end in pieces for second in range(start, end)}
    assert list(found) == sorted(found)
    assert all(before[1] < after[0] for before, after in pairwise(found))
    assert unpack(pack(found)) == found


@given(PIECES, st.randoms(use_true_random=False))
def test_order_and_repetition_do_not_matter(pieces: list[tuple[int, int]], chance: object) -> None:
    shuffled = pieces * 2
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert covered(shuffled) == covered(pieces)


@given(PIECES, st.integers(0, 350), st.integers(0, 50))
def test_missed_counts_what_is_new(pieces: list[tuple[int, int]], start: int, length: int) -> None:
    assert missed(covered(pieces), start, start + length) == len(set(range(start, start + length)) - seconds(covered(pieces)))


@given(MANY)
def test_their_number_is_bounded_and_nothing_seen_is_forgotten(pieces: list[tuple[int, int]]) -> None:
    found: Stretches = ()
    for start, end in pieces:
        after = cover(found, start, end)
        assert seconds(found) | set(range(start, end)) <= seconds(after)
        assert len(after) <= MAX_STRETCHES
        found = after


STEPS = st.lists(st.tuples(st.integers(0, 900), st.integers(1, 900)), max_size=25)


def watch(state: LectureState, position: int, watched: int, now: int, duration: int = 600) -> LectureState:
    return apply_mark(state, mark(None, position, watched, now=now, duration=duration))


@given(STEPS)
def test_with_time_enough_the_order_does_not_matter(steps: list[tuple[int, int]]) -> None:
    def watched(order: list[tuple[int, int]]) -> int:
        state, now = LectureState(update=NOW), NOW
        for position, length in order:
            now += 3600 * SECOND
            state = watch(state, position, length, now)
        return state.watched_seconds

    union = {second for position, length in steps for second in range(max(0, min(position, 600) - length), min(position, 600))}
    assert watched(steps) == watched(steps[::-1]) == watched(steps * 2) == len(union)


@given(STEPS, st.lists(st.integers(0, 400), min_size=25, max_size=25))
def test_never_faster_than_the_clock_nor_longer_than_the_lecture(steps: list[tuple[int, int]], pauses: list[int]) -> None:
    state, now = UNSEEN, NOW
    for (position, length), pause in zip(steps, pauses, strict=False):
        now += pause * SECOND
        after = watch(state, position, length, now)
        assert state.watched_seconds <= after.watched_seconds <= 600
        assert bool(after.complete) == (after.watched_seconds >= 540)
        state = after
    assert state.watched_seconds <= rules.FIRST_REPORT_SECONDS + (now - NOW) // SECOND * rules.WATCH_SLACK


def test_a_replay_counts_once_and_the_rest_completes() -> None:
    state, now = apply_mark(UNSEEN, mark(None, 0, now=NOW)), NOW
    for _ in range(10):
        now += 50 * SECOND
        state = watch(state, 50, 50, now, duration=100)
    assert (state.watched_seconds, state.complete) == (50, 0)
    now += 40 * SECOND
    state = watch(state, 90, 40, now, duration=100)
    assert (state.watched_seconds, state.complete) == (90, now)
