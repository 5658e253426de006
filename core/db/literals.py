"""Parameters as SQL literals.

Strings are escaped with backslashes; the session's sql_mode (set when a connection opens) never has
NO_BACKSLASH_ESCAPES, so that is safe.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from pymysql.converters import escape_float, escape_string

# Hexadecimal digits take a tenth of the time of escaping, but twice the room: above this a statement could exceed what the
# server takes (max_allowed_packet, 16 MiB by default).
_HEX_BYTES = 4 * 1024 * 1024
_VALUES = re.compile(r"\bVALUES\s*\(", re.IGNORECASE)


def bind(sql: str, params: Sequence[object]) -> str:
    """The statement with its parameters in place of `%s`; without parameters it is left as it is.

    A sequence becomes a parenthesised list, for IN; an empty one matches nothing.
    """
    if not params:
        return sql
    return sql % tuple([_ENCODERS.get(type(value), _other)(value) for value in params])


def _other(value: Any) -> str:
    """Subclasses (enums, named tuples) of what is known; anything else is a defect."""
    for kind, encode in _ENCODERS.items():
        if isinstance(value, kind):
            return encode(value)
    raise TypeError(f"{type(value).__name__} is no SQL parameter")


def _bytes(value: bytes) -> str:
    if len(value) <= _HEX_BYTES:
        return f"x'{value.hex()}'"
    return f"_binary'{escape_string(value.decode('ascii', 'surrogateescape'))}'"


def _datetime(value: datetime) -> str:
    if value.tzinfo is not None:
        raise ValueError("times are naive UTC in the database")
    return f"'{value.isoformat(' ')}'"


def _sequence(values: Sequence[object]) -> str:
    if not values:
        return "(NULL)"
    if len(values) == 1 and isinstance(values[0], tuple | list):
        # MariaDB finds two rows or more along an index, and for one reads all of the table when it updates or deletes.
        values = (*values, *values)
    return "(" + ",".join([_ENCODERS.get(type(value), _other)(value) for value in values]) + ")"


# bool stands before int: `_other` takes the first that fits.
_ENCODERS: dict[type, Callable[[Any], str]] = {
    bool: lambda value: "1" if value else "0",
    int: int.__repr__,
    float: escape_float,
    str: lambda value: f"'{escape_string(value)}'",
    bytes: _bytes,
    type(None): lambda value: "NULL",
    datetime: _datetime,
    date: lambda value: f"'{value.isoformat()}'",
    Decimal: lambda value: format(value, "f"),
    tuple: _sequence,
    list: _sequence,
}


def bind_rows(sql: str, rows: Iterable[Sequence[object]], max_characters: int) -> Iterator[str]:
    """Statements that insert all rows; `sql` is an INSERT with one parenthesised row of `%s`s after VALUES."""
    start, end = _row_template(sql)
    head, row_template, tail = sql[:start] % (), sql[start:end], sql[end:] % ()
    chunk: list[str] = []
    size = 0
    for row in rows:
        text = bind(row_template, row)
        if chunk and size + len(text) > max_characters:
            yield head + ",".join(chunk) + tail
            chunk, size = [], 0
        chunk.append(text)
        size += len(text) + 1
    if chunk:
        yield head + ",".join(chunk) + tail


@lru_cache(512)
def _row_template(sql: str) -> tuple[int, int]:
    """Where the row after VALUES begins and ends."""
    found = _VALUES.search(sql)
    if found is None:
        raise ValueError("insert_many takes an INSERT ... VALUES (%s, ...)")
    start = found.end() - 1
    depth = 0
    for position in range(start, len(sql)):
        depth += {"(": 1, ")": -1}.get(sql[position], 0)
        if depth == 0:
            return start, position + 1
    raise ValueError("the row after VALUES is not closed")
