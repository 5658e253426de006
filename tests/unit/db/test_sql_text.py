"""Splitting scripts into statements."""

from __future__ import annotations

import pytest

from core.db.migrate import load
from core.db.sql_text import split_statements


@pytest.mark.parametrize(
    ("text", "statements"),
    [
        ("", []),
        (" ;; \n ; ", []),
        ("SELECT 1; SELECT 2", ["SELECT 1", "SELECT 2"]),
        ("SELECT ';' ; SELECT 2;", ["SELECT ';'", "SELECT 2"]),
        ("SELECT 'it''s; \\'; here' ; SELECT 2", ["SELECT 'it''s; \\'; here'", "SELECT 2"]),
        ('SELECT "a;b", `c;d`; SELECT 2', ['SELECT "a;b", `c;d`', "SELECT 2"]),
        ("-- first; comment\nSELECT 1; # second;\nSELECT 2 /* third; */;", ["SELECT 1", "SELECT 2"]),
        ("SELECT '-- no comment; /* none */'; SELECT 2", ["SELECT '-- no comment; /* none */'", "SELECT 2"]),
        ("SELECT 1--1; SELECT 2", ["SELECT 1--1", "SELECT 2"]),
        ("/*!80000 SET a = 1 */; SELECT 2", ["/*!80000 SET a = 1 */", "SELECT 2"]),
        ("SELECT 1 -- at the end", ["SELECT 1"]),
        ("SELECT 1 --", ["SELECT 1"]),
    ],
)
def test_split(text: str, statements: list[str]) -> None:
    assert split_statements(text) == statements


def test_our_own_migrations() -> None:
    migrations = load()
    assert [migration.version for migration in migrations] == list(range(1, len(migrations) + 1))
    for migration in migrations:
        assert migration.statements
        assert all("--" not in statement for statement in migration.statements)
