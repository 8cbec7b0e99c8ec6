"""Functions around every message, and around the opening of every connection."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from tests.server.harness import running
from wsframe import App, CloseConnection, ConfigError, HandlerError, Refused, Reply

pytestmark = pytest.mark.anyio


def chat() -> App:
    app = App()

    @app.handler("echo", reply_type="echoed")
    async def echo(message: Any, connection: Any) -> Any:
        return message.content

    @app.handler("stream")
    async def stream(message: Any, connection: Any) -> Any:
        yield 1
        yield Reply("end")

    return app


async def test_the_first_one_added_is_the_outermost() -> None:
    app = chat()
    notes = []

    def noting(name: str) -> Any:
        async def middleware(message: Any, connection: Any, call_next: Any) -> Any:
            notes.append(f"+{name}")
            result = await call_next(message, connection)
            notes.append(f"-{name}")
            return result

        return middleware

    for name in "abc":
        app.use(noting(name))
    async with running(app) as server:
        assert (await server.connect().ask("echo", 1))["content"] == 1
    assert notes == ["+a", "+b", "+c", "-c", "-b", "-a"]


async def test_it_may_change_the_message_and_the_answer() -> None:
    app = chat()

    async def middleware(message: Any, connection: Any, call_next: Any) -> Any:
        message.content = [message.content]
        return {"wrapped": await call_next(message, connection)}

    app.use(middleware)
    async with running(app) as server:
        client = server.connect()
        answer = await client.ask("echo", 1)
        assert (answer["type"], answer["content"]) == ("echoed", {"wrapped": [1]})


async def test_it_may_answer_by_itself() -> None:
    app = chat()

    async def middleware(message: Any, connection: Any, call_next: Any) -> Any:
        if message.content == "reply":
            return Reply({"cached": True}, type="cached")
        if message.content == "nothing":
            return None
        return {"cached": True}

    app.use(middleware)
    async with running(app) as server:
        client = server.connect()
        kinds = [(await client.ask("echo", each))["type"] for each in ("reply", "value", "nothing")]
        assert kinds == ["cached", "echoed", "ack"]
        assert (await client.ask("stream", "value"))["content"] == {"cached": True}
        assert (await client.ask("stream", "nothing"))["type"] == "stream"


async def test_it_stands_around_streams_too() -> None:
    app = chat()
    results = []

    async def middleware(message: Any, connection: Any, call_next: Any) -> Any:
        results.append(await call_next(message, connection))
        return results[-1]

    app.use(middleware)
    async with running(app) as server:
        client = server.connect()
        assert (await client.ask("stream", id="x"))["content"] == "end"
        assert client.parts("x") == [1]
        assert results == [Reply("end")]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (HandlerError("app.no"), "app.no"),
        (Refused("forbidden"), "forbidden"),
        (LookupError("internals"), "handler_failed"),
    ],
)
async def test_what_it_raises_is_the_answer(error: Exception, code: str) -> None:
    app = chat()

    async def middleware(message: Any, connection: Any, call_next: Any) -> Any:
        raise error

    app.use(middleware)
    async with running(app) as server:
        assert await server.connect().error("echo") == code


async def test_it_is_not_called_for_what_has_no_handler() -> None:
    app = chat()
    called = []

    async def middleware(message: Any, connection: Any, call_next: Any) -> Any:
        called.append(message.type)

    app.use(middleware)
    async with running(app) as server:
        client = server.connect()
        await client.ask("init")
        await client.ask("ping")
        assert await client.error("ecko") == "unknown_type"
        assert await client.error("join", {"room": "x"}) == "forbidden"
        assert called == []


async def test_connection_middleware_stands_around_the_opening() -> None:
    app = chat()
    notes = []

    def noting(name: str) -> Any:
        async def middleware(connection: Any, call_next: Any) -> None:
            notes.append(f"+{name}")
            await anyio.sleep(1)
            connection.metadata["user"] = "ada"
            await call_next(connection)
            notes.append(f"-{name}")

        return middleware

    app.use(noting("a"), kind="connection")
    app.use(noting("b"), kind="connection")
    app.on("connection:added", lambda connection: notes.append(connection.metadata["user"]))
    async with running(app) as server:
        client = server.connect()
        client.send("echo", id="x")  # waits until the connection is open
        await server.pass_time(1.5)
        assert client.received == []
        await client.answer("x")
    assert notes == ["+a", "+b", "ada", "-b", "-a"]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (CloseConnection(4999, "go"), 4999),
        (CloseConnection(1, "go"), 1011),
        (Refused("forbidden"), 4403),
        (Refused("rate_limited"), 1008),
        (LookupError("internals"), 1011),
        (SystemExit(), 1011),
    ],
)
async def test_connection_middleware_may_refuse(error: BaseException, code: int) -> None:
    app = chat()

    async def middleware(connection: Any, call_next: Any) -> None:
        raise error

    app.use(middleware, kind="connection")
    async with running(app) as server:
        client = server.connect()
        await server.quiet()
        assert client.close_code == code
        assert client.received == []
        assert server.busy == 0


def test_there_are_two_kinds() -> None:
    with pytest.raises(ConfigError, match="no middleware of kind 'other'"):
        App().use(lambda: None, kind="other")  # type: ignore[arg-type, call-overload]
