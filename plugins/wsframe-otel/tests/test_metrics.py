"""What is exported of the server's own counters."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from wsframe_otel import Config, OtelPlugin
from wsframe_otel.metrics import instruments_of

from wsframe import App
from wsframe.testing import Connector, RequestError


class Metered:
    def __init__(self) -> None:
        self.reader = InMemoryMetricReader()
        self.provider = MeterProvider([self.reader], shutdown_on_exit=False)

    def app(self, **config: Any) -> App:
        plugin = OtelPlugin(Config(**config), meter_provider=self.provider)
        app = App(plugins=[plugin], **{"plugins.only": ["otel"]})

        @app.handler("text")
        async def text(message: Any, connection: Any) -> Any: ...

        return app

    def read(self) -> dict[str, dict[Any, float]]:
        data: Any = self.reader.get_metrics_data()
        found: dict[str, dict[Any, float]] = {}
        for resource in data.resource_metrics if data is not None else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    found[metric.name] = {
                        tuple(point.attributes.values()): point.value
                        for point in metric.data.data_points
                    }
        return found


@pytest.fixture
def metered() -> Metered:
    return Metered()


async def test_the_servers_counters_are_read_when_somebody_collects(
    wsframe_client: Connector, metered: Metered
) -> None:
    client = await wsframe_client(metered.app())
    await client.request("text")
    with pytest.raises(RequestError):
        await client.request("nothing")
    found = metered.read()
    assert found["wsframe.connections.active"] == {(): 1}
    assert found["wsframe.connections.opened"] == {(): 1}
    assert found["wsframe.messages.received"] == {(): 3}
    assert found["wsframe.messages.answered"][("replied",)] >= 1
    assert found["wsframe.messages.refused"] == {("unknown_type",): 1}
    assert found["wsframe.messages.in_flight"] == {(): 0}


async def test_applications_of_one_process_are_added_up_and_stopped_ones_left_out(
    wsframe_client: Connector, metered: Metered
) -> None:
    one, two = metered.app(), metered.app()
    for app in (one, one, two):
        await wsframe_client(app)
    assert metered.read()["wsframe.connections.active"] == {(): 3}
    await wsframe_client.stop(one)
    assert metered.read()["wsframe.connections.active"] == {(): 1}
    await wsframe_client.stop(two)
    assert "wsframe.connections.active" not in metered.read()
    await wsframe_client(two)  # it starts again
    assert metered.read()["wsframe.connections.active"] == {(): 1}


async def test_metrics_can_be_off(wsframe_client: Connector, metered: Metered) -> None:
    await wsframe_client(metered.app(metrics=False))
    assert metered.read() == {}


@pytest.mark.parametrize("provider", [None, metrics.NoOpMeterProvider()])
async def test_without_a_provider_nothing_is_measured(
    wsframe_client: Connector, provider: Any
) -> None:
    plugin = OtelPlugin(Config(), meter_provider=provider)
    app = App(plugins=[plugin], **{"plugins.only": ["otel"]})
    await wsframe_client(app)
    assert plugin._instruments is None


async def test_an_application_too_busy_to_be_read_is_left_out_once(
    wsframe_client: Connector, metered: Metered, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    app = metered.app()
    await wsframe_client(app)
    real, failures = app.metrics, [2]

    def changing() -> Any:
        if failures[0]:
            failures[0] -= 1
            raise RuntimeError("dictionary changed size during iteration")
        return real()

    monkeypatch.setattr(app, "metrics", changing)
    assert metered.read()["wsframe.connections.active"] == {(): 1}
    failures[0] = 10_000
    assert metered.read() == {}
    assert "could not be read this time" in caplog.text


def test_a_meter_provider_that_is_gone_is_forgotten(metered: Metered) -> None:
    provider = MeterProvider(shutdown_on_exit=False)
    instruments = weakref.ref(instruments_of(provider))
    assert instruments_of(provider) is instruments()
    provider.shutdown()
    del provider
    gc.collect()
    assert instruments() is None
