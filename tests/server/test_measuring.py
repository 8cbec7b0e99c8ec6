"""Meters: plain functions that are told what happened and how long it took."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from wsframe import (
    App,
    ConfigError,
    HandlerError,
    Outcome,
    RequestRefused,
    StoreError,
    hookimpl,
)
from wsframe.hooks.timing import TIMED_OF
from wsframe.stores import MemoryStore
from wsframe.testing import RequestError

pytestmark = pytest.mark.filterwarnings("default")


def make(*plugins: type, **settings: Any) -> App:
    """An application with these plugins, whatever else is installed."""
    names = tuple(each.__name__.lower() for each in plugins)
    app = App(plugins=plugins, **{"plugins.only": names, **settings})

    @app.handler("slow")
    async def slow(message: Any, connection: Any) -> None:
        await anyio.sleep(message.content["seconds"])

    @app.handler("fail")
    async def fail(message: Any, connection: Any) -> None:
        raise HandlerError("app.wrong", "It is wrong.")

    return app


@pytest.fixture
def app() -> App:
    return make()


async def test_a_message_is_measured_once_when_it_is_answered(
    app: App, wsframe_client: Any
) -> None:
    measured: list[Any] = []
    app.measure("message", lambda *what: measured.append(what))
    client = await wsframe_client(app, init=False)
    await client.request("slow", {"seconds": 2})
    with pytest.raises(RequestError):
        await client.request("fail")
    with pytest.raises(RequestError):
        await client.request("unheard_of")
    assert measured == [
        ("slow", Outcome.REPLIED, 2.0),
        ("fail", Outcome.FAILED, 0.0),
        ("unheard_of", Outcome.FAILED, 0.0),
    ]


async def test_a_message_whose_handler_never_began_took_no_time(
    app: App, wsframe_client: Any
) -> None:
    measured: list[Any] = []
    app.measure("message", lambda *what: measured.append(what))
    client = await wsframe_client(app, init=False)
    client.send("slow", {"seconds": 2}, id="first")
    client.send("slow", {"seconds": 2}, id="second")
    client.send("cancel", {"id": "second"})
    await anyio.sleep(3)
    assert measured == [("slow", Outcome.CANCELLED, None), ("slow", Outcome.REPLIED, 2.0)]


async def test_requests_are_measured_whether_they_are_answered_or_refused(
    wsframe_client: Any,
) -> None:
    measured: list[Any] = []

    class Bouncer:
        @hookimpl
        async def connection_opening(self, request: Any) -> None:
            if request.query:
                raise RequestRefused(403, "forbidden", "Not you.")

    app = make(Bouncer)
    app.measure("request", lambda request, status, _: measured.append((request.path, status)))
    await wsframe_client(app)
    with pytest.raises(RequestRefused):
        await wsframe_client(app, path="/ws?no")
    assert measured == [("/ws", 101), ("/ws", 403)]


async def test_a_failing_meter_hurts_nobody(
    app: App, wsframe_client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*what: Any) -> None:
        raise SystemExit

    measured: list[str] = []
    app.measure("message", fails)
    app.measure("message", lambda type, *_: measured.append(type))
    client = await wsframe_client(app, init=False)
    await client.request("slow", {"seconds": 0})
    assert measured == ["slow"]
    assert "a meter of kind 'message' failed" in caplog.text


async def test_hooks_are_timed_those_of_every_message_now_and_then(wsframe_client: Any) -> None:
    class Patient:
        @hookimpl
        def setup(self, app: App) -> None:
            app.measure("hook", lambda *what: measured.append(what[:2]))

        @hookimpl
        async def connection_opened(self, connection: Any) -> None:
            pass

        @hookimpl
        async def message_received(self, message: Any) -> None:
            pass

    measured: list[Any] = []
    app = make(Patient)
    client = await wsframe_client(app, init=False)
    for _ in range(TIMED_OF + 1):
        await client.request("slow", {"seconds": 0})
    patient = [each for each in measured if each[0] == "patient"]
    assert patient == [
        ("patient", "connection_opened"),
        ("patient", "message_received"),
        ("patient", "message_received"),
    ]


async def test_what_a_plugin_measures_ends_with_the_application(wsframe_client: Any) -> None:
    class Measuring:
        @hookimpl
        def setup(self, app: App) -> None:
            app.measure("message", lambda *_: measured.append(1))

    measured: list[int] = []
    app = make(Measuring)
    for _ in range(2):
        client = await wsframe_client(app, init=False)
        await client.request("slow", {"seconds": 0})
        await client.close()
        await wsframe_client.stop(app)
    assert measured == [1, 1]


async def test_a_plugin_enabled_at_run_time_measures(wsframe_client: Any) -> None:
    class Late:
        @hookimpl
        def setup(self, app: App) -> None:
            app.measure("message", lambda *_: measured.append(1))

    measured: list[int] = []
    app = make(Late, **{"plugins.only": ()})
    client = await wsframe_client(app, init=False)
    await client.request("slow", {"seconds": 0})
    await app.enable_plugin("late")
    await client.request("slow", {"seconds": 0})
    assert measured == [1]
    with pytest.raises(RuntimeError, match="runs already"):
        app.measure("message", print)


class Store(MemoryStore):
    """Fails once, then takes two seconds."""

    failed = False

    def __init__(self) -> None:
        super().__init__(survives=True)

    async def commit(self, changes: Any) -> Any:
        if not self.failed:
            self.failed = True
            raise StoreError("the disk is full")
        await anyio.sleep(2)
        return await super().commit(changes)


async def test_what_the_store_does_is_measured_and_counted(wsframe_client: Any) -> None:
    class Stored:
        @hookimpl
        def make_store(self, url: str) -> Any:
            return Store() if url == "slow:" else None

    measured: list[Any] = []
    app = make(Stored, store="slow:")
    app.measure("store", lambda *what: measured.append(what))
    assert await wsframe_client(app)
    await anyio.sleep(0.01)
    assert app.metrics()["store"] == {"healthy": False, "waiting": 1, "failures": 1}
    await anyio.sleep(10)
    assert app.metrics()["store"] == {"healthy": True, "waiting": 0, "failures": 1}
    assert measured == [("commit", 2.0)]


async def test_what_waits_and_what_was_carried_is_counted(app: App, wsframe_client: Any) -> None:
    client = await wsframe_client(app, init=False)
    client.send("slow", {"seconds": 2})
    client.send("slow", {"seconds": 2})
    await anyio.sleep(1)
    metrics = app.metrics()
    assert metrics["messages"]["queued"] == 1
    assert metrics["traffic"]["bytes_received"] > 100
    assert metrics["traffic"]["bytes_sent"] > 100
    assert metrics["outboxes"]["unwritten"] == metrics["outboxes"]["crowded"] == 0


def test_the_types_with_a_handler_are_known(app: App) -> None:
    assert app.handles("slow")
    assert app.handles("ping")
    assert not app.handles("unheard_of")


def test_there_are_meters_of_four_kinds(app: App) -> None:
    with pytest.raises(ConfigError, match="no meter of kind 'messages'") as refused:
        app.measure("messages", print)
    assert "'message'" in str(refused.value.hint)


async def test_requests_under_an_asgi_server_are_measured(app: App) -> None:
    measured: list[Any] = []
    app.measure("request", lambda request, status, _: measured.append((request.path, status)))

    async def call(kind: str, path: str, *events: str) -> None:
        waiting = [{"type": each} for each in events]

        async def receive() -> Any:
            return waiting.pop(0)

        async def send(event: Any) -> None:
            pass

        scope = {"type": kind, "method": "GET", "path": path, "headers": [(b"host", b"a")]}
        await app(scope, receive, send)

    async with app.lifespan():
        await call("http", "/healthz", "http.request")
        await call("websocket", "/elsewhere", "websocket.connect")
        await call("websocket", "/ws", "websocket.connect", "websocket.disconnect")
    assert measured == [("/healthz", 200), ("/elsewhere", 404), ("/ws", 101)]
