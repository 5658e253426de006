"""The export: one JSON document, written piece by piece, so that memory never holds more than a batch of rows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any, Final

import orjson
from google.protobuf.json_format import MessageToDict

from core.db import Reader
from core.identity.personal import queries
from core.identity.personal.sections import ACCOUNT, SECTIONS, Kind, Section
from core.ids import to_text
from core.progress import stretches
from core.times import to_timestamp
from skillforge.v1 import quizzes_pb2

VERSION: Final = 1
# Pieces are about as long; one row may be longer.
PIECE_BYTES: Final = 64 * 1024


async def write(db: Reader, user_id: bytes, now: datetime) -> AsyncIterator[bytes]:
    """The document in pieces of about PIECE_BYTES. What changes meanwhile is in it or not, but nothing is there twice."""
    buffer = bytearray()
    async for part in _parts(db, user_id, now):
        buffer += part
        while len(buffer) >= PIECE_BYTES:
            yield bytes(buffer[:PIECE_BYTES])
            del buffer[:PIECE_BYTES]
    yield bytes(buffer)


async def _parts(db: Reader, user_id: bytes, now: datetime) -> AsyncIterator[bytes]:
    account = await queries.section_rows(db, ACCOUNT, user_id, None)
    yield b'{"version":%d,"exportTime":%s' % (VERSION, orjson.dumps(_time(now)))
    for row in account:
        yield b',"account":' + _encode(ACCOUNT, row)
    for name, sections in groupby(SECTIONS, key=lambda section: section.name):
        yield b',"%s":[' % name.encode()
        separator = b""
        for section in sections:
            async for row in _rows(db, section, user_id):
                yield separator + _encode(section, row)
                separator = b","
        yield b"]"
    yield b',"complete":true}'


async def _rows(db: Reader, section: Section, user_id: bytes) -> AsyncIterator[tuple[Any, ...]]:
    after: Sequence[object] | None = None
    while True:
        rows = await queries.section_rows(db, section, user_id, after)
        for row in rows:
            yield row
        if len(rows) < section.batch:
            return
        after = rows[-1][len(section.columns) :]


def _encode(section: Section, row: Sequence[Any]) -> bytes:
    return orjson.dumps(dict(_fields(section, row)))


def _fields(section: Section, row: Sequence[Any]) -> Iterator[tuple[str, Any]]:
    for column, value in zip(section.columns, row, strict=False):
        yield column.name, None if value is None else _value(column.kind, value)


def _value(kind: Any, value: Any) -> Any:
    known = _WRITERS.get(kind)
    if known is not None:
        return known(value)
    # An enum of the contract; a number it does not know is shown itself.
    return kind.Name(value) if value in kind.DESCRIPTOR.values_by_number else value


def _time(moment: datetime) -> str:
    stamp = to_timestamp(moment)
    assert stamp is not None
    return stamp.ToJsonString()


def _plain(value: Any) -> Any:
    return value


def _answers(stored: bytes) -> Any:
    return MessageToDict(quizzes_pb2.Attempt.FromString(stored)).get("answers", [])


def _questions(stored: bytes) -> Any:
    return MessageToDict(quizzes_pb2.Quiz.FromString(stored)).get("questions", [])


_WRITERS: Final[dict[Any, Callable[[Any], Any]]] = {
    Kind.ID: to_text,
    Kind.PLAIN: _plain,
    Kind.FLAG: bool,
    Kind.TIME: _time,
    Kind.JSON: orjson.loads,
    Kind.ANSWERS: _answers,
    Kind.QUESTIONS: _questions,
    Kind.STRETCHES: stretches.unpack,
}
