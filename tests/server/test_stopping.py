"""Handlers that are out of time, cancelled, or do not stop."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import anyio
import pytest

from tests.server.harness import Client, Server, running
from wsframe import App
from wsframe.server.endings import STOP_GRACE_S

pytestmark = pytest.mark.anyio


def application(**settings: Any) -> tuple[App, list[Any]]:
    app = App(**settings)
    notes: list[Any] = []

    async def hang(message: Any, connection: Any) -> Any:
        notes.append("started")
        try:
            await anyio.sleep_forever()
        finally:
            notes.append("stopped")

    async def stubborn(message: Any, connection: Any) -> Any:
        """Ignores being stopped for as many seconds as it is told."""
        end = anyio.current_time() + message.content
        with anyio.CancelScope(shield=True):  # for trio; on asyncio the task itself is cancelled
            while (left := end - anyio.current_time()) > 0:
                with suppress(asyncio.CancelledError):
                    await anyio.sleep(left)
        notes.append("stubborn ended")
        return {"too": "late"}

    async def denial(message: Any, connection: Any) -> Any:
        """Swallows the cancellation and answers."""
        try:
            await anyio.sleep_forever()
        except BaseException:
            if connection.metadata.get("swallow") == "raise":
                raise KeyError from None
        return {"late": True}

    async def stream(message: Any, connection: Any) -> Any:
        try:
            yield 1
            await anyio.sleep_forever()
        finally:
            notes.append("stream closed")

    async def echo(message: Any, connection: Any) -> Any:
        return message.content

    app.add_handler("hang", hang)
    app.add_handler("short", hang, timeout_s=2)
    app.add_handler("unlimited", hang, timeout_s=None)
    app.add_handler("beside", hang, concurrent=True)
    app.add_handler("stubborn", stubborn, timeout_s=2)
    app.add_handler("stubborn_beside", stubborn, timeout_s=2, concurrent=True)
    app.add_handler("denial", denial, timeout_s=2)
    app.add_handler("stream", stream, timeout_s=2)
    app.add_handler("echo", echo)
    return app, notes


def assert_quiet(server: Server, client: Client) -> None:
    """Nothing runs any more, and nothing has been left behind."""
    assert server.busy == 0
    assert not server.runtime.node.waiting
    assert not client.connection.session.ledger.running
    assert not client.connection.session.serving


async def seconds_until_answered(client: Client, message_type: str, content: Any = None) -> float:
    start = anyio.current_time()
    answer = await client.ask(message_type, content)
    assert answer["content"]["code"] == "timeout"
    assert answer["content"]["retryable"] is True
    return anyio.current_time() - start


@pytest.mark.parametrize(
    ("message_type", "limit_s"), [("short", 2), ("stream", 2), ("hang", 7), ("beside", 7)]
)
async def test_out_of_time_is_answered_timeout_and_the_handler_is_stopped(
    message_type: str, limit_s: float
) -> None:
    app, notes = application(message_timeout_s=7.0)
    async with running(app) as server:
        client = server.connect()
        elapsed_s = await seconds_until_answered(client, message_type)
        assert limit_s <= elapsed_s <= limit_s + 0.5
        assert notes[-1] in ("stopped", "stream closed")
        assert (await client.ask("echo", 1))["content"] == 1
        assert_quiet(server, client)
        assert server.metrics["messages"]["outcomes"]["timed_out"] == 1
        assert server.metrics["messages"]["refused"] == {"timeout": 1}


@pytest.mark.parametrize("message_type", ["unlimited", "hang"])
async def test_without_a_limit_a_handler_may_run_for_ever(message_type: str) -> None:
    app, notes = application(message_timeout_s=None)
    async with running(app) as server:
        client = server.connect()
        client.send(message_type, id="x")
        await server.pass_time(500)
        assert notes == ["started"]
        await client.ask("cancel", {"id": "x"})
        assert_quiet(server, client)


async def test_a_timed_out_id_is_free_again() -> None:
    app, notes = application()
    async with running(app) as server:
        client = server.connect()
        await client.ask("short", id="x")
        client.send("short", id="x")
        await server.pass_time(3)
        assert len(client.finals("x")) == 2
        assert notes == ["started", "stopped"] * 2


@pytest.mark.parametrize("swallow", ["return", "raise"])
async def test_what_a_stopped_handler_says_at_the_end_does_not_count(swallow: str) -> None:
    app, _ = application()
    async with running(app) as server:
        client = server.connect()
        client.connection.metadata["swallow"] = swallow
        if server.on_asyncio:  # trio raises its cancellation again at the next checkpoint
            await seconds_until_answered(client, "denial")
        else:
            await client.ask("denial")
        assert client.received[-1]["content"]["code"] == "timeout"
        assert server.metrics["handlers"]["errors"] == 0
        assert_quiet(server, client)


@pytest.mark.parametrize("message_type", ["stubborn", "stubborn_beside"])
async def test_a_handler_that_does_not_stop_is_answered_without_it(message_type: str) -> None:
    app, notes = application()
    async with running(app) as server:
        client = server.connect()
        client.send(message_type, 60, id="x")
        client.send("echo", "next", id="y")
        elapsed_s = 2 + STOP_GRACE_S
        await client.answer("x", within_s=elapsed_s + 0.6)
        assert client.finals("x")[0]["content"]["code"] == "timeout"
        await client.answer("y", within_s=0.5)
        assert notes == []
        assert server.busy == 1
        await server.pass_time(60)
        assert notes == ["stubborn ended"]
        assert len(client.finals("x")) == 1
        assert_quiet(server, client)
        assert server.metrics["messages"]["refused"] == {"timeout": 1}
        assert (await client.ask("echo", "after"))["content"] == "after"


async def test_messages_stay_in_order_after_stubborn_handlers() -> None:
    app, _ = application()
    async with running(app) as server:
        client = server.connect()
        for message_id in ("a", "b"):
            client.send("stubborn", 30, id=message_id)
        for message_id in ("c", "d"):
            client.send("echo", id=message_id)
        await server.pass_time(50)
        assert [each["replyTo"] for each in client.received] == ["a", "b", "c", "d"]
        assert_quiet(server, client)


async def test_parts_of_a_handler_whose_message_is_answered_go_nowhere() -> None:
    app = App()

    @app.handler("ask", timeout_s=1)
    async def ask(message: Any, connection: Any) -> Any:
        with anyio.CancelScope(shield=True):
            for number in range(10):
                yield number
                await anyio.sleep(1)

    async with running(app) as server:
        client = server.connect()
        client.send("ask", id="x")
        await server.pass_time(30)
        assert client.finals("x")[0] is client.received[-1]
        assert len(client.parts("x")) < 5


async def test_a_running_message_is_cancelled() -> None:
    app, notes = application()
    async with running(app) as server:
        client = server.connect()
        client.send("hang", id="x")
        await server.quiet()
        answer = await client.ask("cancel", {"id": "x"})
        assert answer["type"] == "cancel"
        assert answer["content"] == {"cancelled": True}
        cancelled = await client.answer("x", within_s=0.1)
        assert cancelled["content"]["code"] == "cancelled"
        assert cancelled["content"]["retryable"] is False
        assert notes == ["started", "stopped"]
        assert server.metrics["messages"]["outcomes"]["cancelled"] == 1
        assert_quiet(server, client)


async def test_a_queued_message_that_is_cancelled_never_starts() -> None:
    app, notes = application()
    async with running(app) as server:
        client = server.connect()
        client.send("hang", id="x")
        client.send("hang", id="y")
        await server.quiet()
        assert (await client.ask("cancel", {"id": "y"}))["content"] == {"cancelled": True}
        assert (await client.answer("y", within_s=0.1))["content"]["code"] == "cancelled"
        await client.ask("cancel", {"id": "x"})
        assert notes == ["started", "stopped"]
        assert_quiet(server, client)


async def test_a_message_that_is_cancelled_together_with_its_arrival_never_answers_normally() -> (
    None
):
    app, _ = application()
    async with running(app) as server:
        client = server.connect()
        client.send("hang", id="x")
        client.send("echo", id="y")
        client.send("cancel", {"id": "x"})
        client.send("cancel", {"id": "y"})
        await server.quiet()
        for message_id in ("x", "y"):
            (answer,) = client.finals(message_id)
            assert answer["content"]["code"] == "cancelled"
        assert_quiet(server, client)


async def test_cancelling_a_concurrent_handler_stops_only_that_one() -> None:
    app, _ = application()
    async with running(app) as server:
        client = server.connect()
        client.send("beside", id="x")
        client.send("beside", id="y")
        await server.quiet()
        await client.ask("cancel", {"id": "x"})
        await server.pass_time(5)
        assert client.finals("x")
        assert not client.finals("y")


@pytest.mark.parametrize("content", [{"id": "unknown"}, {"id": ""}])
async def test_cancelling_what_is_not_running_says_so(content: Any) -> None:
    app, _ = application()
    async with running(app) as server:
        client = server.connect()
        assert (await client.ask("cancel", content))["content"] == {"cancelled": False}


async def test_cancelling_an_answered_message_changes_nothing() -> None:
    app, _ = application()
    async with running(app) as server:
        client = server.connect()
        await client.ask("echo", id="x")
        assert (await client.ask("cancel", {"id": "x"}))["content"] == {"cancelled": False}
        assert len(client.finals("x")) == 1


async def test_cancelling_again_is_not_cancelled_twice() -> None:
    app, _ = application()
    async with running(app) as server:
        client = server.connect()
        client.send("stubborn", 5, id="x")
        await server.quiet()
        assert (await client.ask("cancel", {"id": "x"}))["content"] == {"cancelled": True}
        assert (await client.ask("cancel", {"id": "x"}))["content"] == {"cancelled": False}
        await client.answer("x")


async def test_a_repeated_cancel_gets_its_answer_again() -> None:
    app, _ = application()
    async with running(app) as server:
        client = server.connect()
        client.send("hang", id="x")
        first = await client.ask("cancel", {"id": "x"}, id="c")
        client.send("cancel", {"id": "x"}, id="c")
        await server.quiet()
        assert client.finals("c") == [first, first]


async def test_a_cancel_without_an_id_is_answered_too() -> None:
    app, _ = application()
    async with running(app) as server:
        client = server.connect()
        client.send("hang", id="x")
        client.send("cancel", {"id": "x"}, id=None)
        await server.quiet()
        assert client.contents("cancel") == [{"cancelled": True}]
        assert client.connection.session.ledger.remembered == 1  # that of x


@pytest.mark.parametrize("content", [{}, {"id": 5}, [], "x", None])
async def test_a_cancel_that_names_nothing_is_invalid(content: Any) -> None:
    app, _ = application()
    async with running(app) as server:
        assert await server.connect().error("cancel", content) == "invalid_content"


async def test_a_cancel_with_the_id_of_the_message_it_cancels_gives_that_one_answer() -> None:
    app, _ = application()
    async with running(app) as server:
        client = server.connect()
        client.send("short", id="x")
        await server.quiet()
        client.send("cancel", {"id": "x"}, id="x")  # the id is taken: no second message of it
        await server.pass_time(5)
        (answer,) = client.finals("x")
        assert answer["content"]["code"] in ("timeout", "cancelled")
        client.send("cancel", {"id": "own"}, id="own")
        await server.quiet()
        assert client.finals("own")[0]["content"] == {"cancelled": False}


async def test_nothing_of_a_client_that_left_goes_on() -> None:
    app, notes = application()
    async with running(app) as server:
        client = server.connect()
        for message_type in ("beside", "hang", "hang", "echo"):
            client.send(message_type)
        await server.quiet()
        await client.leave()
        assert notes == ["started", "started", "stopped", "stopped"]  # the last two never ran
        assert server.busy == 0
        assert server.metrics["messages"]["outcomes"]["cancelled"] == 4
        assert server.metrics["messages"]["outcomes"]["replied"] == 0
        assert server.runtime.dispatcher.connections == {}


async def test_a_stubborn_handler_of_a_client_that_left_ends_by_itself() -> None:
    app, notes = application()
    async with running(app) as server:
        client = server.connect()
        client.send("stubborn", 30, id="x")
        await server.quiet()
        await client.leave()
        await server.pass_time(5)
        assert not client.connection.session.ledger.running
        await server.pass_time(30)
        assert notes == ["stubborn ended"]
        assert server.busy == 0


async def test_stopping_the_node_ends_everything_that_runs() -> None:
    app, notes = application()
    async with running(app) as server:
        client = server.connect()
        for message_type in ("beside", "hang"):
            client.send(message_type)
        await server.quiet()
    assert notes == ["started", "started", "stopped", "stopped"]


async def test_a_handler_may_be_stopped_while_it_awaits_a_future_of_asyncio() -> None:
    app = App()

    @app.handler("future", timeout_s=1)
    async def future(message: Any, connection: Any) -> Any:
        await asyncio.get_running_loop().create_future()

    async with running(app) as server:
        if server.on_asyncio:
            assert await server.connect().error("future") == "timeout"
