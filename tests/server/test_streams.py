"""Streamed answers: parts, then exactly one final answer."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from tests.server.harness import Server, running
from wsframe import App, HandlerError, Reply

pytestmark = pytest.mark.anyio


async def test_parts_come_in_order_and_then_an_empty_final_answer() -> None:
    app = App()

    @app.handler("count", reply_type="number")
    async def count(message: Any, connection: Any) -> Any:
        for number in range(message.content):
            yield {"n": number}

    async with running(app) as server:
        client = server.connect()
        answer = await client.ask("count", 3, id="x")
        assert client.parts("x") == [{"n": 0}, {"n": 1}, {"n": 2}]
        assert [each["type"] for each in client.received] == ["number"] * 4
        assert answer["content"] == {}
        assert client.received[-1] is answer
        assert client.count == client.connection.session.outbox.count == 4
        answer = await client.ask("count", 0, id="none")
        assert (answer["type"], answer["content"]) == ("number", {})
        assert server.metrics["messages"]["parts"] == 3


async def test_a_reply_as_the_last_thing_is_the_final_answer() -> None:
    app = App()

    @app.handler("ask")
    async def ask(message: Any, connection: Any) -> Any:
        yield "a"
        yield Reply({"done": True}, type="whole")

    async with running(app) as server:
        client = server.connect()
        answer = await client.ask("ask", id="x")
        assert (answer["type"], answer["content"]) == ("whole", {"done": True})
        assert client.parts("x") == ["a"]


@pytest.mark.parametrize("more", ["part", "reply"])
async def test_yielding_after_the_reply_is_a_mistake_of_the_handler(more: str) -> None:
    app = App()
    closed = []

    @app.handler("ask")
    async def ask(message: Any, connection: Any) -> Any:
        try:
            yield Reply({"done": True})
            yield "more" if more == "part" else Reply({})
        finally:
            closed.append(True)

    async with running(app) as server:
        client = server.connect()
        assert await client.error("ask") == "handler_failed"
        assert len(client.received) == 1
        assert closed == [True]


async def test_a_stream_that_fails_ends_with_the_error_after_its_parts() -> None:
    app = App()

    @app.handler("ask", retries=3)
    async def ask(message: Any, connection: Any) -> Any:
        yield 1
        raise HandlerError("app.broken", retryable=True)

    async with running(app) as server:
        client = server.connect()
        assert await client.error("ask", id="x") == "app.broken"
        assert client.parts("x") == [1]  # not repeated: parts were sent


@pytest.mark.parametrize("content", [object(), "x" * 3_000])
async def test_a_part_that_cannot_be_sent_ends_the_stream_with_an_error(content: Any) -> None:
    app = App(outbox_bytes=2_000)
    closed = []

    @app.handler("ask")
    async def ask(message: Any, connection: Any) -> Any:
        try:
            yield "first"
            yield content
            yield "never"
        finally:
            closed.append(True)

    async with running(app) as server:
        client = server.connect()
        expected = "message_too_big" if isinstance(content, str) else "handler_failed"
        assert await client.error("ask", id="x") == expected
        assert client.parts("x") == ["first"]
        assert closed == [True]


async def test_a_stream_waits_while_the_client_does_not_read() -> None:
    app = App()
    produced = []

    @app.handler("ask", timeout_s=None)
    async def ask(message: Any, connection: Any) -> Any:
        for number in range(100):
            produced.append(number)
            yield number

    async with running(app) as server:
        client = server.connect()
        client.stop_reading()
        client.send("ask", id="x")
        await server.pass_time(60)
        assert len(produced) == 1
        client.read_again()
        await client.answer("x")
        assert client.parts("x") == list(range(100))


async def test_a_stream_to_a_client_that_left_is_closed() -> None:
    app = App()
    ended = []

    @app.handler("ask", timeout_s=None)
    async def ask(message: Any, connection: Any) -> Any:
        try:
            while True:
                yield "tick"
                await anyio.sleep(1)
        finally:
            ended.append(True)

    async with running(app) as server:
        client = server.connect()
        client.send("ask", id="x")
        await server.pass_time(3.5)
        assert len(client.parts("x")) == 4
        await client.leave()
        assert ended == [True]
        assert server.metrics["messages"]["outcomes"]["cancelled"] == 1
        assert server.busy == 0


async def test_an_endless_stream_that_never_waits_does_not_hold_up_the_others() -> None:
    app = App()
    server: Server

    @app.handler("endless", concurrent=True, timeout_s=None)
    async def endless(message: Any, connection: Any) -> Any:
        while True:
            yield "more"

    @app.handler("echo")
    async def echo(message: Any, connection: Any) -> Any:
        return message.content

    async with running(app) as server:
        client, other = server.connect(), server.connect()
        client.send("endless", id="x")
        other.send("echo", "Hi", id="y")
        for _ in range(50):  # no time passes while something is always ready to run
            await anyio.lowlevel.checkpoint()
        assert other.finals("y")
        client.send("cancel", {"id": "x"})
        await client.answer("x")
        await server.quiet()
        assert client.finals("x")[0]["content"]["code"] == "cancelled"
