"""A bad network on real sockets, in front of a server that echoes bytes."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.abc
import pytest
from anyio.abc import SocketAttribute

from wsframe.testing.faults import TcpProxy, Way

LOST = (anyio.BrokenResourceError, anyio.EndOfStream)


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def nobodys_port() -> Iterator[int]:
    """A port on which nobody listens, and which nobody is given meanwhile."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


async def echo(stream: anyio.abc.SocketStream) -> None:
    try:
        async with stream:
            async for data in stream:
                await stream.send(data)
            await stream.send(b"bye")
            await stream.send_eof()
    except (anyio.BrokenResourceError, OSError):
        return


@asynccontextmanager
async def proxy_to_echo(**options: Any) -> AsyncIterator[TcpProxy]:
    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as task_group,
    ):
        task_group.start_soon(listener.serve, echo)
        async with TcpProxy(listener.extra(SocketAttribute.local_port), **options) as proxy:
            yield proxy
        task_group.cancel_scope.cancel()


async def connect(proxy: TcpProxy) -> anyio.abc.SocketStream:
    stream = await anyio.connect_tcp("127.0.0.1", proxy.port)
    try:
        await stream.send(b"hello")
        assert await receive(stream, 5) == b"hello"
    except BaseException:
        await anyio.aclose_forcefully(stream)
        raise
    return stream


async def receive(stream: anyio.abc.SocketStream, count: int) -> bytes:
    data = b""
    while len(data) < count:
        data += await stream.receive(count - len(data))
    return data


async def everything(stream: anyio.abc.SocketStream) -> bytes:
    data = b""
    async for chunk in stream:
        data += chunk
    return data


async def test_bytes_are_forwarded_and_counted() -> None:
    async with proxy_to_echo() as proxy, await connect(proxy) as stream:
        await stream.send(b"x" * 100_000)
        assert await receive(stream, 100_000) == b"x" * 100_000
        await stream.send_eof()
        assert await everything(stream) == b"bye"
        while proxy.connections:
            await anyio.lowlevel.checkpoint()
        counts = proxy.counts
        assert (counts.connections, counts.refused, counts.cut) == (1, 0, 0)
        assert (counts.bytes_to_server, counts.bytes_to_client) == (100_005, 100_008)
        assert [line.split(" s  ")[1] for line in proxy.log.lines] == ["#1 connects", "#1 is over"]


@pytest.mark.parametrize(
    ("reset", "error"), [(True, anyio.BrokenResourceError), (False, anyio.EndOfStream)]
)
async def test_all_connections_are_cut_with_a_reset_or_an_end(
    reset: bool, error: type[Exception]
) -> None:
    async with proxy_to_echo() as proxy:
        streams = [await connect(proxy) for _ in range(3)]
        proxy.cut_all(reset=reset)
        for stream in streams:
            with pytest.raises(error):
                await stream.receive()
            await stream.aclose()
        while proxy.connections:
            await anyio.lowlevel.checkpoint()
        assert proxy.counts.cut == 3
        assert proxy.log.tail().count("is cut") == 3


async def test_one_connection_is_cut_and_the_others_go_on() -> None:
    async with proxy_to_echo(seed=1) as proxy:
        streams = [await connect(proxy) for _ in range(3)]
        cut = {connection.number for connection in proxy.connections}
        assert proxy.cut_one()
        while len(proxy.connections) == 3:
            await anyio.lowlevel.checkpoint()
        (number,) = cut - {connection.number for connection in proxy.connections}
        async with streams.pop(number - 1) as lost:
            with pytest.raises(LOST):
                await lost.receive()
        for stream in streams:
            await stream.send(b"again")
            assert await receive(stream, 5) == b"again"
            await stream.aclose()


async def test_there_may_be_nothing_to_cut() -> None:
    async with proxy_to_echo() as proxy:
        assert not proxy.cut_one()


