"""The metrics as Prometheus reads them: https://prometheus.io/docs/instrumenting/exposition_formats/

The library is imported at the first request, so that a sidecar that nobody scrapes does without.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from sidecar import metrics
from sidecar.metrics import Labels
from sidecar.server.metric_table import BY_NAME

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

PREFIX = "sidecar_"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Gauge = tuple[str, Mapping[str, str], float]
"""A name, labels, and the present value."""


@dataclass(frozen=True, slots=True, eq=False)
class Figures:
    """All values at one moment, taken on the event loop to be rendered in a thread."""

    counters: Mapping[str, Mapping[Labels, float]]
    durations: Mapping[str, Mapping[Labels, tuple[tuple[int, ...], float]]]
    gauges: tuple[Gauge, ...]

    @classmethod
    def now(cls, gauges: Iterable[Gauge]) -> "Figures":
        """The present values."""
        return cls(metrics.counters(), metrics.durations(), (*_told(), *gauges))

    def collect(self) -> Iterator["Metric"]:
        """What a registry of the library asks for."""
        from prometheus_client import metrics_core as core

        for name, series in self.counters.items():
            counter = core.CounterMetricFamily(PREFIX + name, _meaning(name), labels=_names(series))
            for labels, value in series.items():
                counter.add_metric([text for _, text in labels], value)
            yield counter
        for name, found in self.durations.items():
            histogram = core.HistogramMetricFamily(
                PREFIX + name, _meaning(name), labels=_names(found)
            )
            for labels, (counts, total) in found.items():
                histogram.add_metric([text for _, text in labels], _cumulative(counts), total)
            yield histogram
        for name, values in _by_name(self.gauges).items():
            kind = BY_NAME[name].kind if name in BY_NAME else "gauge"
            family = core.CounterMetricFamily if kind == "counter" else core.GaugeMetricFamily
            gauge = family(PREFIX + name, _meaning(name), labels=_names(values))
            for labels, value in values.items():
                gauge.add_metric([text for _, text in labels], value)
            yield gauge


def render(figures: Figures) -> bytes:
    """The text of all metrics, with those of the process. Blocks for some milliseconds."""
    from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector, generate_latest

    registry = CollectorRegistry(auto_describe=False)
    registry.register(figures)
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)
    return generate_latest(registry)


def _told() -> Iterator[Gauge]:
    for name, series in metrics.gauges().items():
        for labels, value in series.items():
            yield name, dict(labels), value


def _by_name(gauges: Iterable[Gauge]) -> dict[str, dict[Labels, float]]:
    found: dict[str, dict[Labels, float]] = {}
    for name, labels, value in gauges:
        found.setdefault(name, {})[tuple(sorted(labels.items()))] = value
    return found


def _names(series: Iterable[Labels]) -> list[str]:
    return [name for name, _ in next(iter(series), ())]


def _meaning(name: str) -> str:
    """What a metric tells; one that is not in the table belongs to a plug-in."""
    return BY_NAME[name].meaning if name in BY_NAME else "of a plug-in"


def _cumulative(counts: tuple[int, ...]) -> list[tuple[str, float]]:
    bounds = [*map(str, metrics.BUCKETS), "+Inf"]
    return list(zip(bounds, map(float, accumulate(counts)), strict=True))
