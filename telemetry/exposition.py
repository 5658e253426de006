"""Figures in Prometheus' text format, those of several processes in one answer.

Each worker's figures carry its label `worker` and are not added up here: Prometheus does that after it has taken
rates (`sum by (method) (rate(...))`), and so knows how to read a counter that begins anew with a new process.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import inf
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from telemetry.figures import Figure, Spread

CONTENT_TYPE = CONTENT_TYPE_LATEST
# A family as it travels between processes: name, type, help, and samples of (name, labels, value).
Family = list[Any]


def families_of(figures: Iterable[Figure | Spread], *, process: bool = False) -> list[Family]:
    """The families of some figures; `process`: with those of this process. It reads /proc, so call it from a thread."""
    found: dict[str, Family] = {}
    for figure in figures:
        if isinstance(figure, Spread):
            family = found.setdefault(figure.name, [figure.name, "histogram", figure.help, []])
            family[3] += _buckets(figure)
        else:
            base = figure.name.removesuffix("_total")
            kind = "counter" if base != figure.name else "gauge"
            family = found.setdefault(base, [base, kind, figure.help, []])
            family[3].append([figure.name, dict(figure.labels), figure.value])
    return [*found.values(), *(_of_process() if process else ())]


def render(workers: Mapping[str, list[Family]], shared: Iterable[Figure | Spread]) -> bytes:
    """The text: each worker's families with the worker's label, and figures that are nobody's own without."""
    merged: dict[str, Metric] = {}
    for worker, families in workers.items():
        _merge(merged, families, {"worker": worker})
    _merge(merged, families_of(shared), {})
    return generate_latest(_Ready(merged.values()))


class _Ready(Collector):
    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def _merge(merged: dict[str, Metric], families: Iterable[Family], more: Mapping[str, str]) -> None:
    for name, kind, text, samples in families:
        metric = merged.setdefault(name, Metric(name, text, kind))
        for sample, labels, value in samples:
            metric.add_sample(sample, {**labels, **more}, value)


def _buckets(spread: Spread) -> Iterable[list[Any]]:
    labels, below = dict(spread.labels), 0
    for bound, count in zip((*spread.bounds, inf), spread.counts, strict=True):
        below += count
        yield [f"{spread.name}_bucket", {**labels, "le": "+Inf" if bound == inf else str(bound)}, below]
    yield [f"{spread.name}_sum", labels, spread.sum]
    yield [f"{spread.name}_count", labels, below]


def _of_process() -> Iterable[Family]:
    registry = CollectorRegistry()
    for collector in (ProcessCollector(registry=registry), GCCollector(registry=registry)):
        for metric in collector.collect():
            yield [metric.name, metric.type, metric.documentation, [[one.name, one.labels, one.value] for one in metric.samples]]
