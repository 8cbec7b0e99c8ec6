"""Threat 28: a malicious server, against the whole client: a typed error, and back-off."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import anyio
import pytest

from tests.client.scripted import Peer, Server, client_of, serve
from tests.security.test_28_malicious_server import WRONG
from wsframe.client import ConnectError, RequestError
from wsframe.testing.clocks import virtual_time

ANSWERS = {
    **WRONG,
    "nothing": b"",
    "half an answer": b"HTTP/1.1 101 Switching Protocols\r\nUpgr",
    "a page without end": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
    + b"{" * 9_000,
    "a redirect": b"HTTP/1.1 302 x\r\nLocation: ws://evil.example/\r\n\r\n",
    "kept away for ever": b"HTTP/1.1 503 x\r\nRetry-After: 999999999\r\n\r\n",
}


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return request.param, virtual_time(request.param)


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
async def test_28_a_wrong_answer_ends_in_a_typed_error_and_is_not_asked_for_in_a_storm(
    answer: bytes,
) -> None:
    async def script(server: Server) -> None:
        with suppress(anyio.EndOfStream):
            while True:
                peer = await server.peer()
                await peer.read_request()
                await peer.stream.send(answer)
                await peer.drop()

    async with serve(script) as server:
        with pytest.raises(ConnectError) as caught:
            await client_of(server, open_timeout_s=20, connect_timeout_s=5).__aenter__()
        assert caught.value.hint
        assert len(str(caught.value)) < 500
        assert len(server.attempts_at) < 10
        server.finish()


@pytest.mark.parametrize(
    "frames",
    [
        b"\x83\x00",
        b"\x81\x85aaaaaaaaa",
        b"\xc1\x01a",
        b"\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x81\x7f\x00\x00\x00\x00\x40\x00\x00\x00",
        b"\x89\x7e\x01\x00",
        b"\x80\x01a",
        b"\x81\x02\xff\xff",
        b"\x88\x01\x03",
        b"\x89\x00" * 5_000,
        b"\x01\x00" + b"\x00\x00" * 5_000,
        b"\x81\x04null",
        b"\x81\x02{}",
    ],
    ids=repr,
)
async def test_28_wrong_frames_end_the_connection_and_requests_end_in_time(frames: bytes) -> None:
    async def play(peer: Peer) -> None:
        await peer.begin()
        await peer.receive()
        await peer.stream.send(frames)
        await peer.closed()

    async def script(server: Server) -> None:
        await play(await server.peer())
        peer = await server.peer()
        await peer.begin("s2")
        await peer.answer(await peer.receive())
        await peer.goodbye()

    async with serve(script) as server, client_of(server) as client:
        with pytest.raises(RequestError) as caught:
            await client.request("text", timeout_s=5)
        assert caught.value.code == "session_lost"
        await client.request("text")


async def test_28_a_server_that_answers_everything_with_retry_is_not_asked_for_ever() -> None:
    async def script(server: Server) -> None:
        peer = await server.begin()
        for _ in range(4):
            ask = await peer.receive()
            await peer.error(ask, "busy", retryable=True, retryAfterMs=-1e300)
        await peer.goodbye()

    async with serve(script) as server, client_of(server) as client:
        with pytest.raises(RequestError):
            await client.request("text")


async def test_28_answers_to_nothing_and_floods_of_messages_change_nothing() -> None:
    async def script(server: Server) -> None:
        peer = await server.begin()
        ask = await peer.receive()
        for n in range(3_000):
            await peer.send("pushed", {"n": n})
            await peer.send("text", {"n": n}, reply_to=str(n), final=True)
        await peer.answer(ask, {"n": 1})
        await peer.goodbye()

    async with serve(script, writes=10) as server:
        settings = {"max_queued": 10, "ack_every": 10**6}
        async with client_of(server, **settings) as client:
            assert (await client.request("text")).content == {"n": 1}
            assert client.messages_dropped == 2_990
