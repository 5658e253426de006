"""Reading the server's answers: cut anywhere, long, broken."""

from __future__ import annotations

import struct
from datetime import datetime
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymysql.constants import FIELD_TYPE, SERVER_STATUS
from pymysql.err import InterfaceError

from core.db.answer import Answer

_UTF8, _BINARY = 45, 63
_EOF = b"\xfe\x00\x00\x02\x00"


def number(value: int) -> bytes:
    if value < 251:
        return bytes([value])
    if value < 1 << 16:
        return b"\xfc" + value.to_bytes(2, "little")
    if value < 1 << 24:
        return b"\xfd" + value.to_bytes(3, "little")
    return b"\xfe" + value.to_bytes(8, "little")


def text(value: bytes | None) -> bytes:
    return b"\xfb" if value is None else number(len(value)) + value


def column(name: str, kind: int, charset: int = _UTF8) -> bytes:
    names = [b"def", b"db", b"t", b"t", name.encode(), name.encode()]
    return b"".join(map(text, names)) + struct.pack("<BHIBHBxx", 12, charset, 255, kind, 0, 0)


def packets(*bodies: bytes) -> bytes:
    out = b""
    sequence = 1
    for body in bodies:
        while True:
            part, body = body[:0xFFFFFF], body[0xFFFFFF:]
            out += len(part).to_bytes(3, "little") + bytes([sequence % 256]) + part
            sequence += 1
            if len(part) < 0xFFFFFF:
                break
    return out


def result(columns: list[bytes], *rows: list[bytes | None]) -> bytes:
    return packets(number(len(columns)), *columns, _EOF, *(b"".join(map(text, row)) for row in rows), _EOF)


SAMPLE = result(
    [
        column("a", FIELD_TYPE.LONG),
        column("b", FIELD_TYPE.VAR_STRING),
        column("c", FIELD_TYPE.STRING, _BINARY),
        column("d", FIELD_TYPE.DATETIME),
        column("e", FIELD_TYPE.NEWDECIMAL),
        column("f", FIELD_TYPE.DOUBLE),
        column("g", FIELD_TYPE.JSON, _BINARY),
    ],
    [b"-7", "ж".encode(), b"\x00\xff", b"2026-01-02 03:04:05.000006", b"1.50", b"1.5", b"{}"],
    [None] * 7,
)
ROWS = [(-7, "ж", b"\x00\xff", datetime(2026, 1, 2, 3, 4, 5, 6), Decimal("1.50"), 1.5, "{}"), (None,) * 7]


def test_values_have_their_types() -> None:
    answer = Answer()
    assert answer.feed(SAMPLE)
    assert answer.rows == ROWS
    assert answer.count == 2


@given(st.lists(st.integers(0, len(SAMPLE)), max_size=12))
def test_bytes_may_arrive_in_any_pieces(cuts: list[int]) -> None:
    edges = [0, *sorted(set(cuts)), len(SAMPLE)]
    answer = Answer()
    complete = [answer.feed(SAMPLE[start:end]) for start, end in pairwise(edges) if end > start]
    assert complete == [False] * (len(complete) - 1) + [True]
    assert answer.rows == ROWS


@given(st.lists(st.integers(0, 2 * len(SAMPLE)), max_size=12))
def test_another_answer_may_follow(cuts: list[int]) -> None:
    both = SAMPLE + SAMPLE
    edges = [0, *sorted(set(cuts)), len(both)]
    answers = [Answer(last=False), Answer()]
    for start, end in pairwise(edges):
        data = both[start:end]
        while data and answers[0].feed(data):
            data = answers.pop(0).rest
            assert answers or not data
            if not answers:
                return
            assert answers[0].rows == []
    raise AssertionError("the second answer is not complete")


def test_byte_by_byte() -> None:
    answer = Answer()
    assert [answer.feed(SAMPLE[place : place + 1]) for place in range(len(SAMPLE))].index(True) == len(SAMPLE) - 1


@pytest.mark.parametrize("size", [250, 251, 65_535, 65_536, 0xFFFFFF - 5, 0xFFFFFF - 4, 0xFFFFFF, 0x2000000])
def test_long_values(size: int) -> None:
    value = b"x" * size
    whole = result([column("a", FIELD_TYPE.BLOB, _BINARY)], [value])
    answer = Answer()
    done = [answer.feed(whole[start : start + (1 << 18)]) for start in range(0, len(whole), 1 << 18)]
    assert done[-1]
    assert answer.rows == [(value,)]


def test_a_row_may_begin_like_an_end() -> None:
    """0xFE begins an end-of-rows packet, and a value of 16 MiB or more."""
    value = b"y" * (1 << 24)
    answer = Answer()
    assert answer.feed(result([column("a", FIELD_TYPE.BLOB, _BINARY)], [value]))
    assert answer.rows == [(value,)]


def test_counts_of_a_write() -> None:
    answer = Answer()
    assert answer.feed(packets(b"\x00" + number(300) + number(0) + struct.pack("<HH", SERVER_STATUS.SERVER_STATUS_IN_TRANS, 0)))
    assert answer.count == 300
    assert answer.status == SERVER_STATUS.SERVER_STATUS_IN_TRANS


def test_an_error_in_place_of_an_answer_and_among_rows() -> None:
    error = b"\xff" + struct.pack("<H", 1062) + b"#23000Duplicate"
    answer = Answer()
    assert answer.feed(packets(error))
    assert answer.error == error
    answer = Answer()
    assert answer.feed(packets(number(1), column("a", FIELD_TYPE.LONG), _EOF, text(b"1"), error))
    assert answer.error == error


@pytest.mark.parametrize(
    "data",
    [
        packets(b"\xfb/etc/passwd"),
        packets(b""),
        packets(b"\x00\x00\x00" + struct.pack("<HH", SERVER_STATUS.SERVER_MORE_RESULTS_EXISTS, 0)),
        packets(b"\x00\x00\x00\x02\x00\x00\x00", b"more"),
        packets(number(1), column("a", FIELD_TYPE.LONG), _EOF, text(b"1") + text(b"2")),
    ],
)
def test_what_is_no_answer_is_refused(data: bytes) -> None:
    with pytest.raises(InterfaceError):
        Answer().feed(data)
