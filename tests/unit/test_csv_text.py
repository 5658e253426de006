"""CSV that reads back as it was, and that no spreadsheet runs."""

from __future__ import annotations

import csv
import io
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.csv_text import csv_lines

TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


def read(raw: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(raw.decode(), newline=""), strict=True))


@given(st.lists(st.lists(TEXT, min_size=2, max_size=4), max_size=5))
def test_it_reads_back_but_for_the_apostrophes(rows: list[list[str]]) -> None:
    found = read(csv_lines(rows))
    assert [[cell.removeprefix("'") for cell in row] for row in found] == [
        [cell.removeprefix("'") for cell in row] for row in rows
    ]
    assert not any(cell.lstrip()[:1] in tuple("=+-@＝＋－＠") for row in found for cell in row if cell.strip())


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =cmd|' /C calc'!A0", "\r\n=1", "＝1", "\n"])
def test_a_formula_becomes_text(cell: str) -> None:
    assert read(csv_lines([[cell, "x"]])) == [[f"'{cell}", "x"]]


def test_lines_end_and_cells_are_quoted_as_rfc_4180_says() -> None:
    row = ("a,b", 'say "hi"', "two\r\nlines", "Ł 李", 7, -1.5, True, None, datetime(2026, 11, 22, 9, 30))
    assert csv_lines([row]) == '"a,b","say ""hi""","two\r\nlines",Ł 李,7,-1.5,true,,2026-11-22T09:30:00Z\r\n'.encode()
