"""Streams on one connection: their end, their time, leaving them early."""

from __future__ import annotations

import threading
from typing import Any

import anyio
import anyio.abc
import pytest

from tests.client.scripted import Server, client_of, serve, settle
from wsframe.client import RequestError, Stream


async def leave_by_break(stream: Stream) -> None:
    async for _ in stream:
        break


async def leave_by_aclose(stream: Stream) -> None:
    await anext(stream)
    await stream.aclose()


async def leave_by_context(stream: Stream) -> None:
    async with stream:
        await anext(stream)


async def leave_by_cancellation(stream: Stream) -> None:
    with anyio.move_on_after(1):
        async for _ in stream:
            pass


async def leave_by_an_error(stream: Stream) -> None:
    with pytest.raises(ZeroDivisionError):
        async for _ in stream:
            raise ZeroDivisionError


@pytest.mark.parametrize(
    "leave",
    [
        leave_by_break,
        leave_by_aclose,
        leave_by_context,
        leave_by_cancellation,
        leave_by_an_error,
    ],
)
async def test_leaving_a_stream_early_cancels_it(leave: Any) -> None:
    async def script(server: Server) -> None:
        peer = await server.begin()
        ask = await peer.receive()
        await peer.part(ask, {"n": 1})
        cancel = await peer.receive()
        assert (cancel.type, cancel.content) == ("cancel", {"id": ask.id})
        await peer.part(ask, {"n": 2})
        await peer.answer(await peer.receive(), {"n": 3})
        await peer.goodbye()

    async with serve(script) as server, client_of(server) as client:
        await leave(client.stream("ask"))
        assert (await client.request("text")).content == {"n": 3}


async def test_a_stream_collected_in_another_thread_is_cancelled_too() -> None:
    async def script(server: Server) -> None:
        peer = await server.begin()
        ask = await peer.receive()
        await peer.part(ask, {"n": 1})
        cancel = await peer.receive()
        assert (cancel.type, cancel.content) == ("cancel", {"id": ask.id})
        await peer.goodbye()

    async with serve(script) as server, client_of(server, ack_delay_s=5) as client:
        streams = [client.stream("ask")]
        await anext(streams[0])
        thread = threading.Thread(target=streams.clear)
        thread.start()
        thread.join()
        await settle(10)


async def test_a_stream_is_retried_until_its_first_part_and_not_after_it() -> None:
    async def script(server: Server) -> None:
        peer = await server.begin()
        ask = await peer.receive()
        await peer.error(ask, "unavailable", retryable=True)
        again = await peer.receive()
        assert again.id == ask.id
        await peer.part(again, {"n": 1})
        await peer.error(again, "unavailable", retryable=True)
        await peer.goodbye()

    async with serve(script) as server, client_of(server) as client:
        stream = client.stream("ask")
        assert (await anext(stream)).content == {"n": 1}
        with pytest.raises(RequestError) as caught:
            await anext(stream)
        assert caught.value.code == "unavailable"


async def test_the_time_limit_of_a_stream_is_for_each_part() -> None:
    async def script(server: Server) -> None:
        peer = await server.begin()
        ask = await peer.receive()
        for n in range(5):
            await anyio.sleep(8)
            await peer.part(ask, {"n": n})
        await peer.receive()
        await peer.goodbye()

    async with serve(script) as server, client_of(server) as client:
        seen = []
        with pytest.raises(RequestError) as caught:
            async for part in client.stream("ask", timeout_s=10):
                seen.append(part.content["n"])  # noqa: PERF401 - it ends with an error
        assert caught.value.code == "timeout"
        assert seen == [0, 1, 2, 3, 4]
        await settle()
