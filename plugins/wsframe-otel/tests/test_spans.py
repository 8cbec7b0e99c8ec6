"""What is recorded: on asyncio and trio, into memory."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

from wsframe import Refused, hookimpl
from wsframe.testing import Connector, RequestError

from .conftest import PARENT, SAMPLED, TRACE, UNSAMPLED, Traced, ask


def hex_trace(span: Any) -> str:
    return trace.format_trace_id(span.context.trace_id)


def hex_span(span: Any) -> str:
    return trace.format_span_id(span.context.span_id)


async def test_a_message_has_spans_for_itself_its_handler_and_its_answer(
    wsframe_client: Connector, traced: Traced, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    client = await wsframe_client(traced.app())
    assert "messages are traced" in caplog.text
    await ask(client, id="m1")
    message = traced.one("wsframe message text")
    handler = traced.one("wsframe handler text")
    inner = traced.one("look up")
    send = traced.one("wsframe send text")
    handshake = traced.one("wsframe handshake")
    assert message.parent is None
    assert handler.parent.span_id == send.parent.span_id == message.context.span_id
    assert inner.parent.span_id == handler.context.span_id
    assert {hex_trace(each) for each in (message, handler, inner, send)} == {hex_trace(message)}
    assert hex_trace(handshake) != hex_trace(message)
    assert [link.context.span_id for link in message.links] == [handshake.context.span_id]
    assert (message.kind, send.kind) == (SpanKind.SERVER, SpanKind.PRODUCER)
    assert dict(message.attributes) == {
        "wsframe.message.type": "text",
        "wsframe.message.id": "m1",
        "wsframe.session.id": client.session_id,
        "wsframe.connection.id": handshake.attributes["wsframe.connection.id"],
        "wsframe.outcome": "replied",
    }
    assert message.status.status_code is StatusCode.UNSET
    assert handshake.start_time <= handshake.end_time <= message.start_time
    assert message.start_time <= handler.start_time <= handler.end_time <= message.end_time


async def test_the_answer_names_its_trace_and_no_number_more(
    wsframe_client: Connector, traced: Traced
) -> None:
    client = await wsframe_client(traced.app())
    answer = await ask(client)
    send = traced.one("wsframe send text")
    assert answer.traceparent == f"00-{hex_trace(send)}-{hex_span(send)}-{flags(send)}"
    assert answer.tracestate is None


def flags(span: Any) -> str:
    return f"{span.context.trace_flags:02x}"


async def test_the_trace_of_a_client_goes_on(wsframe_client: Connector, traced: Traced) -> None:
    client = await wsframe_client(traced.app(), headers=[("traceparent", SAMPLED)])
    answer = await ask(client, traceparent=SAMPLED, tracestate="vendor=1")
    message, handshake = traced.one("wsframe message text"), traced.one("wsframe handshake")
    for span in (message, handshake):
        assert hex_trace(span) == TRACE
        assert trace.format_span_id(span.parent.span_id) == PARENT
        assert span.parent.is_remote
    assert message.context.trace_state.get("vendor") == "1"
    assert answer.traceparent.startswith(f"00-{TRACE}-")
    assert answer.tracestate == "vendor=1"


@pytest.mark.parametrize("traceparent", ["", "junk", SAMPLED[:-1], "x" * 600, "00-0-0-01"])
async def test_a_malformed_trace_is_ignored(
    wsframe_client: Connector, traced: Traced, traceparent: str
) -> None:
    client = await wsframe_client(traced.app())
    await ask(client, traceparent=traceparent, tracestate="=,=" * 300)
    assert traced.one("wsframe message text").parent is None


async def test_a_clients_trace_may_be_linked_or_ignored(
    wsframe_client: Connector, traced: Traced
) -> None:
    client = await wsframe_client(traced.app(incoming="link"))
    await ask(client, traceparent=SAMPLED)
    message = traced.one("wsframe message text")
    assert message.parent is None
    assert TRACE in [trace.format_trace_id(link.context.trace_id) for link in message.links]
    traced.clear()
    client = await wsframe_client(traced.app(incoming="ignore"))
    await ask(client, traceparent=SAMPLED)
    message = traced.one("wsframe message text")
    assert message.parent is None
    assert len(message.links) == 1


async def test_a_concurrent_handler_is_in_its_messages_trace(
    wsframe_client: Connector, traced: Traced
) -> None:
    client = await wsframe_client(traced.app())
    await ask(client, "beside")
    message, handler = traced.one("wsframe message beside"), traced.one("wsframe handler beside")
    assert handler.parent.span_id == message.context.span_id
    assert traced.one("look up").parent.span_id == handler.context.span_id
    assert traced.one("wsframe send beside").parent.span_id == message.context.span_id


async def test_parts_and_pushed_messages_are_below_the_handler(
    wsframe_client: Connector, traced: Traced
) -> None:
    client = await wsframe_client(traced.app())
    await ask(client, "stream")
    handler, message = traced.one("wsframe handler stream"), traced.one("wsframe message stream")
    parents = [span.parent.span_id for span in traced.spans("wsframe send stream")]
    assert parents == [handler.context.span_id] * 2 + [message.context.span_id]
    await ask(client, "say")
    assert (
        traced.one("wsframe send said").parent.span_id
        == traced.one("wsframe handler say").context.span_id
    )


async def test_a_broadcast_is_one_span(wsframe_client: Connector, traced: Traced) -> None:
    app = traced.app()

    @app.handler("shout")
    async def shout(message: Any, connection: Any) -> Any:
        await app.broadcast({"type": "shouted"})

    client, other = await wsframe_client(app), await wsframe_client(app)
    await ask(client, "shout")
    span = traced.one("wsframe send shouted")
    pushed = await other.receive()
    assert pushed.traceparent == f"00-{hex_trace(span)}-{hex_span(span)}-{flags(span)}"


async def test_messages_need_not_name_their_trace(
    wsframe_client: Connector, traced: Traced
) -> None:
    client = await wsframe_client(traced.app(outgoing=False))
    assert (await ask(client)).traceparent is None
    assert traced.spans("wsframe send text")


@pytest.mark.parametrize(
    ("message_type", "error_type", "handler_status"),
    [("refuse", "shop.sold_out", StatusCode.UNSET), ("break", "ValueError", StatusCode.ERROR)],
)
async def test_a_failure_is_named_by_its_code_or_class(
    message_type: str, error_type: str, handler_status: StatusCode,
    wsframe_client: Connector, traced: Traced,
) -> None:  # fmt: skip
    client = await wsframe_client(traced.app())
    await ask(client, message_type)
    handler = traced.one(f"wsframe handler {message_type}")
    assert handler.attributes["error.type"] == error_type
    assert handler.status.status_code is handler_status
    message = traced.one(f"wsframe message {message_type}")
    assert message.attributes["wsframe.outcome"] == "failed"
    assert message.status.status_code is StatusCode.ERROR
    assert "secret" not in "".join(span.to_json() for span in traced.spans())


async def test_each_try_of_a_handler_has_a_span(wsframe_client: Connector, traced: Traced) -> None:
    app = traced.app()
    tries = []

    @app.handler("flaky", retries=1)
    async def flaky(message: Any, connection: Any) -> Any:
        tries.append(1)
        if len(tries) == 1:
            raise Refused("unavailable")

    await ask(await wsframe_client(app), "flaky")
    first, second = traced.spans("wsframe handler flaky")
    assert first.attributes["error.type"] == "unavailable"
    assert "error.type" not in second.attributes
    assert traced.one("wsframe message flaky").attributes["wsframe.outcome"] == "replied"


async def test_a_message_that_is_cancelled_or_out_of_time_is_ended(
    wsframe_client: Connector, traced: Traced
) -> None:
    app = traced.app()

    @app.handler("sleep", timeout_s=1)
    async def sleep(message: Any, connection: Any) -> Any:
        await anyio.sleep(10)

    client = await wsframe_client(app)
    await ask(client, "sleep")
    sent = client.send("sleep")
    await anyio.sleep(0.1)
    await client.request("cancel", {"id": sent})
    await anyio.sleep(2)
    outcomes = [
        each.attributes["wsframe.outcome"] for each in traced.spans("wsframe message sleep")
    ]
    assert outcomes == ["timed_out", "cancelled"]
    assert len(traced.spans("wsframe handler sleep")) == 2
    assert not traced.plugin._messages


async def test_types_that_clients_make_up_name_no_span(
    wsframe_client: Connector, traced: Traced
) -> None:
    client = await wsframe_client(traced.app())
    for number in range(3):
        await ask(client, f"made_up_{number}")
    assert traced.names() == ["wsframe handshake"] + ["wsframe message"] * 3


async def test_a_resumed_session_gets_its_answers_with_the_traces_they_had(
    wsframe_client: Connector, traced: Traced
) -> None:
    app = traced.app()
    client = await wsframe_client(app)
    first = await ask(client, id="m1", traceparent=SAMPLED)
    client.send("text", id="m1", traceparent=UNSAMPLED.replace("4bf9", "5bf9"))
    repeated = await client.receive()
    assert (repeated.id, repeated.traceparent) == (first.id, first.traceparent)
    again = await wsframe_client(
        app,
        init_content={
            "resume": {"sessionId": client.session_id, "secret": client.secret, "seq": 0}
        },
    )
    replayed = await again.receive()
    assert (replayed.id, replayed.traceparent) == (first.id, first.traceparent)
    assert len(traced.spans("wsframe message text")) == 1


# What must not be in a span


async def test_no_token_and_no_content_is_in_any_span(
    wsframe_client: Connector, traced: Traced
) -> None:
    app = traced.app()
    client = await wsframe_client(
        app,
        token="secret-token",
        headers=[("authorization", "Bearer secret-header"), ("cookie", "a=secret-cookie")],
        path="/ws?token=secret-query",
        init_content={"token": "secret-init"},
    )
    for message_type in ("text", "beside", "stream", "say", "refuse", "break", "made_up"):
        client.send(message_type, {"password": "secret content"})
    await anyio.sleep(1)
    shown = "".join(span.to_json() for span in traced.spans())
    assert shown.count("wsframe message") == 7
    assert "secret" not in shown


# Bounds


async def test_spans_that_nobody_ends_are_bounded_and_ended(
    wsframe_client: Connector, traced: Traced, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wsframe_otel import plugin

    monkeypatch.setattr(plugin, "MAX_OPEN", 3)
    app = traced.app()

    @app.handler("wait", concurrent=True)
    async def wait(message: Any, connection: Any) -> Any:
        await anyio.sleep(100)

    client = await wsframe_client(app)
    for _ in range(5):
        client.send("wait")
    await anyio.sleep(1)
    assert len(traced.plugin._messages) == 3
    await wsframe_client.stop(app)
    assert len([name for name in traced.names() if name.startswith("wsframe message")]) == 5
    assert not traced.plugin._messages


async def test_refused_handshakes_leave_nothing_behind(
    wsframe_client: Connector, traced: Traced, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wsframe_otel import plugin

    from wsframe import RequestRefused

    class Closed:
        @hookimpl
        async def connection_opening(self, request: Any) -> None:
            raise Refused("forbidden")

    monkeypatch.setattr(plugin, "MAX_OPEN", 3)
    app = traced.app(Closed(), settings={"plugins.only": ["otel", "closed"]})
    for _ in range(6):
        with pytest.raises(RequestRefused):
            await wsframe_client(app)
    assert len(traced.plugin._handshakes) <= 3
    assert traced.spans() == []


async def test_an_error_answer_is_not_told_apart_by_its_trace(
    wsframe_client: Connector, traced: Traced
) -> None:
    client = await wsframe_client(traced.app())
    with pytest.raises(RequestError):
        await client.request("refuse")
    assert traced.spans("wsframe send error") == []
