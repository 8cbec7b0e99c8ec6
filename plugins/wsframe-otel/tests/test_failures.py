"""Without a provider nothing is done; with one that fails, nobody is harmed."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace.sampling import (
    Decision,
)

from wsframe import App
from wsframe.testing import Connector

from .conftest import Asked, Traced, ask


@pytest.mark.parametrize("provider", [None, trace.NoOpTracerProvider()])
async def test_without_a_provider_no_message_is_looked_at(
    wsframe_client: Connector, provider: Any, caplog: pytest.LogCaptureFixture
) -> None:
    from wsframe_otel import OtelPlugin

    plugin = OtelPlugin(OtelPlugin.Config(), tracer_provider=provider)
    app = App(plugins=[plugin], **{"plugins.only": ["otel"]})

    @app.handler("text")
    async def text(message: Any, connection: Any) -> Any: ...

    caplog.set_level("INFO")
    client = await wsframe_client(app)
    assert "messages are traced" not in caplog.text
    assert (await client.request("text")).traceparent is None
    hooks = app.runtime.dispatcher.hooks  # type: ignore[union-attr]
    for name in ("connection_opening", "connection_opened", "message_received", "message_handled",
                 "message_sending"):  # fmt: skip
        assert not getattr(hooks, name)
    assert app.runtime.dispatcher._message_call is None  # type: ignore[union-attr]


def test_a_disabled_sdk_is_no_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    from opentelemetry.sdk.trace import TracerProvider
    from wsframe_otel import OtelPlugin

    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    provider = TracerProvider(shutdown_on_exit=False)
    plugin = OtelPlugin(OtelPlugin.Config(), tracer_provider=provider)
    assert plugin.message_received is None


class Breaking:
    """Raises wherever the SDK calls it."""

    def __init__(self, *methods: str) -> None:
        self.methods = methods

    def __getattr__(self, name: str) -> Any:
        def call(*_: Any, **__: Any) -> Any:
            if name in self.methods:
                raise RuntimeError("injected")

        return call


@pytest.mark.parametrize("methods", [("on_start",), ("on_end",), ("on_start", "on_end")])
@pytest.mark.parametrize("message_type", ["text", "beside", "stream", "say", "break", "refuse"])
async def test_a_failing_processor_harms_nobody(
    methods: tuple[str, ...], message_type: str,
    wsframe_client: Connector, traced: Traced, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    from opentelemetry.sdk.trace import TracerProvider

    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(Breaking(*methods))
    app = traced.app(provider=provider, own_spans=False)
    client = await wsframe_client(app)
    for _ in range(2):
        answer = await ask(client, message_type)
        expected = {"break": "handler_failed", "refuse": "shop.sold_out"}.get(message_type)
        assert answer.content.get("code") == expected
    complaints = [each for each in caplog.records if each.name == "wsframe.plugins.otel"]
    assert [each.getMessage() for each in complaints] == [
        "tracing fails, and serving goes on without: RuntimeError"
    ]
    assert not app.runtime.manager.failures  # type: ignore[union-attr]


@pytest.mark.parametrize("method", ["on_start", "on_end"])
@pytest.mark.parametrize("span_name", ["wsframe message", "wsframe handler", "wsframe send"])
async def test_a_processor_that_fails_for_some_spans_costs_those(
    method: str, span_name: str, wsframe_client: Connector, traced: Traced
) -> None:
    class FailsFor(Breaking):
        def __getattr__(self, name: str) -> Any:
            def call(span: Any = None, *_: Any, **__: Any) -> Any:
                if name == method and span.name.startswith(span_name):
                    raise RuntimeError("injected")

            return call

    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(traced.exporter))
    provider.add_span_processor(FailsFor())
    client = await wsframe_client(traced.app(provider=provider))
    assert (await ask(client)).content == {"ok": True}
    assert (await ask(client, "break")).content["code"] == "handler_failed"
    assert traced.spans("wsframe handshake")
    assert not traced.plugin._messages


async def test_what_is_left_open_is_ended_with_the_application(
    wsframe_client: Connector, traced: Traced
) -> None:
    app = traced.app()
    await wsframe_client(app)
    traced.plugin._messages["s", "m"] = traced.provider.get_tracer("x").start_span("left")
    await wsframe_client.stop(app)
    assert traced.one("left")


async def test_a_failing_sampler_harms_nobody(
    wsframe_client: Connector, traced: Traced, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing(Asked):
        def should_sample(self, *_: Any, **__: Any) -> Any:
            raise RuntimeError("injected")

    app = traced.app(sampler=Failing(Decision.DROP))

    @app.handler("plain")
    async def plain(message: Any, connection: Any) -> Any:
        return {"ok": True}

    client = await wsframe_client(app)
    assert (await ask(client, "plain")).content == {"ok": True}


async def test_a_failing_exporter_harms_nobody(
    wsframe_client: Connector, traced: Traced, caplog: pytest.LogCaptureFixture
) -> None:
    client = await wsframe_client(traced.app(exporter=Breaking("export")))
    for message_type in ("text", "stream", "say"):
        assert (await ask(client, message_type)).type != "error"


async def test_a_tracer_of_another_sdk_is_used_as_it_is(
    wsframe_client: Connector, traced: Traced
) -> None:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    sdk = TracerProvider(shutdown_on_exit=False)
    sdk.add_span_processor(SimpleSpanProcessor(traced.exporter))

    class OtherTracer:
        def __init__(self, tracer: Any) -> None:
            self.start_span = tracer.start_span
            self.start_as_current_span = tracer.start_as_current_span

    class OtherProvider:
        def get_tracer(self, name: str) -> Any:
            return OtherTracer(sdk.get_tracer(name))

    client = await wsframe_client(traced.app(provider=OtherProvider()))
    await ask(client)
    assert traced.one("wsframe message text")
    assert traced.one("wsframe send text")
