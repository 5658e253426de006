"""Figures as they are handed over: plain values with a name, which become Prometheus' families when they are asked for.

Names and units: https://prometheus.io/docs/practices/naming/. A name that ends with `_total` only ever grows.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

Labels = tuple[tuple[str, str], ...]

# Seconds. An answer from memory takes less than the first, and nobody waits for longer than the last.
CALL_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
OUTSIDE_SECONDS = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0)
LAG_SECONDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)


class Figure(NamedTuple):
    """One number and what it is the number of."""

    name: str
    help: str
    value: float
    labels: Labels = ()


class Spread(NamedTuple):
    """How many values fell into each bucket (the last has no upper bound), and their sum."""

    name: str
    help: str
    bounds: Sequence[float]
    counts: Sequence[int]
    sum: float
    labels: Labels = ()


class Histogram:
    """Counts values by bucket; a bucket's upper bound belongs to it."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def spread(self, name: str, text: str, *labels: tuple[str, str]) -> Spread:
        """What was counted until now."""
        return Spread(name, text, self.bounds, tuple(self.counts), self.sum, labels)
