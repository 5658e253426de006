"""What the server's error numbers mean to us.

Sources: MySQL 8 "Server Error Message Reference", MariaDB "Error Codes", and the client's 2000-range.
"""

from __future__ import annotations

import re

import pymysql

from core.errors import DeadlineExceeded, Unavailable

# Deadlock, lock wait timeout, and MariaDB's "record has changed since last read": the scope is repeated.
_RETRY = frozenset({1213, 1205, 1020})
# A statement ran longer than allowed (MySQL, MariaDB).
_TOO_LONG = frozenset({3024, 1969})
# The server or the way to it is gone, going, full, or not (yet) part of its cluster.
_AWAY = frozenset({
    1040, 1043, 1047, 1053, 1077, 1079, 1080, 1129, 1152, 1158, 1159, 1160, 1161, 1184, 1203, 1226, 1290, 1317, 1836, 1927,
    2002, 2003, 2005, 2006, 2012, 2013, 2014, 2055, 3169, 4031,
})  # fmt: skip
# Read-only servers (1290, 1836) are fail-overs in progress.
_DUPLICATE = 1062
_PARENT = frozenset({1216, 1217, 1451, 1452})
_KEY = re.compile(r"for key '(?:[^'.]*\.)?([^']*)'\s*$")


class DuplicateKey(Exception):
    """A row with this unique key is there already. `key` is the key's name, "PRIMARY" for the primary key."""

    def __init__(self, key: str) -> None:
        super().__init__(f"duplicate key {key}")
        self.key = key


class MissingParent(Exception):
    """A foreign key does not hold: the row referred to is not there, or a row still refers to this one."""


class RetryScope(Exception):
    """The server undid the work because of a concurrent one; a repeat of the whole scope may succeed."""


def away(detail: str = "The database cannot be reached now. Try again in a moment.") -> Unavailable:
    """The error while the database is away."""
    return Unavailable("UNAVAILABLE", detail, retry_after=1.0)


def overloaded() -> Unavailable:
    """The error when the work at hand is more than the database connections can take."""
    return Unavailable("OVERLOADED", "The database is busy. Try again in a moment.", retry_after=1.0)


def translate(error: Exception) -> Exception:
    """The error to raise for a driver's error; a defect in a statement stays the driver's own error."""
    number = error.args[0] if error.args else 0
    message = str(error.args[1]) if len(error.args) > 1 else ""
    if number == _DUPLICATE:
        found = _KEY.search(message)
        return DuplicateKey(found.group(1) if found else "")
    if number in _PARENT:
        return MissingParent(message)
    if number in _RETRY:
        return RetryScope(message)
    if number in _TOO_LONG:
        return DeadlineExceeded("DEADLINE_EXCEEDED", "A database statement ran out of time.")
    if number in _AWAY or isinstance(error, pymysql.err.InterfaceError | OSError):
        return away()
    return error
