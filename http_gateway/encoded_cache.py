"""Encoded bytes of messages that come again as the very same object."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from google.protobuf.message import Message


class Encoded(NamedTuple):
    """A message's bytes, and the quoted entity tag that goes with them ("" for none)."""

    body: bytes
    tag: str


class EncodedCache:
    """Least recently used entries go first. An entry holds its message, so that no other can get its identity."""

    def __init__(self, max_bytes: int, max_entries: int = 4096) -> None:
        self._max_bytes = max_bytes
        self._max_entries = max_entries
        self._entries: OrderedDict[int, tuple[Message, Encoded]] = OrderedDict()
        self._bytes = 0

    def get(self, message: Message) -> Encoded | None:
        """What is kept for this very object."""
        key = id(message)
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._entries.move_to_end(key)
        return entry[1]

    def put(self, message: Message, encoded: Encoded) -> None:
        """Keep what a message was encoded to, unless that alone is over the limit."""
        if len(encoded.body) > self._max_bytes:
            return
        replaced = self._entries.pop(id(message), None)
        self._bytes += len(encoded.body) - (len(replaced[1].body) if replaced else 0)
        self._entries[id(message)] = (message, encoded)
        while self._bytes > self._max_bytes or len(self._entries) > self._max_entries:
            _, (_, dropped) = self._entries.popitem(last=False)
            self._bytes -= len(dropped.body)
