"""What Prometheus reads."""

import ast
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from sidecar import metrics
from sidecar.server.exposition import Figures, render
from sidecar.server.metric_table import BY_NAME, TABLE

SOURCES = Path(metrics.__file__).parent
FUNCTIONS = {"count": "counter", "observe": "histogram", "gauge": "gauge"}


def families(*gauges: tuple[str, dict[str, str], float]) -> dict[str, dict[str, float]]:
    """Each sample's value by name and labels, as Prometheus would take them."""
    found: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(render(Figures.now(gauges)).decode()):
        for sample in family.samples:
            text = ",".join(f"{key}={value}" for key, value in sorted(sample.labels.items()))
            found.setdefault(sample.name, {})[text] = sample.value
    return found


def uses() -> list[tuple[str, str, set[str], Path]]:
    """Each call of the module `metrics` in the code: its function, metric, labels, and file."""
    found = []
    for path in SOURCES.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                owner, function = node.func.value, node.func.attr
                if isinstance(owner, ast.Name) and owner.id == "metrics" and function in FUNCTIONS:
                    name = node.args[0]
                    assert isinstance(name, ast.Constant), f"{path}:{node.lineno}"
                    labels = {keyword.arg or "**" for keyword in node.keywords}
                    found.append((function, str(name.value), labels - {"amount"}, path))
    return found


def test_every_metric_of_the_code_is_in_the_table_with_its_kind_and_labels() -> None:
    for function, name, labels, path in uses():
        assert name in BY_NAME, f"{name} in {path} is not in the table"
        assert BY_NAME[name].kind == FUNCTIONS[function], name
        assert set(BY_NAME[name].labels) == labels, name


def test_every_metric_of_the_table_is_told_somewhere() -> None:
    told = "".join(
        path.read_text("utf-8") for path in SOURCES.rglob("*.py") if path.name != "metric_table.py"
    )
    assert [metric.name for metric in TABLE if f'"{metric.name}"' not in told] == []


def test_counters_states_and_durations_are_read_back() -> None:
    metrics.count("turns_dropped_total", 2, reason="full")
    metrics.count("cost_usd_total", 0.25, runtime="told")
    metrics.observe("turn_run_seconds", 0.03, runtime="told")
    metrics.observe("turn_run_seconds", 7000.0, runtime="told")
    found = families(("outbox_replies", {}, 3.0), ("channel_reconnects_total", {"channel": "a"}, 4))
    assert found["sidecar_turns_dropped_total"]["reason=full"] >= 2
    assert found["sidecar_cost_usd_total"]["runtime=told"] >= 0.25
    assert found["sidecar_outbox_replies"][""] == 3
    assert found["sidecar_channel_reconnects_total"]["channel=a"] == 4
    buckets = found["sidecar_turn_run_seconds_bucket"]
    assert buckets["le=0.025,runtime=told"] == 0
    assert buckets["le=0.05,runtime=told"] == 1
    assert buckets["le=1800.0,runtime=told"] == 1
    assert buckets["le=+Inf,runtime=told"] == 2
    assert found["sidecar_turn_run_seconds_sum"]["runtime=told"] == 7000.03
    assert "process_resident_memory_bytes" in found or not Path("/proc/self").exists()


def test_threads_that_count_at_once_lose_nothing_and_disturb_nobody_who_reads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("_counts", "_durations", "_gauges"):
        monkeypatch.setattr(metrics, name, {})

    def tell(thread: int) -> None:
        for number in range(10_000):
            metrics.count("turns_dropped_total", reason="full")
            metrics.observe("turn_run_seconds", 1.0, runtime="told")
            metrics.count("turn_failures_total", route=f"{thread} {number}", kind="api")
            metrics.gauge(f"gauge_{number}", 1)

    def read() -> None:
        while not all(one.done() for one in telling):
            metrics.gauges(), metrics.durations(), metrics.snapshot()

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(3) as pool:
            telling = [pool.submit(tell, thread) for thread in range(2)]
            pool.submit(read).result()
    finally:
        sys.setswitchinterval(before)
    assert metrics.value("turns_dropped_total", reason="full") == 20_000
    assert metrics.durations()["turn_run_seconds"][("runtime", "told"),][1] == 20_000.0
    assert sum(metrics.counters()["turn_failures_total"].values()) == 20_000


def test_the_number_of_series_is_bounded_and_nothing_is_left_uncounted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(metrics, "_counts", {})  # other tests count by name, too
    for number in range(metrics.MOST_SERIES + 50):
        metrics.count("turns_total", route=f"r{number}", runtime="x", outcome="answered")
    found = families()["sidecar_turns_total"]
    assert len(found) <= metrics.MOST_SERIES + 1
    assert sum(found.values()) >= metrics.MOST_SERIES + 50
    assert found["outcome=other,route=other,runtime=other"] >= 50


def test_a_label_cannot_break_the_format() -> None:
    metrics.count("turn_failures_total", route='a"b\\c\nd', kind="api")
    assert families()["sidecar_turn_failures_total"]['kind=api,route=a"b\\c\nd'] >= 1


def test_names_follow_the_conventions() -> None:
    for metric in TABLE:
        assert metric.name.endswith("_total") == (metric.kind == "counter"), metric.name
        if metric.kind == "histogram":
            assert metric.name.endswith("_seconds"), metric.name
