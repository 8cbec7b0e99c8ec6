"""The numbers in the form that Prometheus asks for.

They are put together when it asks: most are wsframe's own counts, from ``app.metrics()``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector

from wsframe import App

from .statistics import OTHER, Histogram, Statistics

CLOSE_CODES: Final = frozenset({*range(1000, 1016), *range(4400, 4450)})
"""Close codes with a number of their own; a client may make up a thousand others."""

Number = int | float


class ServerCollector(Collector):
    """Collects the numbers of a running application.

    Args:
        app: the application.
        statistics: what it does not count itself.
        max_codes: error codes that have numbers of their own, at most.
        raised: which alerts are raised.
        lost_alerts: how many the webhook did not take.
    """

    def __init__(
        self,
        app: App,
        statistics: Statistics,
        *,
        max_codes: int,
        raised: Mapping[str, bool],
        lost_alerts: Callable[[], int],
    ) -> None:
        self._app = app
        self._statistics = statistics
        self._max_codes = max_codes
        self._raised = raised
        self._lost_alerts = lost_alerts

    def collect(self) -> Iterable[Metric]:
        """Everything, as it is now."""
        health, metrics = self._app.health(), self._app.metrics()
        yield InfoMetricFamily(
            "wsframe_build", "The version of wsframe.", {"version": health["version"]}
        )
        yield _gauge(
            "wsframe_ready",
            "1: takes connections, and its store works.",
            health["status"] == "ok",
        )
        if not metrics:  # it does not run
            return
        yield _gauge("wsframe_uptime_seconds", "Time since the start.", metrics["uptime_s"])
        yield from self._connections(metrics, health["connections"]["limit"])
        yield from self._messages(metrics["messages"])
        yield from self._types()
        yield from self._plugins(metrics["handlers"])
        yield from self._queues(metrics)
        yield from self._store(metrics["store"])
        yield from self._alerts()

    def _connections(self, metrics: Mapping[str, Any], limit: int) -> Iterator[Metric]:
        connections, sessions = metrics["connections"], metrics["sessions"]
        yield _gauge("wsframe_connections", "Open connections.", connections["active"])
        yield _gauge("wsframe_connections_limit", "The setting max_connections.", limit)
        yield _counter(
            "wsframe_connections_opened", "Connections opened so far.", connections["total"]
        )
        yield _counters(
            "wsframe_connections_closed",
            "Connections ended so far, by close code.",
            "code",
            _known_codes(connections["closed"]),
        )
        yield _counters(
            "wsframe_handshakes_refused",
            "Handshakes refused so far, by HTTP status.",
            "status",
            connections["refused"],
        )
        states = GaugeMetricFamily(
            "wsframe_sessions",
            "Sessions in memory: their clients are here (attached) or away (detached).",
            labels=("state",),
        )
        states.add_metric(("attached",), sessions["active"] - sessions["detached"])
        states.add_metric(("detached",), sessions["detached"])
        yield states
        requests = SummaryMetricFamily(
            "wsframe_http_request_seconds",
            "Requests and handshakes (101: opened), by HTTP status, and the time to the answer.",
            labels=("status",),
        )
        for status, found in sorted(self._statistics.requests.items()):
            requests.add_metric((str(status),), found.count, found.seconds)
        yield requests

    def _messages(self, messages: Mapping[str, Any]) -> Iterator[Metric]:
        yield _counter(
            "wsframe_messages_received",
            "Messages from clients so far, valid or not.",
            messages["received"],
        )
        yield _counter(
            "wsframe_messages_accepted",
            "Messages so far that got, or will get, one final answer.",
            messages["accepted"],
        )
        yield _counters(
            "wsframe_errors_sent",
            "Errors sent to clients so far, by code.",
            "code",
            _first(messages["refused"], self._max_codes),
        )
        yield _counter("wsframe_parts_sent", "Parts of streamed answers so far.", messages["parts"])
        yield _counter(
            "wsframe_messages_pushed",
            "Messages sent so far that are no answers.",
            messages["sent"],
        )
        yield _gauge(
            "wsframe_messages_in_flight",
            "Messages accepted and not yet answered.",
            messages["in_flight"],
        )
        yield _gauge(
            "wsframe_messages_queued",
            "Messages that wait behind others of their connection.",
            messages["queued"],
        )

    def _types(self) -> Iterator[Metric]:
        answered = CounterMetricFamily(
            "wsframe_messages_answered",
            "Final answers so far, by the type of the message and by outcome.",
            labels=("type", "outcome"),
        )
        handling = HistogramMetricFamily(
            "wsframe_handler_seconds",
            "Time from the start of a handler to the final answer.",
            labels=("type",),
        )
        for name, found in list(self._statistics.types.items()):
            if found.replied:
                answered.add_metric((name, "replied"), found.replied)
            for outcome, number in found.otherwise.items():
                answered.add_metric((name, outcome), number)
            _add(handling, (name,), found.handling)
        yield answered
        yield handling

    def _plugins(self, handlers: Mapping[str, Any]) -> Iterator[Metric]:
        yield _counter(
            "wsframe_exceptions",
            "Exceptions so far that handlers and middleware raised by mistake.",
            handlers["errors"],
        )
        failures = CounterMetricFamily(
            "wsframe_plugin_failures",
            "Exceptions so far that hooks of plugins raised by mistake.",
            labels=("plugin", "hook"),
        )
        for name, number in handlers["plugin_failures"].items():
            plugin, _, hook = name.rpartition(".")
            failures.add_metric((plugin, hook), number)
        yield failures
        hooks = SummaryMetricFamily(
            "wsframe_hook_seconds",
            "Calls of hooks that were timed (of those on every message one in sixteen).",
            labels=("plugin", "hook"),
        )
        for names, found in self._statistics.hooks.items():
            hooks.add_metric(names, found.count, found.seconds)
        yield hooks

    def _queues(self, metrics: Mapping[str, Any]) -> Iterator[Metric]:
        outboxes, traffic = metrics["outboxes"], metrics["traffic"]
        yield _gauge(
            "wsframe_outbox_messages",
            "Messages in outboxes: on their way, or kept until they are acknowledged.",
            outboxes["messages"],
        )
        yield _gauge("wsframe_outbox_bytes", "The size of those.", outboxes["bytes"])
        yield _gauge(
            "wsframe_outbox_unwritten_messages",
            "Messages in outboxes that were not written to a connection yet.",
            outboxes["unwritten"],
        )
        yield _gauge(
            "wsframe_outboxes_crowded",
            "Sessions whose outbox is half full of those: slow clients, or absent ones.",
            outboxes["crowded"],
        )
        yield _counter(
            "wsframe_received_bytes",
            "Bytes from clients so far, HTTP included, TLS not.",
            traffic["bytes_received"],
        )
        yield _counter(
            "wsframe_sent_bytes",
            "Bytes to clients so far, HTTP included, TLS not.",
            traffic["bytes_sent"],
        )
        yield _gauge("wsframe_rooms", "Rooms that somebody is in.", metrics["rooms"])
        yield _gauge(
            "wsframe_workers_busy", "Workers that run a handler.", metrics["workers"]["busy"]
        )
        lag = HistogramMetricFamily(
            "wsframe_event_loop_lag_seconds", "By how much the event loop was late."
        )
        _add(lag, (), self._statistics.lag)
        yield lag

    def _store(self, store: Mapping[str, Any]) -> Iterator[Metric]:
        yield _gauge("wsframe_store_healthy", "1: the store works.", store["healthy"])
        yield _counter("wsframe_store_failures", "Failed commits so far.", store["failures"])
        yield _gauge(
            "wsframe_store_waiting_changes",
            "Changes of sessions that the store does not have yet.",
            store["waiting"],
        )
        times = HistogramMetricFamily(
            "wsframe_store_seconds",
            "Time that the store took: to commit a group of changes, to restore a session.",
            labels=("operation",),
        )
        for operation, found in self._statistics.store.items():
            _add(times, (operation,), found)
        yield times

    def _alerts(self) -> Iterator[Metric]:
        raised = GaugeMetricFamily(
            "wsframe_alert_raised", "1: the alert is raised.", labels=("alert",)
        )
        for name, state in self._raised.items():
            raised.add_metric((name,), int(state))
        yield raised
        yield _counter(
            "wsframe_alerts_undelivered",
            "Alerts so far that the webhook did not take.",
            self._lost_alerts(),
        )


def _gauge(name: str, documentation: str, value: Number) -> Metric:
    return GaugeMetricFamily(name, documentation, value=float(value))


def _counter(name: str, documentation: str, value: Number) -> Metric:
    return CounterMetricFamily(name, documentation, value=value)


def _counters(name: str, documentation: str, label: str, numbers: Mapping[Any, Number]) -> Metric:
    family = CounterMetricFamily(name, documentation, labels=(label,))
    for key, number in numbers.items():
        family.add_metric((str(key),), number)
    return family


def _add(family: HistogramMetricFamily, labels: tuple[str, ...], histogram: Histogram) -> None:
    buckets = []
    total = 0
    for bound, number in zip(
        [*map(float, histogram.bounds), "+Inf"], histogram.counts, strict=True
    ):
        total += number
        buckets.append((str(bound), total))
    family.add_metric(labels, buckets, histogram.seconds)


def _known_codes(closed: Mapping[int, int]) -> dict[str, int]:
    numbers: dict[str, int] = {}
    for code, number in sorted(closed.items()):
        name = str(code) if code in CLOSE_CODES else OTHER
        numbers[name] = numbers.get(name, 0) + number
    return numbers


def _first(numbers: Mapping[str, int], limit: int) -> dict[str, int]:
    """The first so many, in the order in which they came up; the others together.

    So none of them ever falls, as it would if the most frequent ones were taken.
    """
    found: dict[str, int] = {}
    for name, number in numbers.items():
        name = name if len(found) < limit else OTHER
        found[name] = found.get(name, 0) + number
    return found
