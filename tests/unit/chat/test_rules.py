"""Bodies, and the numbering of batches."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.chat.rules import Draft, Message, Pair, clean_body, growths, numbered, pair_of, repeat_of
from core.errors import Conflict, InvalidArgument

PEOPLE = [bytes([number]) * 16 for number in range(4)]
NOW = datetime(2026, 1, 1)


@st.composite
def drafts(draw: st.DrawFn) -> list[Draft]:
    """Messages between a few people, each with an id of its own."""
    pairs = draw(st.lists(st.lists(st.sampled_from(PEOPLE), min_size=2, max_size=2, unique=True), max_size=30))
    return [Draft(b"m" * 16, one, other, f"c{number}", "hi", NOW) for number, (one, other) in enumerate(pairs)]


@given(drafts(), st.integers(0, 1000))
def test_numbers_go_on_without_gaps_in_the_order_sent(batch: list[Draft], before: int) -> None:
    grown = growths(batch)
    assert [item.pair for item in grown] == sorted({draft.pair for draft in batch})
    made = numbered(batch, {item.pair: before + item.messages for item in grown})
    assert [message.client_message_id for message in made] == [draft.client_message_id for draft in batch]
    for item in grown:
        own = [message for message in made if message.pair == item.pair]
        assert [message.seq for message in own] == list(range(before + 1, before + 1 + item.messages))
        assert item.low_unread == sum(message.recipient_id == item.pair.low_id for message in own)
        assert item.high_unread == sum(message.recipient_id == item.pair.high_id for message in own)


@given(st.text(max_size=50))
def test_a_body_is_cleaned_once_and_for_all(text: str) -> None:
    try:
        cleaned = clean_body(text)
    except InvalidArgument:
        return
    assert clean_body(cleaned) == cleaned
    assert cleaned.strip()
    assert not any(ord(character) < 32 and character not in "\t\n" for character in cleaned)


@pytest.mark.parametrize("body", [" ", "\n\t", "\x00\x07", "\u2003"])
def test_a_blank_body_is_refused(body: str) -> None:
    with pytest.raises(InvalidArgument, match="empty"):
        clean_body(body)


def test_a_body_keeps_its_lines() -> None:
    assert clean_body("a\r\nb\rc\x00\td") == "a\nb\nc\td"


def test_a_repeat_says_the_same_to_the_same_person() -> None:
    first, second, third = PEOPLE[:3]
    draft = Draft(b"m" * 16, first, second, "c", "hello", NOW)
    message = Message(pair_of(first, second), 7, b"x" * 16, first, "c", "hello", NOW)
    assert repeat_of(message, draft) is message
    assert repeat_of(message._replace(body=""), draft).seq == 7
    for other in (draft._replace(body="bye"), draft._replace(recipient_id=third)):
        with pytest.raises(Conflict, match="clientMessageId"):
            repeat_of(message, other)
    assert pair_of(second, first) == Pair(first, second)
