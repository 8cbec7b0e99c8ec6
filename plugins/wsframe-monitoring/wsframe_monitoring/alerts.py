"""When something is wrong, and when it is right again: decided here, told elsewhere.

Nothing here waits or knows a clock. An alert is raised when a value goes above its threshold, and
cleared when it is back at a lower one, so that a value that trembles around the threshold makes one
alert and not a hundred.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, NamedTuple

import msgspec

from .config import AlertSettings, Rule, Threshold
from .windows import Greatest, Mean, Ratio


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """Something is wrong, or is right again."""

    name: str
    """``error_rate``, ``response_time``, ``connection_count``, ``loop_lag`` or
    ``outbox_pressure``."""
    state: Literal["raised", "cleared"]
    value: float
    """What it is now, in the unit of the threshold."""
    threshold: float
    """Above this it is wrong."""
    clear: float
    """At or below this it is right again."""
    window_s: float
    """The time that was looked at."""
    at: float
    """When, in seconds since the epoch."""
    message: str
    """All of that in a sentence."""


class Reading(NamedTuple):
    """What there is to judge by."""

    answered: int
    """Messages so far; so are the next three."""
    not_replied: int
    handled: int
    handler_seconds: float
    connections: int
    """Now; so are the others."""
    sessions: int
    crowded: int
    lag_s: float
    """The longest since the reading before."""


class Judge:
    """Knows what is wrong.

    Args:
        alerts: what is.
        max_connections: of the server.
    """

    def __init__(self, alerts: AlertSettings, max_connections: int) -> None:
        connections = alerts.connection_count
        thresholds: dict[str, Threshold] = {
            "error_rate": alerts.error_rate,
            "response_time": alerts.response_time,
            "connection_count": 0.9 * max_connections if connections is None else connections,
            "loop_lag": alerts.loop_lag,
            "outbox_pressure": alerts.outbox_pressure,
        }
        self._rules = {
            name: rule
            for name, threshold in thresholds.items()
            if (rule := _rule(threshold)) is not None
        }
        self._values = {name: _VALUES[name](rule) for name, rule in self._rules.items()}
        self.raised = dict.fromkeys(self._rules, False)
        """What is wrong now, by the name of the alert."""

    def judge(self, now: float, at: float, reading: Reading) -> list[Alert]:
        """Look at a reading.

        Args:
            now: by a clock that does not jump, in seconds.
            at: the same in seconds since the epoch.

        Returns:
            What has become wrong by it, or right.
        """
        found = []
        for name, rule in self._rules.items():
            value = self._values[name](now, reading)
            wrong = value > (rule.clears_at if self.raised[name] else rule.threshold)
            if wrong is not self.raised[name]:
                self.raised[name] = wrong
                found.append(_alert(name, "raised" if wrong else "cleared", value, rule, at))
        return found


Value = Callable[[float, Reading], float]
"""What an alert looks at, after one more reading."""


def _error_rate(rule: Rule) -> Value:
    ratio = Ratio(rule.window_s, rule.min_messages)
    return lambda now, reading: ratio.add(now, reading.not_replied, reading.answered)


def _response_time(rule: Rule) -> Value:
    ratio = Ratio(rule.window_s, rule.min_messages)
    return lambda now, reading: ratio.add(now, reading.handler_seconds, reading.handled)


def _connection_count(rule: Rule) -> Value:
    mean = Mean(rule.window_s)
    return lambda now, reading: mean.add(now, reading.connections)


def _loop_lag(rule: Rule) -> Value:
    greatest = Greatest(rule.window_s)
    return lambda now, reading: greatest.add(now, reading.lag_s)


def _outbox_pressure(rule: Rule) -> Value:
    mean = Mean(rule.window_s)
    return lambda now, reading: mean.add(now, reading.crowded / max(reading.sessions, 1))


_VALUES: Final = {
    "error_rate": _error_rate,
    "response_time": _response_time,
    "connection_count": _connection_count,
    "loop_lag": _loop_lag,
    "outbox_pressure": _outbox_pressure,
}


def _rule(threshold: Threshold) -> Rule | None:
    if isinstance(threshold, Rule):
        return threshold
    return None if isinstance(threshold, str) else Rule(threshold=threshold)


_SENTENCES: Final = {
    "error_rate": ("{} of the messages were not replied to", "{:.1%}"),
    "response_time": ("handlers took {} on average", "{:.3g} s"),
    "connection_count": ("{} connections were open on average", "{:.6g}"),
    "loop_lag": ("the event loop was late by up to {}", "{:.3g} s"),
    "outbox_pressure": ("{} of the outboxes were crowded on average", "{:.1%}"),
}
"""What an alert says, and how it shows a number."""


def _alert(
    name: str, state: Literal["raised", "cleared"], value: float, rule: Rule, at: float
) -> Alert:
    limit = rule.threshold if state == "raised" else rule.clears_at
    sentence, number = _SENTENCES[name]
    said = sentence.format(number.format(value))
    compared = "above" if state == "raised" else "not above"
    return Alert(
        name=name,
        state=state,
        value=value,
        threshold=rule.threshold,
        clear=rule.clears_at,
        window_s=rule.window_s,
        at=at,
        message=f"{said} in {rule.window_s:g} s, {compared} {number.format(limit)}",
    )
