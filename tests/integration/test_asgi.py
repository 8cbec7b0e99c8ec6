"""The ASGI application against a server that does what the test says."""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from wsframe import App, StartError, hookimpl

pytestmark = pytest.mark.anyio
GUARD_S = 90.0


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Exchange:
    """One scope, its events both ways; the client answers a close, as long as ``answers``."""

    def __init__(self, app: App, **scope: Any) -> None:
        self._app = app
        self.scope = scope
        self.events: list[Any] = []
        self._in, self._out = anyio.create_memory_object_stream[Any](math.inf)
        self._changed = anyio.Event()
        self.fails = ""
        self.hangs = False
        self.answers = True
        self.ended = False

    async def run(self) -> None:
        try:
            await self._app(self.scope, self._out.receive, self._send)
        finally:
            self.ended = True
            self._changed.set()
            self._in.close()
            self._out.close()

    async def _send(self, event: Any) -> None:
        if event["type"] == self.fails:
            raise OSError("the peer is gone")
        if self.hangs:
            await anyio.sleep_forever()
        self.events.append(event)
        if event["type"] == "websocket.close" and self.answers:
            self.give("websocket.disconnect", code=event["code"])
        self._changed.set()
        self._changed = anyio.Event()
        await anyio.lowlevel.checkpoint()

    def give(self, kind: str, **event: Any) -> None:
        self._in.send_nowait({"type": kind, **event})

    async def event(self, kind: str) -> Any:
        """The next event of this type that the application sends."""
        with anyio.fail_after(GUARD_S):
            while True:
                for place, each in enumerate(self.events):
                    if each["type"] == kind:
                        del self.events[: place + 1]
                        return each
                assert not self.ended, f"it ended without {kind}"
                await self._changed.wait()

    async def over(self) -> None:
        with anyio.fail_after(GUARD_S):
            while not self.ended:
                await self._changed.wait()


def make_app(**settings: Any) -> App:
    app = App(**{"close_timeout_s": GUARD_S, "drain_timeout_s": GUARD_S, **settings})

    @app.handler("text")
    async def text(message: Any, connection: Any) -> Any:
        return message.content

    @app.http_route("/echo", methods=("POST", "GET"))
    async def echo(request: Any) -> Any:
        return {"path": request.path, "target": request.target, "body": request.body.decode()}

    return app


@asynccontextmanager
async def running(app: App) -> AsyncIterator[Any]:
    """The application, started with the lifespan protocol, and a task group for exchanges."""
    async with anyio.create_task_group() as task_group:
        lifespan = Exchange(app, type="lifespan")
        task_group.start_soon(lifespan.run)
        lifespan.give("lifespan.startup")
        await lifespan.event("lifespan.startup.complete")
        try:
            yield task_group
        finally:
            lifespan.give("lifespan.shutdown")
            await lifespan.event("lifespan.shutdown.complete")
            task_group.cancel_scope.cancel()
    assert app.runtime is None


def websocket(app: App, path: str = "/ws", **scope: Any) -> Exchange:
    defaults = {
        "headers": [(b"host", b"x")],
        "subprotocols": ["wsframe.v1.json"],
        "query_string": b"",
        "client": ("192.0.2.1", 5),
        "raw_path": None,
    }
    exchange = Exchange(app, **{**defaults, "type": "websocket", "path": path, **scope})
    exchange.give("websocket.connect")
    return exchange


def http(app: App, path: str, method: str = "GET", **scope: Any) -> Exchange:
    defaults = {"headers": [], "query_string": b"", "raw_path": path.encode(), "client": None}
    return Exchange(app, **{**defaults, "type": "http", "path": path, "method": method, **scope})


async def answered(exchange: Exchange) -> tuple[int, bytes]:
    start = await exchange.event("http.response.start")
    return start["status"], (await exchange.event("http.response.body"))["body"]


