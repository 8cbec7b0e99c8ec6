"""What ``app.metrics()`` counts anyway, as instruments that are read when somebody collects.

No message pays for it. The SDK cannot take an instrument back, so there is one set of them for each
meter provider, which reads all applications that run.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Final
from weakref import WeakKeyDictionary

from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation

from .spans import NAME

log = logging.getLogger("wsframe.plugins.otel")

Read = Callable[[dict[str, Any]], dict[tuple[tuple[str, str], ...], float]]
"""What one metric says of ``app.metrics()``: values by attributes."""

TRIES: Final = 3


def _one(*path: str) -> Read:
    def read(found: dict[str, Any]) -> dict[tuple[tuple[str, str], ...], float]:
        value: Any = found
        for key in path:
            value = value[key]
        return {(): value}

    return read


def _each(attribute: str, *path: str) -> Read:
    def read(found: dict[str, Any]) -> dict[tuple[tuple[str, str], ...], float]:
        value: Any = found
        for key in path:
            value = value[key]
        return {((attribute, str(key)),): each for key, each in value.items()}

    return read


COUNTERS: Final[dict[str, tuple[str, str, Read]]] = {
    "wsframe.connections.opened": ("{connection}", "Connections", _one("connections", "total")),
    "wsframe.connections.refused": (
        "{connection}", "Handshakes that were refused, by HTTP status",
        _each("http.response.status_code", "connections", "refused"),
    ),
    "wsframe.connections.closed": (
        "{connection}", "Connections that have ended, by close code",
        _each("wsframe.close_code", "connections", "closed"),
    ),
    "wsframe.messages.received": ("{message}", "Messages of clients", _one("messages", "received")),
    "wsframe.messages.answered": (
        "{message}", "Accepted messages that were answered, by outcome",
        _each("wsframe.outcome", "messages", "outcomes"),
    ),
    "wsframe.messages.refused": (
        "{message}", "Messages that were answered with an error, by its code",
        _each("wsframe.error_code", "messages", "refused"),
    ),
    "wsframe.messages.sent": ("{message}", "Messages of the server", _one("messages", "sent")),
    "wsframe.handlers.errors": ("{error}", "Unexpected errors", _one("handlers", "errors")),
}  # fmt: skip
GAUGES: Final[dict[str, tuple[str, str, Read]]] = {
    "wsframe.connections.active": (
        "{connection}", "Open connections", _one("connections", "active"),
    ),
    "wsframe.sessions.active": (
        "{session}", "Sessions, also without a connection", _one("sessions", "active"),
    ),
    "wsframe.messages.in_flight": (
        "{message}", "Messages that are not answered yet", _one("messages", "in_flight"),
    ),
    "wsframe.outboxes.size": ("By", "What is kept for clients", _one("outboxes", "bytes")),
}  # fmt: skip


class Instruments:
    """The instruments of one meter provider.

    Attributes:
        apps: those that run.
    """

    def __init__(self, provider: MeterProvider) -> None:
        self.apps: list[Any] = []
        meter = provider.get_meter(NAME)
        for name, (unit, description, read) in COUNTERS.items():
            meter.create_observable_counter(name, [self._reader(read)], unit, description)
        for name, (unit, description, read) in GAUGES.items():
            meter.create_observable_up_down_counter(name, [self._reader(read)], unit, description)

    def _reader(self, read: Read) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def observe(_options: CallbackOptions) -> Iterable[Observation]:
            total: Counter[tuple[tuple[str, str], ...]] = Counter()
            for app in list(self.apps):
                found = _metrics(app)
                if found:
                    for attributes, value in read(found).items():
                        total[attributes] += value  # type: ignore[assignment]  # or a float
            return [Observation(value, dict(attributes)) for attributes, value in total.items()]

        return observe


def _metrics(app: Any) -> dict[str, Any]:
    """What an application counts, from the collector's thread, while it goes on serving."""
    for _ in range(TRIES):
        try:
            found: dict[str, Any] = app.metrics()
        except RuntimeError:  # a dict has changed its size while it was read
            continue
        return found
    log.warning("the metrics of a busy application could not be read this time")
    return {}


_instruments: WeakKeyDictionary[MeterProvider, Instruments] = WeakKeyDictionary()


def instruments_of(provider: MeterProvider) -> Instruments:
    """The instruments of a meter provider, made when they are first asked for."""
    found = _instruments.get(provider)
    if found is None:
        found = _instruments[provider] = Instruments(provider)
    return found
