"""The opening of a connection has a time limit, and who may not open is not served."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from tests.server.harness import running
from wsframe import App, Refused, hookimpl

pytestmark = pytest.mark.anyio

LIMIT_S = 10.0


class Slow:
    """A plugin that takes its time."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    @hookimpl
    async def connection_opened(self, connection: Any) -> None:
        await anyio.sleep(self.seconds)


@pytest.fixture
def handled() -> list[str]:
    return []


def chat(handled: list[str], *plugins: object) -> App:
    app = App(plugins=plugins, handshake_timeout_s=LIMIT_S)

    @app.handler("echo")
    async def echo(message: Any, connection: Any) -> Any:
        handled.append(message.id)
        return message.content

    return app


async def test_an_opening_may_take_its_time(handled: list[str]) -> None:
    async with running(chat(handled, Slow(LIMIT_S - 1))) as server:
        client = server.connect()
        client.send("echo", id="x")
        await server.pass_time(LIMIT_S - 2)
        assert handled == []
        await client.answer("x")
        assert client.closed is None


async def test_a_plugin_that_hangs_costs_its_connections_alone(
    handled: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    app = chat(handled, Slow(float("inf")))
    async with running(app) as server:
        client = server.connect()
        client.send("echo", id="x")
        await server.pass_time(LIMIT_S - 0.1)
        assert client.closed is None
        await server.pass_time(1)
        assert client.closed == (1013, "try again later")
        assert handled == []
        assert server.busy == 0
        assert server.runtime.in_flight == 0
    assert "after handshake_timeout_s (10 s), plugin 'slow' in connection_opened still waits" in (
        caplog.text
    )


async def test_middleware_that_hangs_is_stopped(
    handled: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    app = chat(handled)
    stopped = []

    async def middleware(connection: Any, call_next: Any) -> None:
        await call_next(connection)
        try:
            await anyio.sleep_forever()
        finally:
            stopped.append(connection.id)

    app.use(middleware, kind="connection")
    async with running(app) as server:
        client = server.connect()
        await server.pass_time(LIMIT_S + 1)
        assert client.close_code == 1013
        assert stopped == [client.connection.id]
    assert "a connection middleware still waits" in caplog.text


async def test_a_listener_that_hangs_is_stopped(
    handled: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    app = chat(handled)

    @app.on("connection:added")
    async def hang(connection: Any) -> None:
        await anyio.sleep_forever()

    async with running(app) as server:
        client = server.connect()
        await server.pass_time(LIMIT_S + 1)
        assert client.close_code == 1013
    assert "a listener of 'connection:added' still waits" in caplog.text


async def test_what_a_refused_connection_has_sent_is_not_handled(handled: list[str]) -> None:
    app = chat(handled)

    async def middleware(connection: Any, call_next: Any) -> None:
        await anyio.sleep(1)
        raise Refused("forbidden")

    app.use(middleware, kind="connection")
    async with running(app) as server:
        client = server.connect()
        client.link.leaves_when_told = False  # it takes its time to answer our close
        client.send("echo")
        client.send("echo")
        await server.pass_time(2)
        assert client.close_code == 4403
        assert handled == []
        assert server.runtime.in_flight == 0


async def test_middleware_may_announce_a_connection_later(handled: list[str]) -> None:
    app = chat(handled, Slow(1))
    added = []
    app.on("connection:added", added.append)

    async def middleware(connection: Any, call_next: Any) -> None:
        server.runtime.node.task_group.start_soon(call_next, connection)

    app.use(middleware, kind="connection")
    async with running(app) as server:
        client = server.connect()
        await server.pass_time(2)
        assert added == [client.connection]
