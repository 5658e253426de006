"""Pages and their tokens: walked to the end, and refused wherever they don't belong."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.methods import Method, load_methods
from core.call import Call, Caller
from core.errors import InvalidArgument
from core.pages import DEFAULT_SIZE, MAX_SIZE, Key, Pages
from skillforge.v1 import identity_pb2
from skillforge.v1.identity_pb2 import ListUsersRequest

METHODS = {method.name: method for method in load_methods()}
PAGES = Pages(b"a secret of the tests")
SCOPE = ("courses", "newest", 7)
PARTS = st.text(max_size=20) | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
KEYS = st.lists(PARTS, min_size=1).map(tuple)
URLSAFE = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def caller(user_id: bytes) -> Caller:
    return Caller(user_id, identity_pb2.ROLE_ADMIN, identity_pb2.USER_STATUS_ACTIVE, "Ada", "user_1", "sess_1")


ADA, BOB = caller(b"a" * 16), caller(b"b" * 16)


def call(who: Caller | None = ADA, method: Method = METHODS["ListUsers"]) -> Call:
    return Call(method, {}, "r", "", datetime(2026, 1, 1), 0.0, caller=who)


def token_after(key: Key, scope: tuple[object, ...] = SCOPE) -> str:
    page = PAGES.open(call(), ListUsersRequest(page_size=1), scope)
    _, token = page.close([0, 1], lambda row: key)
    return token


def assert_refused(
    token: str,
    *,
    pages: Pages = PAGES,
    who: Caller | None = ADA,
    method: Method = METHODS["ListUsers"],
    scope: tuple[object, ...] = SCOPE,
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        pages.open(call(who, method), ListUsersRequest(page_token=token), scope)
    assert caught.value.reason == "PAGE_TOKEN_INVALID"
    assert [item.field for item in caught.value.violations] == ["pageToken"]


@pytest.mark.parametrize(("asked", "size"), [(0, DEFAULT_SIZE), (1, 1), (100, 100), (101, MAX_SIZE), (2**31 - 1, MAX_SIZE)])
def test_sizes(asked: int, size: int) -> None:
    assert PAGES.open(call(), ListUsersRequest(page_size=asked)).size == size


def test_a_list_is_walked_to_its_end() -> None:
    rows = [f"row {number:02}" for number in range(45)]
    seen: list[str] = []
    token = ""
    for _ in range(3):
        page = PAGES.open(call(), ListUsersRequest(page_token=token), SCOPE)
        after = str(page.after[0]) if page.after else ""
        found = [row for row in rows if row > after][: page.size + 1]
        kept, token = page.close(found, lambda row: (row,))
        seen += kept
    assert (seen, token) == (rows, "")


@pytest.mark.parametrize(("rows", "more"), [(0, False), (4, False), (5, False), (6, True)])
def test_there_is_a_token_only_if_there_is_more(rows: int, more: bool) -> None:
    page = PAGES.open(call(), ListUsersRequest(page_size=5))
    kept, token = page.close(list(range(rows)), lambda row: (row,))
    assert (list(kept), bool(token)) == (list(range(min(rows, 5))), more)


@given(KEYS)
def test_the_keyset_comes_back_as_it_was(key: Key) -> None:
    token = token_after(key)
    assert set(token) <= set(URLSAFE)
    assert PAGES.open(call(), ListUsersRequest(page_token=token), SCOPE).after == key


@given(st.data(), KEYS)
def test_a_token_with_another_character_anywhere_is_refused(data: st.DataObject, key: Key) -> None:
    token = token_after(key)
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from([*URLSAFE, "+", "/", "=", "é", " "]).filter(lambda item: item != token[place]))
    assert_refused(token[:place] + other + token[place + 1 :])


@given(st.data())
def test_a_token_cut_or_extended_is_refused(data: st.DataObject) -> None:
    token = token_after(("abc", 1))
    assert_refused(token[: data.draw(st.integers(1, len(token) - 1))])
    assert_refused(token + data.draw(st.text([*URLSAFE, "="], min_size=1, max_size=8)))


@given(st.text(min_size=1))
def test_any_text_is_refused(text: str) -> None:
    assert_refused(text)


@given(st.binary(min_size=1, max_size=60))
def test_any_bytes_are_refused(raw: bytes) -> None:
    assert_refused(base64.urlsafe_b64encode(raw).decode().rstrip("="))


@given(
    st.tuples(st.text(), st.integers() | st.none(), st.booleans()), st.tuples(st.text(), st.integers() | st.none(), st.booleans())
)
def test_a_token_belongs_to_its_query(scope: tuple[object, ...], other: tuple[object, ...]) -> None:
    token = token_after(("key",), scope)
    if repr(scope) != repr(other):
        assert_refused(token, scope=other)
    assert PAGES.open(call(), ListUsersRequest(page_token=token), scope).after == ("key",)


def test_a_token_belongs_to_its_caller_method_and_installation() -> None:
    token = token_after(("key",))
    assert_refused(token, who=BOB)
    assert_refused(token, who=None)
    assert_refused(token, method=METHODS["ListPayments"])
    assert_refused(token, pages=Pages(b"another secret"))
    assert_refused(token, scope=())
    assert PAGES.open(call(replace(ADA, session_id="sess_2")), ListUsersRequest(page_token=token), SCOPE).after == ("key",)


def test_the_size_may_change_from_page_to_page() -> None:
    page = PAGES.open(call(), ListUsersRequest(page_size=50, page_token=token_after(("key",))), SCOPE)
    assert (page.size, page.after) == (50, ("key",))
