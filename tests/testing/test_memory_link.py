"""The stream in memory, from its client's end: the server cannot tell it from a socket."""

from __future__ import annotations

import anyio
import pytest

from wsframe import App, ProtocolError, Request, RequestRefused, hookimpl
from wsframe.testing import Connector, TestClient
from wsframe.testing.memory import MemoryLink

HEAD = b"GET /healthz HTTP/1.1\r\nHost: testserver\r\n"


class Peer:
    """Keeps what comes."""

    def __init__(self) -> None:
        self.data = b""
        self.ended = False
        self.lost = False

    def data_received(self, data: bytes) -> None:
        self.data += data

    def input_ended(self) -> None:
        self.ended = True

    def stream_lost(self) -> None:
        self.lost = True


def attach(app: App) -> tuple[MemoryLink, Peer]:
    assert app.runtime is not None
    peer = Peer()
    return MemoryLink(app.runtime.node, peer, address="192.0.2.1"), peer


async def test_plain_http_works_with_keep_alive(wsframe_client: Connector, app: App) -> None:
    client = await wsframe_client(app)
    link, peer = attach(app)
    for _ in range(2):
        link.send(HEAD + b"\r\n")
        await client.advance()
    assert peer.data.count(b"HTTP/1.1 200") == 2
    link.send_eof()
    await client.advance()
    assert peer.lost


async def test_a_malformed_head_is_refused_and_the_stream_ended(
    wsframe_client: Connector, app: App
) -> None:
    client = await wsframe_client(app)
    link, peer = attach(app)
    link.send(b"NO HTTP\r\n\r\n")
    await client.advance()
    assert peer.data.startswith(b"HTTP/1.1 400")
    assert peer.ended
    assert not peer.lost
    await client.advance(app.config.close_timeout_s + 2)
    assert peer.lost


async def test_a_head_that_never_ends_is_timed_out(wsframe_client: Connector, app: App) -> None:
    client = await wsframe_client(app)
    link, peer = attach(app)
    link.send(HEAD)
    await client.advance(app.config.handshake_timeout_s + 2)
    assert peer.data.startswith(b"HTTP/1.1 408")


async def test_a_client_that_never_asks_is_dropped(wsframe_client: Connector, app: App) -> None:
    client = await wsframe_client(app)
    _, peer = attach(app)
    await client.advance(app.config.handshake_timeout_s + 2)
    assert peer.lost


async def test_a_stream_lost_in_the_handshake_is_an_error(wsframe_client: Connector) -> None:
    class Undecided:
        @hookimpl
        async def connection_opening(self, request: Request) -> None:
            if request.query == "undecided":
                await anyio.sleep_forever()

    app = App(plugins=[Undecided()])
    await wsframe_client(app)
    undecided = TestClient()

    async def connect() -> None:
        with pytest.raises(ProtocolError, match="closed the connection during the handshake"):
            await undecided.connect(app, path="/ws?undecided")

    async with anyio.create_task_group() as task_group:
        task_group.start_soon(connect)
        await anyio.sleep(1)
        await undecided.drop()


async def test_a_server_that_hangs_up_in_the_handshake_is_an_error(
    wsframe_client: Connector,
) -> None:
    app = App()

    @app.http_route("/ws/else")
    async def answer(request: Request) -> str:
        for link in app.runtime.node.links:  # type: ignore[union-attr]
            link.close()
        return "too late"

    await wsframe_client(app)
    with pytest.raises(ProtocolError, match="closed the connection during the handshake"):
        await wsframe_client(app, path="/ws/else")


async def test_a_refusal_carries_what_the_server_says(wsframe_client: Connector) -> None:
    with pytest.raises(RequestRefused) as raised:
        await wsframe_client(App(), path="/nowhere")
    assert (raised.value.status, raised.value.code) == (404, "not_found")
