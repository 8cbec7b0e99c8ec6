"""A failure inside of the plugin leaves no message unanswered and hurts nobody."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from wsframe_monitoring import MonitoringPlugin
from wsframe_monitoring.access_log import AccessLog
from wsframe_monitoring.metrics import ServerCollector
from wsframe_monitoring.statistics import Statistics

from wsframe import PluginError

ALL_LINES = {"access_log": ("connections", "requests", "messages")}


def fails(*_: Any, **__: Any) -> Any:
    raise RuntimeError("injected")


@pytest.mark.parametrize("name", ["opened", "closed", "handled", "request"])
async def test_a_failing_access_log_hurts_nobody(
    wsframe_client: Any,
    watched: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    name: str,
) -> None:
    monkeypatch.setattr(AccessLog, name, fails)
    app = watched(**ALL_LINES)
    client = await wsframe_client(app)
    assert (await client.request("echo", {"text": "Hi"})).content == {"text": "Hi"}
    await client.close()
    await anyio.sleep(1)
    client = await wsframe_client(app)
    assert (await client.request("echo", {"text": "Hi"})).content == {"text": "Hi"}
    assert "injected" in caplog.text


@pytest.mark.parametrize("name", ["message", "request", "hook", "stored", "totals"])
async def test_failing_statistics_hurt_nobody(
    wsframe_client: Any,
    watched: Any,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    monkeypatch.setattr(Statistics, name, fails)
    app = watched(**ALL_LINES)
    client = await wsframe_client(app)
    await anyio.sleep(20)
    assert (await client.request("echo", {"text": "Hi"})).content == {"text": "Hi"}


async def test_metrics_that_fail_are_an_error_to_who_asks_alone(
    wsframe_client: Any, watched: Any, get: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ServerCollector, "collect", fails)
    app = watched()
    (plugin,) = app.plugins
    client = await wsframe_client(app)
    response = await get(app)
    assert response.status == 500
    assert b"injected" not in response.body
    assert isinstance(plugin, MonitoringPlugin)
    assert (await client.request("echo", {"text": "Hi"})).content == {"text": "Hi"}


@pytest.mark.parametrize("hook", ["setup", "started"])
async def test_a_start_that_fails_is_none(
    wsframe_client: Any, watched: Any, monkeypatch: pytest.MonkeyPatch, hook: str
) -> None:
    part = {"setup": "plugin.Judge", "started": "plugin.Background"}[hook]
    monkeypatch.setattr(f"wsframe_monitoring.{part}", fails)
    with pytest.raises(PluginError, match="injected"):
        await wsframe_client(watched())


async def test_it_can_be_taken_out_and_in_while_the_server_runs(
    wsframe_client: Any, watched: Any, scrape: Any
) -> None:
    app = watched(**ALL_LINES)
    client = await wsframe_client(app)
    await client.request("echo")
    await app.disable_plugin("monitoring")
    await client.request("echo")
    before = (await scrape(app))["wsframe_event_loop_lag_seconds_count"]
    await anyio.sleep(10)
    assert (await scrape(app))["wsframe_event_loop_lag_seconds_count"] == before
    await app.enable_plugin("monitoring")
    await client.request("echo")
    await anyio.sleep(10)
    samples = await scrape(app)
    assert samples["wsframe_event_loop_lag_seconds_count"] > before
    assert samples['wsframe_messages_answered_total{outcome="replied",type="echo"}'] == 3
