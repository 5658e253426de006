"""Reading the server's answer to a statement: a text protocol result set, from bytes as they arrive.

Source: MySQL "Client/Server Protocol", COM_QUERY response. The driver's own reader awaits twice a packet and parses
every column's description anew, which costs more than all else in a small query; descriptions repeat, so they are kept.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Any

from pymysql.connections import TEXT_TYPES
from pymysql.constants import FIELD_TYPE, SERVER_STATUS
from pymysql.converters import decoders, through
from pymysql.err import InterfaceError
from pymysql.protocol import FieldDescriptorPacket

Convert = Callable[[bytes], Any]

_OK, _NULL, _EOF, _ERROR = 0x00, 0xFB, 0xFE, 0xFF
_WIDTHS = {0xFC: 2, 0xFD: 3, 0xFE: 8}
_LONGEST_PACKET = 0xFFFFFF
_BINARY_CHARSET = 63
# Stages: the head is awaited, then column descriptions, the end of them, rows.
_HEAD, _COLUMNS, _COLUMNS_END, _ROWS = range(4)

# Converters by the bytes of a column's description. Statements are a fixed set, but for computed columns' sizes.
_MAX_KNOWN = 4096
_known: dict[bytes, Convert | None] = {}


class Answer:
    """The answer to one statement. Feed it bytes until `feed` says True, then read it. `last` False: others' answers may follow,
    and `rest` is what came of them.

    `count` is the number of rows returned, inserted or matched; `status` the server's status flags; `error` the
    server's error packet, if the answer is one. Raises InterfaceError when the bytes are no answer we know.
    """

    __slots__ = (
        "_columns", "_converters", "_last", "_long", "_missing", "_parts", "_stage", "count", "error", "rest", "rows", "status",
    )  # fmt: skip

    def __init__(self, *, last: bool = True) -> None:
        self.rows: list[tuple[Any, ...]] = []
        self.count = 0
        self.status = 0
        self.error: bytes | None = None
        self.rest = b""
        self._last = last
        self._stage = _HEAD
        self._columns = 0
        self._converters: list[Convert | None] = []
        self._parts: list[bytes] = []
        self._missing = 0
        self._long = b""

    def feed(self, data: bytes) -> bool:
        """Take what arrived; whether the answer is complete."""
        if self._parts:
            self._parts.append(data)
            if self._missing > len(data):
                self._missing -= len(data)
                return False
            data = b"".join(self._parts)
            self._parts = []
        position, size = 0, len(data)
        while (start := position + 4) <= size:
            length = data[position] | data[position + 1] << 8 | data[position + 2] << 16
            end = start + length
            if end > size:
                break
            position = end
            if self._take(data[start:end]):
                if position != size:
                    if self._last:
                        raise InterfaceError(0, "the server said more than it was asked")
                    self.rest = data[position:]
                return True
        if position < size:
            self._parts.append(data[position:])
            self._missing = (start if start > size else end) - size
        return False

    def _take(self, packet: bytes) -> bool:
        """Take a packet; whether it was the last."""
        if self._long or len(packet) == _LONGEST_PACKET:
            # A packet of the greatest length goes on in the next, which may be empty.
            goes_on = len(packet) == _LONGEST_PACKET
            packet = self._long + packet
            self._long = packet if goes_on else b""
            if goes_on:
                return False
        if not packet:
            raise InterfaceError(0, "the server sent an empty packet")
        first = packet[0]
        if first == _ERROR:
            self.error = packet
            return True
        if self._stage == _ROWS:
            if first == _EOF and len(packet) < 9:
                self.count = len(self.rows)
                return self._finish(packet, 3)
            self.rows.append(self._row(packet))
        elif self._stage == _COLUMNS:
            self._converters.append(_converter(packet))
            if len(self._converters) == self._columns:
                self._stage = _COLUMNS_END
        elif self._stage == _COLUMNS_END:
            self._stage = _ROWS
        else:
            return self._head(packet)
        return False

    def _head(self, packet: bytes) -> bool:
        if packet[0] == _OK:
            self.count, position = _number(packet, 1)
            _, position = _number(packet, position)
            return self._finish(packet, position)
        if packet[0] == _NULL:
            raise InterfaceError(0, "the server asked for a local file")
        self._columns, _ = _number(packet, 0)
        self._stage = _COLUMNS
        return False

    def _finish(self, packet: bytes, position: int) -> bool:
        self.status = packet[position] | packet[position + 1] << 8
        if self.status & SERVER_STATUS.SERVER_MORE_RESULTS_EXISTS:
            raise InterfaceError(0, "the server answered with several results")
        return True

    def _row(self, packet: bytes) -> tuple[Any, ...]:
        row: list[Any] = []
        position = 0
        for convert in self._converters:
            length = packet[position]
            position += 1
            if length >= _NULL:
                if length == _NULL:
                    row.append(None)
                    continue
                length, position = _number(packet, position - 1)
            end = position + length
            value = packet[position:end]
            row.append(value if convert is None else convert(value))
            position = end
        if position != len(packet):
            raise InterfaceError(0, "the server sent a row of another shape than it announced")
        return tuple(row)


def _number(packet: bytes, position: int) -> tuple[int, int]:
    """A length-encoded integer, and where it ends."""
    first = packet[position]
    position += 1
    if first < _NULL:
        return first, position
    width = _WIDTHS[first]
    return int.from_bytes(packet[position : position + width], "little"), position + width


def _converter(description: bytes) -> Convert | None:
    """What makes a column's values from their bytes; None leaves them."""
    try:
        return _known[description]
    except KeyError:
        pass
    if len(_known) >= _MAX_KNOWN:
        _known.clear()
    field: Any = FieldDescriptorPacket(description, "utf8")
    known = _known[description] = _make_converter(field.type_code, field.charsetnr)
    return known


def _make_converter(kind: int, charset: int) -> Convert | None:
    if kind == FIELD_TYPE.BIT or (kind in TEXT_TYPES and kind != FIELD_TYPE.JSON and charset == _BINARY_CHARSET):
        return None
    read = _READERS.get(kind, decoders.get(kind))
    if read is None or read is through:
        return bytes.decode
    if read in (int, float):
        return read
    return lambda value: read(value.decode())


# Times are read by the interpreter's own ISO reader, all else as PyMySQL does.
_READERS: dict[int, Callable[[str], Any]] = {
    FIELD_TYPE.DATETIME: datetime.fromisoformat,
    FIELD_TYPE.TIMESTAMP: datetime.fromisoformat,
    FIELD_TYPE.DATE: date.fromisoformat,
}