@pytest.mark.parametrize("way", list(Way))
async def test_a_connection_is_cut_in_the_middle_of_a_message(way: Way) -> None:
    async with proxy_to_echo() as proxy, await connect(proxy) as stream:
        proxy.connections[0].cut_after(way, 3)
        await stream.send(b"Hello, world")
        data = b""
        with pytest.raises(LOST):
            while True:
                data += await stream.receive()
        assert data in {b"Hel", b""} if way is Way.TO_SERVER else data == b"Hel"
        assert getattr(proxy.counts, f"bytes_{way.value.replace(' ', '_')}") == 5 + 3


async def test_each_connection_is_cut_after_a_random_number_of_bytes() -> None:
    async with proxy_to_echo(cut_after_bytes=(10, 50)) as proxy:
        for _ in range(5):
            async with await connect(proxy) as stream:
                with pytest.raises(LOST):
                    while True:
                        await stream.send(b"0123456789")
                        await receive(stream, 10)
        while proxy.connections:
            await anyio.lowlevel.checkpoint()
        assert proxy.counts.cut == 5
        assert proxy.counts.bytes_to_server <= 5 * (50 + 10)


async def test_connections_are_cut_at_a_rate() -> None:
    async with proxy_to_echo(cuts_per_s=1_000) as proxy:
        while proxy.counts.cut < 3:
            with pytest.raises((*LOST, OSError)):
                async with await connect(proxy) as stream:
                    await stream.receive()


@pytest.mark.parametrize("way", list(Way))
async def test_a_stalled_direction_passes_nothing_until_it_is_resumed(way: Way) -> None:
    async with proxy_to_echo() as proxy, await connect(proxy) as stream:
        (connection,) = proxy.connections
        connection.stall(way)
        connection.stall(way)
        await stream.send(b"Hi")
        await stream.send_eof()
        for _ in range(200):
            await anyio.lowlevel.checkpoint()
        passed = 5 if way is Way.TO_CLIENT else proxy.counts.bytes_to_server
        assert passed == 5
        assert proxy.counts.bytes_to_client == 5
        connection.resume(way)
        assert await everything(stream) == b"Hibye"


async def test_a_direction_closed_to_the_server_leaves_the_other_one() -> None:
    async with proxy_to_echo() as proxy, await connect(proxy) as stream:
        proxy.connections[0].half_close(Way.TO_SERVER)
        proxy.connections[0].half_close(Way.TO_SERVER)
        assert await receive(stream, 3) == b"bye"
        await stream.send(b"is lost")
        with pytest.raises(anyio.EndOfStream):
            await stream.receive()
        assert proxy.counts.bytes_to_server == 5


async def test_a_direction_closed_to_the_client_leaves_the_other_one() -> None:
    async with proxy_to_echo() as proxy, await connect(proxy) as stream:
        proxy.connections[0].half_close(Way.TO_CLIENT)
        with pytest.raises(anyio.EndOfStream):
            await stream.receive()
        await stream.send(b"Hi")
        while proxy.counts.bytes_to_server < 7:
            await anyio.lowlevel.checkpoint()
        assert proxy.counts.bytes_to_client == 5


async def test_a_connection_to_a_server_that_is_down_is_reset(nobodys_port: int) -> None:
    async with TcpProxy(nobodys_port) as proxy:
        async with await anyio.connect_tcp("127.0.0.1", proxy.port) as stream:
            with pytest.raises(anyio.BrokenResourceError):
                await stream.receive()
        assert proxy.counts.refused == 1
        assert "cannot be reached" in proxy.log.tail()


async def test_a_client_that_resets_resets_the_server_too() -> None:
    from wsframe.testing.faults.proxied import reset_on_close

    async with proxy_to_echo() as proxy:
        stream = await connect(proxy)
        reset_on_close(stream)
        await stream.aclose()
        reset_on_close(stream)
        while proxy.connections:
            await anyio.lowlevel.checkpoint()
        assert proxy.counts.cut == 0


async def test_an_error_of_the_test_is_raised_as_it_is(nobodys_port: int) -> None:
    with pytest.raises(ZeroDivisionError):
        async with TcpProxy(nobodys_port):
            _ = 1 / 0
