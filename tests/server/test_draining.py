"""Stopping in good order, and what the server says about itself meanwhile."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from tests.server.harness import JSON, running
from wsframe import App, PluginError, hookimpl
from wsframe.server import reports

pytestmark = pytest.mark.anyio


def chat(**settings: Any) -> App:
    app = App(drain_timeout_s=10.0, close_timeout_s=2.0, reconnect_after_ms=500, **settings)

    @app.handler("wait")
    async def wait(message: Any, connection: Any) -> Any:
        await anyio.sleep(message.content)
        return {}

    return app


async def test_running_handlers_finish_and_then_all_are_closed_with_1012() -> None:
    async with running(chat()) as server:
        client, idle, silent = server.connect(), server.connect(JSON), server.connect(JSON)
        await idle.ask("init")
        client.send("wait", 3, id="x")
        await server.quiet()
        start = anyio.current_time()
        async with anyio.create_task_group() as task_group:
            task_group.start_soon(server.runtime.drain)
            await server.quiet()
            assert server.app.health()["status"] == "draining"
            assert await client.error("wait", 1, id="late") == "draining"
            assert (await client.ask("ping"))["type"] == "pong"
        assert 3 <= anyio.current_time() - start < 3.5
        assert client.finals("x")[0]["type"] == "wait"
        for each in (client, idle):
            (system,) = each.contents("system")
            assert system["event"] == "draining"
            assert 500 <= system["reconnectAfterMs"] <= 1_000
        for each in (client, idle, silent):
            assert each.close_code == 1012
        assert silent.received == []
        assert server.metrics["connections"]["active"] == 0


async def test_what_is_refused_while_draining_may_be_sent_again_and_answers_are_repeated() -> None:
    async with running(chat()) as server:
        client = server.connect()
        first = await client.ask("wait", 0, id="a")
        client.send("wait", 1, id="b")
        await server.quiet()
        server.runtime.dispatcher.draining = True
        for message_id in ("a", "b", "c"):
            client.send("wait", 0, id=message_id)
        await client.answer("b")
        assert client.finals("a") == [first, first]
        (refused,) = client.finals("c")
        assert refused["content"]["retryable"] is True
        assert refused["content"]["retryAfterMs"] == 500
        assert not client.connection.session.ledger.answered("c")


async def test_an_init_that_comes_too_late_is_answered_before_anything_else() -> None:
    app = chat()
    async with running(app) as server:
        client = server.connect(JSON)
        server.runtime.dispatcher.draining = True
        await app.broadcast({"type": "news", "transient": True})
        client.send("init", id="i")
        await server.quiet()
        assert [message["type"] for message in client.received] == ["error", "news"]
        assert client.received[0]["content"]["code"] == "draining"


async def test_handlers_have_drain_timeout_s() -> None:
    async with running(chat()) as server:
        client = server.connect()
        client.send("wait", 1_000)
        await server.quiet()
        start = anyio.current_time()
        await server.runtime.drain()
        assert 10 <= anyio.current_time() - start < 11
        assert client.close_code == 1012


async def test_a_peer_that_does_not_close_is_waited_for_only_so_long() -> None:
    async with running(chat()) as server:
        client = server.connect()
        client.link.leaves_when_told = False
        start = anyio.current_time()
        await server.runtime.drain()
        assert 2 <= anyio.current_time() - start < 2.5


async def test_many_connections_are_closed_in_batches() -> None:
    async with running(chat()) as server:
        clients = [server.connect() for _ in range(250)]
        await server.runtime.drain()
        assert {each.close_code for each in clients} == {1012}


async def test_health_and_metrics_tell_the_state() -> None:
    app = chat()
    assert app.health()["status"] == "stopped"
    assert app.metrics() == {}
    async with running(app) as server:
        server.runtime.ready = False
        assert app.health()["status"] == "starting"
        server.runtime.ready = True
        server.connect()
        await server.pass_time(2)
        health = app.health()
        assert (health["status"], health["connections"]["active"]) == ("ok", 1)
        assert health["uptime_s"] == pytest.approx(2, abs=0.1)
        assert app.metrics()["handlers"]["mean_response_time_ms"] == 0.0
    assert reports.health(None)["status"] == "stopped"


async def test_a_plugin_that_cannot_start_stops_what_has_started() -> None:
    stopped = []

    class First:
        @hookimpl(tryfirst=True)
        async def started(self, app: Any) -> None:
            pass

        @hookimpl
        async def stopping(self, app: Any) -> None:
            stopped.append("first")

    class Broken:
        @hookimpl
        async def started(self, app: Any) -> None:
            raise LookupError

    app = App(plugins=[First(), Broken()])
    with pytest.raises(BaseExceptionGroup) as raised:
        async with running(app):
            pass
    assert raised.group_contains(PluginError, match="broken", depth=1)
    assert stopped == ["first"]
