"""Link codes: what they look like, how they are read, what is kept of them; and slots."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.crockford import ALPHABET
from core.families import rules

CHARACTERS = st.text(ALPHABET, min_size=rules.CODE_LENGTH, max_size=rules.CODE_LENGTH)


def test_a_code_is_readable_and_has_40_bits() -> None:
    assert len(ALPHABET) ** rules.CODE_LENGTH == 2**40
    codes = {rules.new_code() for _ in range(2000)}
    assert len(codes) == 2000
    assert all(re.fullmatch(r"[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}", code) for code in codes)
    assert set("".join(codes)) == {*ALPHABET, "-"}


@given(CHARACTERS, st.lists(st.tuples(st.integers(0, 8), st.sampled_from(" -\t\u00a0")), max_size=5))
def test_a_code_is_read_however_it_is_typed(characters: str, extras: list[tuple[int, str]]) -> None:
    typed = characters
    for place, extra in extras:
        typed = typed[:place] + extra + typed[place:]
    for spelling in (typed, typed.lower(), typed.replace("0", "o").replace("1", "l"), typed.replace("1", "I")):
        assert rules.read_code(spelling) == characters


NO_CODES = ["", "-", "ABCD-EFG", "ABCD-EFGHJ", "ABCD-EFGU", "ABCD_EFGH", "АBCD-EFGH", "ABCD-EFG\x00", "ABCDEFG²"]


@pytest.mark.parametrize("text", NO_CODES)
def test_what_is_no_code(text: str) -> None:
    assert rules.read_code(text) is None


@given(st.text(max_size=40))
def test_reading_never_fails(text: str) -> None:
    read = rules.read_code(text)
    assert read is None or rules.read_code(read) == read


def test_what_is_kept_needs_the_secret() -> None:
    kept = rules.code_hash(b"one", "ABCDEFGH")
    assert len(kept) == 32
    assert kept == rules.code_hash(b"one", "ABCDEFGH")
    assert kept not in {rules.code_hash(b"two", "ABCDEFGH"), rules.code_hash(b"one", "ABCDEFGJ"), rules.code_hash(b"one", "")}


@given(st.sets(st.integers(1, 10)))
def test_the_first_free_slot(taken: set[int]) -> None:
    slot = rules.free_slot(taken, 10)
    if slot is None:
        assert len(taken) == 10
    else:
        assert 1 <= slot <= 10
        assert slot not in taken
        assert set(range(1, slot)) <= taken
