"""What goes on beside the serving: looks how late the event loop is, and whether all is well."""

from __future__ import annotations

import logging
from collections.abc import Callable

import anyio

from wsframe import App

from .alerts import Alert, Judge, Reading
from .statistics import Statistics

log = logging.getLogger("wsframe.plugins.monitoring")

LAG_INTERVAL_S = 0.25
"""How often is looked how late the event loop is; what is shorter may go unseen."""
LISTENERS_S = 10.0
"""How long those who listen to ``alert`` may take."""


class Watching:
    """Looks, as long as an application runs.

    Args:
        app: the application.
        statistics: its numbers.
        judge: knows what is wrong.
        interval_s: how often it is asked.
        unix_now: seconds since the epoch.
        send: sends an alert elsewhere; returns at once.
    """

    def __init__(
        self,
        app: App,
        statistics: Statistics,
        judge: Judge,
        interval_s: float,
        unix_now: Callable[[], float],
        send: Callable[[Alert], None],
    ) -> None:
        self._app = app
        self._statistics = statistics
        self._judge = judge
        self._interval_s = interval_s
        self._unix_now = unix_now
        self._send = send
        self._longest_lag_s = 0.0

    async def watch_loop(self) -> None:
        """Measure the lag, until cancelled."""
        while True:
            due = anyio.current_time() + LAG_INTERVAL_S
            await anyio.sleep(LAG_INTERVAL_S)
            self.late(max(0.0, anyio.current_time() - due))

    def late(self, lag_s: float) -> None:
        """The event loop was late by so much."""
        self._statistics.lag.add(lag_s)
        self._longest_lag_s = max(self._longest_lag_s, lag_s)

    async def watch_values(self) -> None:
        """Raise and clear alerts, until cancelled."""
        while True:
            try:
                await self.look()
            except Exception:
                log.exception("cannot tell whether there is an alert")
            await anyio.sleep(self._interval_s)

    async def look(self) -> None:
        """Look once, and tell whom it concerns what has become wrong or right."""
        for alert in self._judge.judge(anyio.current_time(), self._unix_now(), self._read()):
            log.warning("alert %s %s: %s", alert.name, alert.state, alert.message)
            self._send(alert)
            with anyio.move_on_after(LISTENERS_S) as scope:
                await self._app.emit("alert", alert)
            if scope.cancelled_caught:
                log.error("a listener of 'alert' took longer than %g s", LISTENERS_S)

    def _read(self) -> Reading:
        metrics = self._app.metrics()
        lag_s, self._longest_lag_s = self._longest_lag_s, 0.0
        return Reading(
            *self._statistics.totals(),
            connections=metrics["connections"]["active"],
            sessions=metrics["sessions"]["active"],
            crowded=metrics["outboxes"]["crowded"],
            lag_s=lag_s,
        )