async def test_a_conversation_under_a_lifespan() -> None:
    app = make_app()
    async with running(app) as tasks:
        peer = websocket(app)
        tasks.start_soon(peer.run)
        assert (await peer.event("websocket.accept"))["subprotocol"] == "wsframe.v1.json"
        peer.give("websocket.receive", text='{"id": "1", "type": "text", "content": {"a": 1}}')
        answer = json.loads((await peer.event("websocket.send"))["text"])
        assert (answer["replyTo"], answer["content"]) == ("1", {"a": 1})
        peer.give("websocket.disconnect", code=1000, reason=None)
        await peer.over()
        assert app.metrics()["connections"]["closed"] == {1000: 1}


async def test_a_stop_drains_with_1012_where_the_server_lets_it() -> None:
    app = make_app()
    async with running(app) as tasks:
        peer = websocket(app, subprotocols=[])
        tasks.start_soon(peer.run)
        await peer.event("websocket.accept")
    system = json.loads((await peer.event("websocket.send"))["text"])
    assert system["content"]["event"] == "draining"
    assert (await peer.event("websocket.close"))["code"] == 1012
    assert peer.ended


async def test_a_start_that_fails_is_told_to_the_server() -> None:
    class Broken:
        name = "broken"

        @hookimpl
        async def started(self, app: Any) -> None:
            raise RuntimeError("no database")

    app = make_app(plugins=[Broken()])
    lifespan = Exchange(app, type="lifespan")
    lifespan.give("lifespan.startup")
    await lifespan.run()
    assert "no database" in (await lifespan.event("lifespan.startup.failed"))["message"]
    assert app.runtime is None
    with pytest.raises(StartError, match="no database"):  # nor does it start with a request
        await http(app, "/healthz").run()


async def test_an_application_starts_with_its_first_request() -> None:
    app = make_app()
    async with anyio.create_task_group() as tasks:
        exchanges = [http(app, "/echo") for _ in range(3)]
        for each in exchanges:
            each.give("http.request", body=b"")
            tasks.start_soon(each.run)
        for each in exchanges:
            assert (await answered(each))[0] == 200
    assert app.runtime is not None
    await app.stop()
    assert app.runtime is None


@pytest.mark.parametrize(
    ("path", "root", "raw", "seen", "target"),
    [
        ("/chat/echo", "/chat", b"/chat/echo", "/echo", "/chat/echo"),
        ("/echo", "", None, "/echo", "/echo"),
        ("/echo", "/ec", b"/echo", "/echo", "/echo"),
        ("/a b", "", None, None, None),
    ],
)
async def test_a_mounted_application_sees_its_own_path(
    path: str, root: str, raw: bytes | None, seen: str | None, target: str | None
) -> None:
    app = make_app()
    async with running(app) as tasks:
        exchange = http(app, path, root_path=root, raw_path=raw)
        exchange.give("http.request", body=b"")
        tasks.start_soon(exchange.run)
        status, body = await answered(exchange)
        if seen is None:
            assert status == 404
        else:
            assert json.loads(body) == {"path": seen, "target": target, "body": ""}


async def test_bodies_come_in_parts_and_are_limited() -> None:
    app = make_app()
    async with running(app) as tasks:
        whole, big, cut, head = (http(app, "/echo", "POST") for _ in range(4))
        head.scope["method"] = "HEAD"
        for each in (whole, big, cut, head):
            tasks.start_soon(each.run)
        whole.give("http.request", body=b"ab", more_body=True)
        whole.give("http.request", body=b"c")
        assert json.loads((await answered(whole))[1])["body"] == "abc"
        for _ in range(3):
            big.give("http.request", body=b"x" * 30_000, more_body=True)
        assert (await answered(big))[0] == 413
        cut.give("http.request", body=b"x", more_body=True)
        cut.give("http.disconnect")
        assert (await answered(cut))[0] == 400
        head.give("http.request")
        assert await answered(head) == (200, b"")


@pytest.mark.parametrize("extensions", [{}, {"websocket.http.response": {}}])
async def test_a_refused_upgrade_is_told_as_far_as_the_server_can(extensions: Any) -> None:
    app = make_app()
    async with running(app) as tasks:
        peer = websocket(app, "/other", extensions=extensions)
        tasks.start_soon(peer.run)
        if extensions:
            assert (await peer.event("websocket.http.response.start"))["status"] == 404
            body = (await peer.event("websocket.http.response.body"))["body"]
            assert json.loads(body)["code"] == "not_found"
        else:
            assert (await peer.event("websocket.close"))["code"] == 1008


