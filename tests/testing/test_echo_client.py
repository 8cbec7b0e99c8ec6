"""The echo client, against the server of an independent implementation."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
import anyio.to_thread
import pytest
from anyio.abc import SocketAttribute, SocketStream
from websockets.asyncio.server import ServerConnection, serve
from wsproto.utilities import generate_accept_token

from wsframe.protocol.deflate import DeflateSettings
from wsframe.testing.echo_client import echo

Conversation = Callable[[ServerConnection], Awaitable[None]]
GUARD_S = 240.0
"""Against hanging: what is waited for comes much earlier."""


@pytest.fixture(params=["asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """The peer's server is one of asyncio's."""
    return str(request.param)


@asynccontextmanager
async def serving(conversation: Conversation) -> AsyncIterator[str]:
    async with serve(conversation, "127.0.0.1", 0, max_size=None, open_timeout=GUARD_S) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield f"ws://127.0.0.1:{port}"


@asynccontextmanager
async def answering(answer: Callable[[SocketStream], Awaitable[None]]) -> AsyncIterator[str]:
    """A TCP server that need not speak WebSocket."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as task_group:
        task_group.start_soon(listener.serve, answer)
        yield f"ws://127.0.0.1:{listener.extra(SocketAttribute.local_port)}/"
        task_group.cancel_scope.cancel()


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "wsframe.testing.echo_client", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=GUARD_S, check=False)


@pytest.mark.parametrize(
    "options", [[], ["--deflate"], ["--no-hot-path"], ["--backend", "trio", "--deflate"]]
)
async def test_it_echoes_whole_messages_until_it_is_closed(options: list[str]) -> None:
    paths: list[str] = []
    extensions: list[str | None] = []

    async def conversation(connection: ServerConnection) -> None:
        assert connection.request is not None
        paths.append(connection.request.path)
        assert connection.response is not None
        extensions.append(connection.response.headers.get("Sec-WebSocket-Extensions"))
        for message in ("é", b"\x00\xff", "x" * 300_000, ""):
            await connection.send(message)
            assert await connection.recv() == message
        await connection.send(["in ", "three ", "pieces"])
        await (await connection.ping())
        assert await connection.recv() == "in three pieces"

    async with serving(conversation) as url:
        done = await anyio.to_thread.run_sync(run, f"{url}/a?case=1", f"{url}/b", *options)
    assert (done.returncode, done.stderr) == (0, "")
    assert paths == ["/a?case=1", "/b"]
    assert all((extension is not None) == ("--deflate" in options) for extension in extensions)


async def test_the_next_url_is_visited_after_one_that_fails() -> None:
    visited: list[str] = []

    async def conversation(connection: ServerConnection) -> None:
        assert connection.request is not None
        visited.append(connection.request.path)

    async with serving(conversation) as url:
        done = await anyio.to_thread.run_sync(run, "ws://127.0.0.1:1/", f"{url}/second")
    assert done.returncode == 1
    assert done.stderr.startswith("ws://127.0.0.1:1/: ")
    assert visited == ["/second"]


async def test_a_message_right_before_the_close_frame_is_still_echoed() -> None:
    received: list[bytes] = []
    ended = anyio.Event()
    text_and_close = b"\x81\x02hi" + b"\x88\x02\x03\xe8"

    async def answer(stream: SocketStream) -> None:
        async with stream:
            head = await stream.receive()
            key = next(
                line.split(b": ")[1]
                for line in head.split(b"\r\n")
                if line.lower().startswith(b"sec-websocket-key")
            )
            await stream.send(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Accept: "
                + generate_accept_token(key)
                + b"\r\n\r\n"
                + text_and_close
            )
            try:
                while True:
                    received.append(await stream.receive())
            except anyio.EndOfStream:
                ended.set()

    async with answering(answer) as url:
        await echo(url, deflate=None, max_message_bytes=1000)
        with anyio.fail_after(GUARD_S):
            await ended.wait()
    data = b"".join(received)
    assert data[:2] == b"\x81\x82"
    mask, masked = data[2:6], data[6:8]
    assert bytes(a ^ b for a, b in zip(masked, mask[:2], strict=True)) == b"hi"
    assert data[8:10] == b"\x88\x82"


@pytest.mark.parametrize("deflate", [None, DeflateSettings(takeover=True)])
async def test_a_server_that_vanishes_ends_it_quietly(deflate: DeflateSettings | None) -> None:
    async def conversation(connection: ServerConnection) -> None:
        connection.transport.abort()

    async with serving(conversation) as url:
        await echo(url, deflate=deflate, max_message_bytes=1000)


async def test_a_server_that_hangs_up_in_the_handshake_is_an_error() -> None:
    async def hang_up(stream: SocketStream) -> None:
        async with stream:
            await stream.receive()

    async with answering(hang_up) as url:
        done = await anyio.to_thread.run_sync(run, url)
    assert done.returncode == 1
    assert "closed the connection during the handshake" in done.stderr
