"""Database addresses: what is read from them and what a wrong one is told."""

from __future__ import annotations

import pytest

from core.db.url import parse_url


def test_all_parts_are_read() -> None:
    address = parse_url("mysql://an%40na:p%2Fw%3A@db.example:3307/learning?charset=utf8mb4&ssl=verify")
    assert (address.user, address.password) == ("an@na", "p/w:")
    assert (address.host, address.port, address.name) == ("db.example", 3307, "learning")
    assert address.ssl == "verify"
    context = address.ssl_context()
    assert context is not None
    assert context.check_hostname


def test_defaults() -> None:
    address = parse_url("mysql://root@db/x")
    assert (address.password, address.port, address.unix_socket, address.ssl) == ("", 3306, None, "off")
    assert address.ssl_context() is None


def test_a_unix_socket_needs_no_host() -> None:
    assert parse_url("mysql://root@/x?unix_socket=%2Frun%2Fdb.sock").unix_socket == "/run/db.sock"


def test_encryption_without_verification() -> None:
    context = parse_url("mysql://root@db/x?ssl=on").ssl_context()
    assert context is not None
    assert not context.check_hostname


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgres://u@h/x", "starts with mysql://"),
        ("mysql://u@h", "ends with the database's name"),
        ("mysql://u@h/a`b", "ends with the database's name"),
        ("mysql://h/x", "names its user"),
        ("mysql://u@/x", "names a host"),
        ("mysql://u@h:99999/x", "port"),
        ("mysql://u@h/x?chrset=utf8mb4", "unknown option 'chrset'"),
        ("mysql://u@h/x?charset=latin1", "utf8mb4"),
        ("mysql://u@h/x?ssl=maybe", "off, on or verify"),
        ("mysql://u@h/x?unix_socket=relative", "absolute path"),
    ],
)
def test_a_wrong_address_is_told_what_is_wrong(url: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_url(url)


def test_the_password_is_never_shown() -> None:
    assert "secret" not in repr(parse_url("mysql://u:secret@h/x"))
    with pytest.raises(ValueError, match="user") as caught:
        parse_url("mysql://:secret@h/x")
    assert "secret" not in str(caught.value)
