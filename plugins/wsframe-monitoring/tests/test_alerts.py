"""When an alert is raised, when it is cleared, and who is told."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from wsframe_monitoring import Alert, AlertSettings, Rule
from wsframe_monitoring.alerts import Judge, Reading
from wsframe_monitoring.plugin import MonitoringPlugin
from wsframe_monitoring.watching import LISTENERS_S

from wsframe.testing import RequestError

WELL = Reading(0, 0, 0, 0.0, connections=0, sessions=0, crowded=0, lag_s=0.0)
ALL = ("error_rate", "response_time", "connection_count", "loop_lag", "outbox_pressure")
OFF = dict.fromkeys(ALL, "off")


class Watched:
    """A judge, and a clock that goes on by ten seconds from reading to reading."""

    def __init__(self, **alerts: Any) -> None:
        self.judge = Judge(AlertSettings(**{**OFF, **alerts}), max_connections=100)
        self.now = 0.0

    def reads(self, **changed: Any) -> list[str]:
        alerts = self.judge.judge(self.now, 1e9 + self.now, WELL._replace(**changed))
        self.now += 10
        return [f"{alert.name} {alert.state}: {alert.message}" for alert in alerts]


def test_the_error_rate_is_that_of_the_window() -> None:
    watched = Watched(error_rate=Rule(threshold=0.2, window_s=30, min_messages=10))
    assert watched.reads() == []
    assert watched.reads(answered=100, not_replied=20) == []
    assert watched.reads(answered=200, not_replied=50) == [
        "error_rate raised: 25.0% of the messages were not replied to in 30 s, above 20.0%"
    ]
    assert watched.reads(answered=300, not_replied=50) == []  # 17 %: not low enough
    assert watched.reads(answered=400, not_replied=50) == [
        "error_rate cleared: 10.0% of the messages were not replied to in 30 s, not above 16.0%"
    ]


def test_few_messages_raise_nothing_and_clear_what_was_raised() -> None:
    watched = Watched(error_rate=Rule(threshold=0.2, window_s=10, min_messages=10))
    watched.reads()
    assert watched.reads(answered=9, not_replied=9) == []
    assert len(watched.reads(answered=19, not_replied=19)) == 1
    assert "cleared" in watched.reads(answered=19, not_replied=19)[0]


def test_the_response_time_is_the_mean_of_the_window() -> None:
    watched = Watched(response_time=Rule(threshold=1, clear=0.5, window_s=20, min_messages=1))
    watched.reads()
    assert watched.reads(handled=10, handler_seconds=9) == []
    assert watched.reads(handled=20, handler_seconds=29) == [
        "response_time raised: handlers took 1.45 s on average in 20 s, above 1 s"
    ]
    assert watched.reads(handled=30, handler_seconds=29) == []  # 1 s, and 0.5 s clears
    assert "cleared" in watched.reads(handled=40, handler_seconds=29)[0]


def test_connections_are_counted_on_average_and_against_the_limit_by_default() -> None:
    watched = Watched(connection_count=None)
    assert watched.reads(connections=85) == []
    assert watched.reads(connections=96) == [
        "connection_count raised: 90.5 connections were open on average in 60 s, above 90"
    ]
    assert watched.reads(connections=50) == []
    assert "cleared" in watched.reads(connections=10)[0]


def test_the_longest_lag_of_the_window_counts() -> None:
    watched = Watched(loop_lag=Rule(threshold=0.5, window_s=20))
    assert watched.reads(lag_s=0.5) == []
    assert watched.reads(lag_s=0.75) == [
        "loop_lag raised: the event loop was late by up to 0.75 s in 20 s, above 0.5 s"
    ]
    assert watched.reads() == []
    assert "cleared" in watched.reads()[0]


def test_outboxes_press_by_their_share() -> None:
    watched = Watched(outbox_pressure=Rule(threshold=0.5, window_s=10))
    assert watched.reads(sessions=4, crowded=2) == []
    assert watched.reads(sessions=4, crowded=3) == [
        "outbox_pressure raised: 75.0% of the outboxes were crowded on average in 10 s, above 50.0%"
    ]
    assert "cleared" in watched.reads(sessions=0, crowded=0)[0]


def test_a_value_that_trembles_makes_one_alert() -> None:
    watched = Watched(loop_lag=Rule(threshold=0.5, clear=0.4, window_s=1))
    said = [watched.reads(lag_s=lag) for lag in (0.51, 0.49, 0.51, 0.45, 0.51, 0.4)]
    assert [len(each) for each in said] == [1, 0, 0, 0, 0, 1]


def test_what_is_off_is_never_raised() -> None:
    watched = Watched()
    assert watched.judge.raised == {}
    assert watched.reads(lag_s=100, connections=100, sessions=1, crowded=1) == []


FAST = {"interval_s": 1.0, "alerts": AlertSettings(error_rate=Rule(threshold=0.5, window_s=10))}


async def fail_often(client: Any) -> None:
    for _ in range(30):
        with pytest.raises(RequestError):
            await client.request("fail")


async def test_listeners_and_the_log_are_told(
    wsframe_client: Any, watched: Any, scrape: Any, caplog: pytest.LogCaptureFixture
) -> None:
    app = watched(**FAST)
    told: list[Alert] = []
    app.on("alert", told.append)
    client = await wsframe_client(app)
    await anyio.sleep(5)
    await fail_often(client)
    await anyio.sleep(2)
    assert [(each.name, each.state) for each in told] == [("error_rate", "raised")]
    assert told[0].value > 0.9
    assert (await scrape(app))['wsframe_alert_raised{alert="error_rate"}'] == 1
    await anyio.sleep(12)
    assert [each.state for each in told] == ["raised", "cleared"]
    assert (await scrape(app))['wsframe_alert_raised{alert="error_rate"}'] == 0
    assert "alert error_rate raised" in caplog.text
    assert "alert error_rate cleared" in caplog.text


async def test_a_listener_that_fails_or_hangs_does_not_end_the_watching(
    wsframe_client: Any, watched: Any, caplog: pytest.LogCaptureFixture
) -> None:
    app = watched(**FAST)
    told: list[str] = []

    @app.on("alert")
    def fails(alert: Alert) -> None:
        raise RuntimeError("injected")

    @app.on("alert")
    async def hangs(alert: Alert) -> None:
        told.append(alert.state)
        await anyio.sleep_forever()

    client = await wsframe_client(app)
    await fail_often(client)
    await anyio.sleep(LISTENERS_S + 30)
    assert told == ["raised", "cleared"]
    assert "took longer than 10 s" in caplog.text
    assert "a listener of 'alert' failed" in caplog.text


async def test_a_failure_of_the_watching_itself_does_not_end_it(
    wsframe_client: Any, watched: Any, caplog: pytest.LogCaptureFixture
) -> None:
    app = watched(**FAST)
    told: list[str] = []
    app.on("alert", lambda alert: told.append(alert.state))
    client = await wsframe_client(app)
    metrics = app.metrics
    app.metrics = dict
    await anyio.sleep(3)
    app.metrics = metrics
    await fail_often(client)
    await anyio.sleep(3)
    assert told == ["raised"]
    assert "cannot tell whether there is an alert" in caplog.text


async def test_the_event_loop_is_watched_for_lag(
    wsframe_client: Any, watched: Any, scrape: Any
) -> None:
    app = watched(interval_s=1.0)
    await wsframe_client(app)
    await anyio.sleep(10.1)
    samples = await scrape(app)
    assert samples["wsframe_event_loop_lag_seconds_count"] == 40
    assert samples['wsframe_event_loop_lag_seconds_bucket{le="0.001"}'] == 40
    (plugin,) = (each for each in app.plugins if isinstance(each, MonitoringPlugin))
    told: list[Alert] = []
    app.on("alert", told.append)
    plugin._watching.late(0.7)
    plugin._watching.late(0.1)
    await anyio.sleep(1)
    assert [(each.name, each.value) for each in told] == [("loop_lag", 0.7)]
    assert (await scrape(app))['wsframe_event_loop_lag_seconds_bucket{le="0.5"}'] >= 41
