"""Certificate ids and their check character."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.certificates.rules import check_character, new_certificate_id, read_certificate_id
from core.crockford import ALPHABET
from core.errors import InvalidArgument

BODIES = st.text(alphabet=ALPHABET, min_size=26, max_size=26)


def valid(text: str) -> bool:
    try:
        read_certificate_id(text)
    except InvalidArgument:
        return False
    return True


def test_new_ids() -> None:
    ids = {new_certificate_id() for _ in range(500)}
    assert len(ids) == 500
    assert all(len(item) == 30 and read_certificate_id(item) == item for item in ids)
    assert {character for item in ids for character in item[3:]} == set(ALPHABET)


def test_the_scheme_stays_as_it_is() -> None:
    """Ids are printed: what is valid today stays valid."""
    assert check_character("0" * 26) == "0"
    assert check_character(ALPHABET[:26]) == "1"


@given(BODIES, st.integers(0, 26), st.sampled_from(ALPHABET))
def test_every_single_error_is_found(body: str, place: int, wrong: str) -> None:
    right = body + check_character(body)
    text = right[:place] + wrong + right[place + 1 :]
    assert valid("SF-" + text) is (text == right)


@given(BODIES, st.integers(0, 26), st.integers(0, 26))
def test_every_swap_is_found(body: str, one: int, other: int) -> None:
    right = body + check_character(body)
    characters = list(right)
    characters[one], characters[other] = characters[other], characters[one]
    text = "".join(characters)
    assert valid("SF-" + text) is (text == right)


@given(BODIES, st.data())
def test_reads_what_people_type(body: str, data: st.DataObject) -> None:
    right = f"SF-{body}{check_character(body)}"
    typed = "".join(
        data.draw(st.sampled_from({"0": "0Oo", "1": "1IiLl", "-": "- "}.get(character, character + character.lower())))
        + data.draw(st.sampled_from(["", "", "", " ", "-"]))
        for character in right
    )
    assert read_certificate_id(f"  {typed}\n") == right


ZEROS = "0" * 27


@pytest.mark.parametrize(
    "text", ["", "SF-", "SF", "x", ZEROS, f"SF-{ZEROS[1:]}", f"SF-0{ZEROS}", "SF-" + "U" * 27, f"SG-{ZEROS}", "SF-" + "é" * 27]
)
def test_malformed(text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        read_certificate_id(text)
    assert caught.value.reason == "CERTIFICATE_ID_MALFORMED"


@given(st.text(max_size=60))
def test_no_text_is_too_strange(text: str) -> None:
    assert not valid(text)
