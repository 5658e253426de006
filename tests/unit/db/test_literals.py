"""Parameters as SQL literals."""

from __future__ import annotations

import enum
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import NamedTuple

import pytest

from core.db.literals import bind, bind_rows


class Colour(enum.IntEnum):
    RED = 3


class Pair(NamedTuple):
    first: int
    second: str


@pytest.mark.parametrize(
    ("value", "literal"),
    [
        (None, "NULL"),
        (True, "1"),
        (-5, "-5"),
        (Colour.RED, "3"),
        (1.5, "1.5e0"),
        (Decimal("1.50"), "1.50"),
        ("it's", "'it\\'s'"),
        ("a\\b\n\0%s", "'a\\\\b\\n\\0%s'"),
        ("ж☃", "'ж☃'"),
        (b"\x00\xff'", "x'00ff27'"),
        (b"", "x''"),
        (datetime(2026, 1, 2, 3, 4, 5, 6), "'2026-01-02 03:04:05.000006'"),
        (datetime(2026, 1, 2), "'2026-01-02 00:00:00'"),
        (date(2026, 1, 2), "'2026-01-02'"),
        ((1, "a", b"\x01"), "(1,'a',x'01')"),
        ([2], "(2)"),
        ([(1, 2)], "((1,2),(1,2))"),
        ([(1, 2), (3, 4)], "((1,2),(3,4))"),
        ((), "(NULL)"),
        (Pair(1, "b"), "(1,'b')"),
    ],
)
def test_literals(value: object, literal: str) -> None:
    assert bind("%s", (value,)) == literal


def test_no_parameters_leave_the_text_alone() -> None:
    assert bind("SELECT '100%'", ()) == "SELECT '100%'"


@pytest.mark.parametrize("value", [object(), {"a": 1}, {1}])
def test_unknown_types_are_refused(value: object) -> None:
    with pytest.raises(TypeError):
        bind("%s", (value,))


def test_times_with_a_zone_are_refused() -> None:
    with pytest.raises(ValueError, match="naive UTC"):
        bind("%s", (datetime.now(UTC),))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_sql_does_not_have_are_refused(value: float) -> None:
    with pytest.raises(Exception, match="can not be used"):
        bind("%s", (value,))


def test_rows_are_split_by_size() -> None:
    sql = "INSERT INTO t (a, b) VALUES (%s, LOWER(%s)) ON DUPLICATE KEY UPDATE a = VALUES(a)"
    statements = list(bind_rows(sql, [(n, "x" * 10) for n in range(5)], 50))
    assert len(statements) == 3
    assert statements[0] == (
        "INSERT INTO t (a, b) VALUES (0, LOWER('xxxxxxxxxx')),(1, LOWER('xxxxxxxxxx')) ON DUPLICATE KEY UPDATE a = VALUES(a)"
    )
    assert statements[2].count("LOWER") == 1


def test_no_rows_are_no_statement() -> None:
    assert list(bind_rows("INSERT INTO t VALUES (%s)", [], 50)) == []


@pytest.mark.parametrize("sql", ["UPDATE t SET a = %s", "INSERT INTO t VALUES (%s"])
def test_only_an_insert_takes_rows(sql: str) -> None:
    with pytest.raises(ValueError, match=r"VALUES|closed"):
        list(bind_rows(sql, [(1,)], 50))
