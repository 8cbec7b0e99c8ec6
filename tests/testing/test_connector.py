"""Starting and stopping applications in memory."""

from __future__ import annotations

import pytest

from wsframe import App, ConnectionClosed, PluginError, RequestRefused, hookimpl
from wsframe.testing import Connector, RequestError


async def test_several_clients_share_one_running_application(
    wsframe_client: Connector, app: App
) -> None:
    first, second = await wsframe_client(app), await wsframe_client(app, subprotocol="msgpack")
    assert app.metrics()["connections"]["active"] == 2
    await app.broadcast({"type": "news", "content": "for all"})
    assert (await first.receive()).content == (await second.receive()).content == "for all"


async def test_several_applications_run_side_by_side(wsframe_client: Connector, app: App) -> None:
    other = App()
    client, stranger = await wsframe_client(app), await wsframe_client(other)
    await client.request("text", {"text": ""})
    with pytest.raises(RequestError) as raised:
        await stranger.request("text", {"text": ""})
    assert raised.value.code == "unknown_type"


async def test_stopping_drains_as_the_server_does(wsframe_client: Connector, app: App) -> None:
    client = await wsframe_client(app)
    client.send("endless")
    await client.advance()
    await wsframe_client.stop(app)
    assert (await client.receive()).content["event"] == "draining"
    assert client.closed == (1012, "the server restarts")
    assert app.runtime is None


async def test_a_stopped_application_is_started_again_for_the_next_client(
    wsframe_client: Connector, app: App
) -> None:
    first = await wsframe_client(app)
    await wsframe_client.stop(app)
    second = await wsframe_client(app)
    assert (await second.request("text", {"text": "Hi"})).content == {"text": "Echo: Hi"}
    with pytest.raises(ConnectionClosed):
        first.send("text")


async def test_an_application_that_runs_already_goes_on(app: App) -> None:
    running = Connector()
    await running(app)
    late = Connector()
    client = await late(app)
    await client.request("text", {"text": "Hi"})
    await late.aclose()
    assert app.runtime is not None
    assert client.closed is not None
    await running.aclose()
    assert app.runtime is None


async def test_a_plugin_that_cannot_start_is_reported(wsframe_client: Connector) -> None:
    class Broken:
        @hookimpl
        async def started(self, app: App) -> None:
            raise RuntimeError("no database")

    app = App(plugins=[Broken()])
    with pytest.raises(PluginError, match="no database"):
        await wsframe_client(app)
    assert app.runtime is None


async def test_plugins_are_started_and_stopped(app: App) -> None:
    happened: list[str] = []

    class Witness:
        @hookimpl
        async def started(self, app: App) -> None:
            happened.append("started")

        @hookimpl
        async def stopping(self, app: App) -> None:
            happened.append("stopping")

    connector = Connector()
    await connector(App(plugins=[Witness()]))
    await connector.aclose()
    assert happened == ["started", "stopping"]


async def test_a_full_server_refuses_in_memory_too(wsframe_client: Connector) -> None:
    app = App(max_connections=1)
    client = await wsframe_client(app)
    with pytest.raises(RequestRefused) as raised:
        await wsframe_client(app)
    assert (raised.value.status, raised.value.retry_after_s) == (503, 5)
    await client.close()
    await wsframe_client(app)


async def test_ending_a_test_does_not_wait_for_handlers(app: App) -> None:
    connector = Connector()
    client = await connector(app)
    client.send("endless")
    client.stream("slow")
    await client.advance()
    await connector.aclose()
    assert app.runtime is None


async def test_an_application_that_fails_while_it_runs_fails_the_test(app: App) -> None:
    async def break_down() -> None:
        raise RuntimeError("out of order")

    connector = Connector()
    client = await connector(app)
    assert app.runtime is not None
    app.runtime.node.task_group.start_soon(break_down)
    await client.advance()
    with pytest.raises(ExceptionGroup) as raised:
        await connector.aclose()
    assert raised.group_contains(RuntimeError, match="out of order")
    assert app.runtime is None
