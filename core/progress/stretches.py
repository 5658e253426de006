"""Which seconds of a lecture were watched: sorted stretches that neither touch nor overlap. Pure."""

from __future__ import annotations

import struct
from typing import Final

# From a second up to, but not including, another.
Stretches = tuple[tuple[int, int], ...]

# How many are kept. Beyond, the two nearest become one; what lies between them then counts as seen, but never as watched.
MAX_STRETCHES: Final = 64
_PAIR = struct.Struct(">II")


def missed(stretches: Stretches, start: int, end: int) -> int:
    """How many seconds from `start` to `end` are in none of the stretches."""
    seen = sum(max(0, min(end, last) - max(start, first)) for first, last in stretches)
    return max(0, end - start) - seen


def cover(stretches: Stretches, start: int, end: int) -> Stretches:
    """The stretches with one more."""
    if start >= end or not missed(stretches, start, end):
        return stretches
    apart = [item for item in stretches if item[1] < start or item[0] > end]
    joined = [item for item in stretches if item[1] >= start and item[0] <= end]
    whole = (min([start, *(item[0] for item in joined)]), max([end, *(item[1] for item in joined)]))
    found = sorted([*apart, whole])
    while len(found) > MAX_STRETCHES:
        near = min(range(1, len(found)), key=lambda number: found[number][0] - found[number - 1][1])
        found[near - 1 : near + 1] = [(found[near - 1][0], found[near][1])]
    return tuple(found)


def pack(stretches: Stretches) -> bytes:
    """As they are stored."""
    return b"".join(_PAIR.pack(*item) for item in stretches)


def unpack(stored: bytes | None) -> Stretches:
    """From how they are stored."""
    return tuple(_PAIR.iter_unpack(stored)) if stored else ()
