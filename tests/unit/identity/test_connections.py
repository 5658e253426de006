"""Credentials of WebSocket connections: only ours, only whole, and not for long."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.call import Claims, Connection
from core.errors import Unauthenticated
from core.identity.connections import Credentials
from skillforge.v1.identity_pb2 import ROLE_UNSPECIFIED

NAMES = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=64)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def claims(subject: str = "user_1", session: str = "sess_1", expires_at: float = 1060.0) -> Claims:
    return Claims(subject, session, expires_at, ROLE_UNSPECIFIED)


@given(NAMES, NAMES, NAMES, NAMES)
def test_what_is_issued_is_read_again(subject: str, session: str, device: str, tab: str) -> None:
    made = Credentials(b"secret", Clock())
    credential = made.issue(claims(subject, session), Connection("c1", device, tab))
    for reader in (made, Credentials(b"secret", Clock())):
        assert reader.read(credential) == (claims(subject, session), Connection("c1", device, tab))
    assert credential.isascii()
    assert not set(credential) & set(" \n,;")


def test_it_lives_a_little_longer_than_its_token() -> None:
    clock = Clock()
    made = Credentials(b"secret", clock)
    credential = made.issue(claims(), Connection("c1", "d", "t"))
    clock.now = 1060 + 29.9
    made.read(credential)
    for reader in (made, Credentials(b"secret", clock)):
        clock.now = 1060 + 30
        with pytest.raises(Unauthenticated) as caught:
            reader.read(credential)
        assert caught.value.reason == "TOKEN_EXPIRED"


@given(st.data())
def test_nothing_else_is_believed(data: st.DataObject) -> None:
    made = Credentials(b"secret", Clock())
    good = made.issue(claims(), Connection("c1", "d", "t"))
    place = data.draw(st.integers(0, len(good) - 1))
    other = data.draw(st.sampled_from("Aa0._-é"))
    changed = good[:place] + other + good[place + 1 :]
    candidates = [changed, good[:place], "", ".", Credentials(b"another", Clock()).issue(claims(), Connection("c1", "d", "t"))]
    for candidate in candidates:
        if candidate != good:
            with pytest.raises(Unauthenticated):
                made.read(candidate)