async def test_clients_that_come_at_once_do_not_pass_the_limit_together() -> None:
    app = make_app(max_connections=1)
    async with running(app) as tasks:
        peers = [websocket(app) for _ in range(5)]
        for peer in peers:
            tasks.start_soon(peer.run)
        for peer in peers:
            with anyio.fail_after(GUARD_S):
                while not peer.events:
                    await peer._changed.wait()
        kinds = sorted(peer.events[0]["type"] for peer in peers)
        assert kinds == ["websocket.accept", *["websocket.close"] * 4]


async def test_a_client_that_left_before_it_was_accepted_leaves_nothing_behind() -> None:
    app = make_app()
    async with running(app) as tasks:
        gone, left = websocket(app), websocket(app)
        gone.fails = "websocket.accept"
        tasks.start_soon(gone.run)
        await gone.over()
        left._out.receive_nowait()
        left.give("websocket.disconnect", code=1001)
        tasks.start_soon(left.run)
        await left.over()
        assert app.health()["connections"]["active"] == 0


async def test_a_send_that_fails_ends_the_connection() -> None:
    app = make_app()
    async with running(app) as tasks:
        peer = websocket(app)
        peer.fails = "websocket.send"
        tasks.start_soon(peer.run)
        peer.give("websocket.receive", text='{"type": "text"}')
        await peer.over()
        assert app.metrics()["connections"]["closed"] == {1006: 1}


async def test_31_a_server_whose_send_hangs_costs_a_bounded_outbox_and_then_the_connection() -> (
    None
):
    app = make_app(outbox_bytes=100_000, close_timeout_s=0.05)
    async with running(app) as tasks:
        peer = websocket(app, subprotocols=[])
        tasks.start_soon(peer.run)
        await peer.event("websocket.accept")
        peer.hangs = True
        with anyio.fail_after(GUARD_S):
            while app.health()["connections"]["active"]:
                await app.broadcast({"type": "news", "content": "x" * 10_000})
                assert app.metrics().get("outboxes", {"bytes": 0})["bytes"] <= 100_000
                await anyio.sleep(0.001)
        await peer.over()
        assert app.metrics()["connections"]["closed"] == {1013: 1}


async def test_a_server_that_never_reports_the_end_of_a_close_is_not_waited_for() -> None:
    app = make_app(close_timeout_s=0.05)
    async with running(app) as tasks:
        peer = websocket(app)
        peer.answers = False
        tasks.start_soon(peer.run)
        peer.give("websocket.receive", bytes=b"{}")
        assert (await peer.event("websocket.close"))["code"] == 1003
        peer.give("websocket.receive", text='{"type": "text"}')  # too late to count
        await peer.over()
        assert app.metrics()["connections"]["closed"] == {1003: 1}


async def test_a_message_over_the_limit_is_1009_in_bytes_not_characters() -> None:
    app = make_app(max_message_bytes=100)
    async with running(app) as tasks:
        peer = websocket(app)
        tasks.start_soon(peer.run)
        peer.give("websocket.receive", text="ä" * 60)
        assert (await peer.event("websocket.close"))["code"] == 1009


async def test_a_server_that_cancels_a_connection_lets_it_say_1012() -> None:
    app = make_app()
    async with running(app) as tasks:
        peer = websocket(app)
        async with anyio.create_task_group() as connections:
            connections.start_soon(peer.run)
            await peer.event("websocket.accept")
            connections.cancel_scope.cancel()
        assert peer.events[-1] == {
            "type": "websocket.close",
            "code": 1012,
            "reason": "the server restarts",
        }
        assert app.health()["connections"]["active"] == 0
        assert tasks is not None


async def test_other_scopes_are_refused_and_other_first_events_ignored() -> None:
    app = make_app()
    with pytest.raises(ValueError, match="unknown ASGI scope type"):
        await Exchange(app, type="smtp").run()
    async with running(app) as tasks:
        peer = websocket(app)
        peer._out.receive_nowait()
        peer.give("websocket.disconnect", code=1006)
        tasks.start_soon(peer.run)
        await peer.over()
        assert peer.events == []
