"""What the server's error numbers become."""

from __future__ import annotations

import pymysql
import pytest

from core.db.errors import DuplicateKey, MissingParent, RetryScope, translate
from core.errors import DeadlineExceeded, Unavailable


@pytest.mark.parametrize(
    ("message", "key"),
    [
        ("Duplicate entry 'x' for key 'attempts_open'", "attempts_open"),
        ("Duplicate entry 'x' for key 'attempts.attempts_open'", "attempts_open"),
        ("Duplicate entry 'x' for key 'PRIMARY'", "PRIMARY"),
        ("Duplicate entry 'x' for key 'users.PRIMARY'", "PRIMARY"),
        ("Duplicate entry 'for key 'a.b'' for key 'users_clerk_id'", "users_clerk_id"),
    ],
)
def test_the_duplicate_key_is_named(message: str, key: str) -> None:
    error = translate(pymysql.IntegrityError(1062, message))
    assert isinstance(error, DuplicateKey)
    assert error.key == key


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (1452, MissingParent),
        (1451, MissingParent),
        (1213, RetryScope),
        (1205, RetryScope),
        (1020, RetryScope),
        (3024, DeadlineExceeded),
        (1969, DeadlineExceeded),
        (2002, Unavailable),
        (2003, Unavailable),
        (2006, Unavailable),
        (2013, Unavailable),
        (1040, Unavailable),
        (1053, Unavailable),
        (1129, Unavailable),
        (1927, Unavailable),
        (4031, Unavailable),
    ],
)
def test_numbers(number: int, kind: type[Exception]) -> None:
    assert isinstance(translate(pymysql.OperationalError(number, "...")), kind)


def test_a_closed_connection_and_a_broken_socket_are_away() -> None:
    assert isinstance(translate(pymysql.InterfaceError("(0, 'Not connected')")), Unavailable)
    assert isinstance(translate(ConnectionResetError()), Unavailable)


def test_a_defect_stays_what_it_is() -> None:
    error = pymysql.ProgrammingError(1064, "You have an error in your SQL syntax")
    assert translate(error) is error
