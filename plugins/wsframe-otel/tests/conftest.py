"""Applications that are traced into memory, in virtual time on asyncio and trio."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_ON,
    Decision,
    ParentBased,
    Sampler,
    SamplingResult,
)
from opentelemetry.trace import NoOpTracerProvider
from wsframe_otel import Config, OtelPlugin

from wsframe import App, HandlerError
from wsframe.testing import virtual_time

ALWAYS = ParentBased(ALWAYS_ON)


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return request.param, virtual_time(request.param)


class Traced:
    """Makes a traced application, and knows its finished spans."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider: Any = None

    def app(
        self, *plugins: Any, sampler: Sampler = ALWAYS, exporter: Any = None,
        provider: Any = None, own_spans: bool = True,
        settings: Any = None, **config: Any,
    ) -> App:  # fmt: skip
        if provider is None:
            provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
            provider.add_span_processor(SimpleSpanProcessor(exporter or self.exporter))
        self.provider = provider
        plugin = OtelPlugin(Config(**config), tracer_provider=provider)
        app = App(plugins=[plugin, *plugins], **{"plugins.only": ["otel"], **(settings or {})})
        self.plugin = plugin
        own = provider if own_spans else NoOpTracerProvider()
        tracer = own.get_tracer("an application's own")

        @app.handler("text")
        async def text(message: Any, connection: Any) -> Any:
            with tracer.start_as_current_span("look up"):
                return {"ok": True}

        @app.handler("beside", concurrent=True)
        async def beside(message: Any, connection: Any) -> Any:
            with tracer.start_as_current_span("look up"):
                return {"ok": True}

        @app.handler("stream")
        async def stream(message: Any, connection: Any) -> Any:
            yield {"part": 1}
            yield {"part": 2}

        @app.handler("say")
        async def say(message: Any, connection: Any) -> Any:
            await connection.send({"type": "said", "content": {"text": "secret text"}})

        @app.handler("refuse")
        async def refuse(message: Any, connection: Any) -> Any:
            raise HandlerError("shop.sold_out", "secret text", details={"secret": "text"})

        @app.handler("break")
        async def break_(message: Any, connection: Any) -> Any:
            raise ValueError("secret text")

        return app

    def spans(self, name: str | None = None) -> list[Any]:
        return [
            span for span in self.exporter.get_finished_spans() if name is None or span.name == name
        ]

    def names(self) -> list[str]:
        return sorted(span.name for span in self.spans())

    def one(self, name: str) -> Any:
        (span,) = self.spans(name)
        return span

    def clear(self) -> None:
        self.exporter.clear()


@pytest.fixture
def traced() -> Traced:
    return Traced()


TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
SAMPLED = f"00-{TRACE}-{PARENT}-01"
UNSAMPLED = f"00-{TRACE}-{PARENT}-00"


async def ask(client: Any, message_type: str = "text", **fields: Any) -> Any:
    """The final answer to a message; parts and pushed messages are passed over."""
    sent = client.send(message_type, **fields)
    while True:
        answer = await client.receive()
        if answer.reply_to == sent and answer.final:
            await anyio.sleep(0.1)  # what is told afterwards has been told
            return answer


class Asked(Sampler):
    """Decides as it is told, and remembers what it was asked."""

    def __init__(self, decision: Decision) -> None:
        self.decision = decision
        self.asked: list[tuple[str, int, Any]] = []

    def should_sample(
        self, parent_context: Any, trace_id: int, name: str, kind: Any = None,
        attributes: Any = None, links: Any = None, trace_state: Any = None,
    ) -> SamplingResult:  # fmt: skip
        self.asked.append((name, trace_id, dict(attributes or {})))
        return SamplingResult(self.decision, {"why": "asked"})

    def get_description(self) -> str:
        return "Asked"
