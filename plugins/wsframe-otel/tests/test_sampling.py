"""Who decides what is recorded, and that nothing is made where it is not."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    Decision,
    ParentBased,
    Sampler,
    TraceIdRatioBased,
)
from wsframe_otel.spans import ratio_bound

from wsframe import hookimpl
from wsframe.testing import Connector

from .conftest import TRACE, UNSAMPLED, Asked, Traced, ask


async def test_the_sampler_is_asked_once_and_its_trace_and_attributes_are_taken(
    wsframe_client: Connector, traced: Traced
) -> None:
    sampler = Asked(Decision.RECORD_AND_SAMPLE)
    client = await wsframe_client(traced.app(sampler=sampler))
    await ask(client)
    message = traced.one("wsframe message text")
    asked = [each for each in sampler.asked if each[0] == "wsframe message"]
    assert asked == [
        ("wsframe message", message.context.trace_id, {"wsframe.message.type": "text"})
    ]
    assert message.attributes["why"] == "asked"


async def test_where_the_sampler_says_no_no_span_is_made_at_all(
    wsframe_client: Connector, traced: Traced, monkeypatch: pytest.MonkeyPatch
) -> None:
    sampler = Asked(Decision.DROP)
    app = traced.app(
        ParentOnly(), sampler=sampler, settings={"plugins.only": ["otel", "parent-only"]}
    )
    client = await wsframe_client(app)
    made = []
    monkeypatch.setattr(trace, "NonRecordingSpan", made.append)
    monkeypatch.setattr(type(traced.plugin._spans.tracer), "start_span", made.append)

    @app.handler("plain")
    async def plain(message: Any, connection: Any) -> Any: ...

    answer = await ask(client, "made_up")
    assert answer.traceparent is None
    assert made == []
    assert [each[0] for each in sampler.asked] == ["wsframe handshake", "wsframe message"]
    assert traced.spans() == []
    assert not traced.plugin._messages


class ParentOnly:
    @hookimpl
    async def stopping(self) -> None: ...


@pytest.mark.parametrize("sampler", [ALWAYS_OFF, ParentBased(TraceIdRatioBased(0.0))])
@pytest.mark.parametrize("message_type", ["text", "beside", "stream", "say", "break"])
async def test_nothing_below_an_unsampled_message_is_sampled(
    wsframe_client: Connector, traced: Traced, sampler: Sampler, message_type: str
) -> None:
    client = await wsframe_client(traced.app(sampler=sampler))
    await ask(client, message_type)
    assert traced.names() == []


async def test_what_a_handler_starts_by_itself_goes_by_its_message(
    wsframe_client: Connector, traced: Traced
) -> None:
    class NoMessages(Asked):
        def should_sample(self, parent_context: Any, trace_id: int, name: str, *rest: Any) -> Any:
            self.decision = (
                Decision.DROP if name.startswith("wsframe") else Decision.RECORD_AND_SAMPLE
            )
            return super().should_sample(parent_context, trace_id, name, *rest)

    sampler = ParentBased(NoMessages(Decision.DROP))
    client = await wsframe_client(traced.app(sampler=sampler))
    await ask(client)
    await ask(client, "beside")
    assert traced.names() == []


@pytest.mark.parametrize("message_type", ["text", "beside"])
async def test_a_parent_that_is_not_sampled_is_respected(
    wsframe_client: Connector, traced: Traced, message_type: str
) -> None:
    app = traced.app(sampler=ParentBased(ALWAYS_ON))
    seen = []

    @app.handler("see")
    async def see(message: Any, connection: Any) -> Any:
        seen.append(trace.get_current_span().get_span_context())

    client = await wsframe_client(app)
    traced.clear()
    assert (await ask(client, message_type, traceparent=UNSAMPLED)).traceparent is None
    await ask(client, "see", traceparent=UNSAMPLED)
    assert traced.names() == []
    assert trace.format_trace_id(seen[0].trace_id) == TRACE  # for who is called from there
    assert not seen[0].trace_flags.sampled


async def test_a_ratio_samples_that_share(wsframe_client: Connector, traced: Traced) -> None:
    class Counting:
        """Trace ids in even steps."""

        number = 0

        def generate_trace_id(self) -> int:
            self.number += 1
            return self.number * 2**60 + 1

        def generate_span_id(self) -> int:
            self.number += 1
            return self.number

        def is_trace_id_random(self) -> bool:
            return True

    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    provider = TracerProvider(
        sampler=TraceIdRatioBased(0.5), id_generator=Counting(), shutdown_on_exit=False
    )
    provider.add_span_processor(SimpleSpanProcessor(traced.exporter))
    client = await wsframe_client(traced.app(provider=provider))
    for _ in range(64):
        await ask(client, "made_up")
    sampled = len(traced.spans("wsframe message"))
    assert 16 <= sampled <= 48
    assert {span.context.trace_id % 2**60 for span in traced.spans("wsframe message")} == {1}


@pytest.mark.parametrize("ratio", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("wrap", [lambda root: root, ParentBased])
def test_the_short_way_of_a_ratio_says_what_its_sampler_says(ratio: float, wrap: Any) -> None:
    sampler = wrap(TraceIdRatioBased(ratio))
    bound = ratio_bound(sampler)
    assert bound is not None
    ids = [number * (2**64 // 50) + 1 for number in range(50)]
    for trace_id in (*ids, *(each << 64 | each for each in ids), bound, bound - 1, 2**128 - 1):
        decision = sampler.should_sample(Context(), trace_id, "name").decision
        assert (trace_id % 2**64 < bound) is decision.is_recording()


def test_other_samplers_have_no_short_way() -> None:
    for sampler in (ALWAYS_ON, ALWAYS_OFF, ParentBased(ALWAYS_ON), Asked(Decision.DROP), None):
        assert ratio_bound(sampler) is None
