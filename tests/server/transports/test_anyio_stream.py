"""The anyio transport on streams and listeners that fail as real ones do."""

from __future__ import annotations

import errno
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
import sniffio

from tests.conformance.peer import TEXT, frame, request
from wsframe import Config
from wsframe.server.node import Node
from wsframe.server.transports import anyio_stream
from wsframe.server.transports.anyio_stream import AnyioLink, AnyioListener
from wsframe.testing.echo import Echo

pytestmark = pytest.mark.anyio
GUARD_S = 90.0


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@asynccontextmanager
async def running_node(endpoint: Any = None, **settings: Any) -> AsyncIterator[Node]:
    node = Node(Config(**settings), endpoint or Echo(None))
    async with anyio.create_task_group() as task_group:
        await task_group.start(node.run)
        yield node
        node.stop()


class FakeStream(anyio.abc.ByteStream):
    """Gives what it is told to; sends fail or hang as it is told to."""

    def __init__(self, *chunks: bytes | Exception) -> None:
        self._chunks = list(chunks)
        self.sent: list[bytes] = []
        self.send_error: Exception | None = None
        self.may_send = anyio.Event()
        self.may_send.set()
        self.closed = False
        self.sending_cut = False

    async def receive(self, max_bytes: int = 65_536) -> bytes:
        await anyio.lowlevel.checkpoint()
        if not self._chunks:
            await anyio.sleep_forever()
        chunk = self._chunks.pop(0)
        if isinstance(chunk, Exception):
            raise chunk
        return chunk

    async def send(self, item: bytes) -> None:
        if self.send_error is not None:
            raise self.send_error
        try:
            await self.may_send.wait()
        except BaseException:
            self.sending_cut = True
            raise
        self.sent.append(item)

    async def send_eof(self) -> None:
        await anyio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        self.closed = True


UPGRADE = request(start="GET / HTTP/1.1")


@pytest.mark.parametrize(
    "error", [anyio.BrokenResourceError(), anyio.ClosedResourceError(), OSError(errno.ECONNRESET)]
)
@pytest.mark.parametrize("side", ["receive", "send"])
async def test_a_stream_that_breaks_ends_its_link_and_nothing_else(
    error: Exception, side: str
) -> None:
    async with running_node() as node:
        stream = FakeStream(UPGRADE, *([error] if side == "receive" else []))
        stream.send_error = error if side == "send" else None
        with anyio.fail_after(GUARD_S):
            await AnyioLink(node, stream).serve()
        assert stream.closed
        assert node.links == {}


async def test_a_slow_stream_is_never_cut_in_the_middle_of_a_send_by_the_peers_end() -> None:
    async with running_node() as node:
        stream = FakeStream(UPGRADE + frame(TEXT, b"hi"), anyio.EndOfStream())
        stream.may_send = anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(AnyioLink(node, stream).serve)
            await anyio.wait_all_tasks_blocked()
            stream.may_send.set()
        assert not stream.sending_cut
        assert b"".join(stream.sent).endswith(b"\x81\x02hi")


async def test_a_slow_stream_makes_the_link_unwritable_and_then_writable_again() -> None:
    seen: list[bool] = []

    class Noting(Echo):
        def writable_changed(self, link: Any) -> None:
            seen.append(link.writable)
            super().writable_changed(link)

    async with running_node(Noting(None), max_message_bytes=200_000) as node:
        big = frame(TEXT, b"x" * 100_000, mask=b"\0\0\0\0")
        stream = FakeStream(UPGRADE, big, frame(TEXT, b"held"), anyio.EndOfStream())
        stream.may_send = anyio.Event()
        link = AnyioLink(node, stream)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(link.serve)
            await anyio.wait_all_tasks_blocked()
            assert seen == [False]
            stream.may_send.set()
        assert seen[:2] == [False, True]
        assert b"".join(stream.sent).endswith(b"\x81\x04held")


class FakeListener:
    """Accepts what it is told to."""

    def __init__(self, *results: Any) -> None:
        self._results = list(results)
        self.exhausted = anyio.Event()

    async def accept(self) -> Any:
        await anyio.lowlevel.checkpoint()
        if not self._results:
            self.exhausted.set()
            await anyio.sleep_forever()
        result = self._results.pop(0)
        if isinstance(result, Exception):
            raise result
        return result

    async def aclose(self) -> None:
        pass


def broken_by(number: int) -> Exception:
    error = anyio.BrokenResourceError()
    error.__cause__ = OSError(number, "as trio says it")
    return error


async def test_33_accepting_goes_on_after_every_failure(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(anyio_stream, "ACCEPT_PAUSE_S", 0)
    stream = FakeStream(anyio.EndOfStream())
    async with running_node() as node:
        listener = AnyioListener(node, [], None)
        source = FakeListener(
            OSError(errno.EMFILE, "none is free"),
            broken_by(errno.EMFILE),
            OSError(errno.ECONNABORTED, "left"),
            broken_by(errno.ECONNABORTED),
            stream,
        )
        node.task_group.start_soon(listener._accept, source)
        with anyio.fail_after(GUARD_S):
            await source.exhausted.wait()
            while not stream.closed:
                await anyio.sleep(0)
        await listener.stop()
    assert caplog.text.count("cannot accept connections") == 1


async def test_34_a_link_that_fails_is_logged_and_contained(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Odd(FakeStream):
        async def receive(self, max_bytes: int = 65_536) -> bytes:
            raise RuntimeError("a stream of somebody else")

    async with running_node() as node:
        stream = Odd()
        await AnyioListener(node, [], None)._serve(stream)
        assert stream.closed
    assert "a connection failed" in caplog.text


async def test_a_flood_from_the_first_byte_on_is_not_read_ahead() -> None:
    """On asyncio, anyio reads a new socket without bound until somebody has waited for it."""

    class Silent(Echo):
        def request_received(self, link: Any, request: Any) -> None:
            link.pause_reading()

    async with running_node(Silent(None)) as node:
        opened = socket.create_server(("127.0.0.1", 0))
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)  # whatever the system has
        opened.setblocking(False)
        address = opened.getsockname()
        listener = AnyioListener(node, [opened], None)
        await listener.start()
        flood = socket.create_connection(address)
        flood.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)
        flood.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        flood.setblocking(False)
        sent = stalled = 0
        with anyio.fail_after(GUARD_S):
            while stalled < 50 and sent < 60_000_000:
                try:
                    sent += flood.send(b"x" * 65_536)
                    stalled = 0
                except (BlockingIOError, ConnectionError):
                    stalled += 1
                await anyio.sleep(0.001)
        assert sent < 20_000_000, f"it took everything on {sniffio.current_async_library()}"
        flood.close()
        await listener.stop()
