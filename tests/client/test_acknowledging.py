"""Acknowledgements, the heartbeat, and what happens when the application is slow."""

from __future__ import annotations

import logging

import anyio
import pytest

from tests.client.scripted import Peer, Server, client_of, serve, settle
from wsframe.client import RequestError
from wsframe.messages import Message


async def test_an_acknowledgement_rides_on_a_request() -> None:
    async def script(server: Server) -> None:
        peer = await server.begin()
        await peer.send("pushed")
        await peer.send("typing", transient=True)
        await peer.send("pushed")
        ask = await peer.receive()
        assert ask.ack == 2
        await peer.answer(ask)
        ask = await peer.receive()
        assert ask.ack == 3
        await peer.send("pong", reply_to=ask.id, final=True, transient=True)
        ask = await peer.receive()
        assert ask.ack is None
        await peer.answer(ask)
        await peer.goodbye()

    async with serve(script) as server, client_of(server) as client:
        await settle()
        await client.request("text")
        assert (await client.request("ping")).type == "pong"
        await client.request("text")


async def test_many_messages_are_acknowledged_at_once_and_few_in_time() -> None:
    async def script(server: Server) -> None:
        peer = await server.begin()
        for _ in range(32):
            await peer.send("pushed")
        ack = await peer.receive()
        assert (ack.type, ack.ack, ack.id) == ("ack", 32, None)
        await peer.send("pushed")
        began = anyio.current_time()
        ack = await peer.receive()
        assert (ack.type, ack.ack) == ("ack", 33)
        assert anyio.current_time() - began == pytest.approx(5, abs=0.01)
        await anyio.sleep(3)
        began = anyio.current_time()
        await peer.send("pushed")
        ack = await peer.receive()
        assert (ack.type, ack.ack) == ("ack", 34)
        assert anyio.current_time() - began == pytest.approx(5, abs=0.01)
        done.set()
        await peer.goodbye()

    done = anyio.Event()
    async with serve(script, writes=1) as server, client_of(server, ack_delay_s=5):
        await done.wait()
        await settle(100)


HEARTBEAT = {"intervalMs": 20_000, "timeoutMs": 5_000}


async def test_a_silent_server_is_pinged_and_then_given_up() -> None:
    async def script(server: Server) -> None:
        peer = await server.begin(heartbeat=HEARTBEAT)
        began = anyio.current_time()
        data = await peer.stream.receive()
        assert data[0] == 0x89
        assert anyio.current_time() - began == pytest.approx(20, abs=0.01)
        await (again := await server.peer()).resume(0)
        assert anyio.current_time() - began == pytest.approx(25.125, abs=0.01)
        await again.goodbye()

    async with serve(script) as server, client_of(server) as client:
        await settle(30)
        assert client.status == "resumed"


async def test_a_server_that_answers_pings_is_kept() -> None:
    async def script(server: Server) -> None:
        peer = await server.begin(heartbeat=HEARTBEAT)
        await peer.goodbye()
        assert peer.pings == 9

    async with serve(script) as server, client_of(server):
        await settle(199)
        assert len(server.attempts_at) == 1


async def test_no_server_makes_the_client_ping_all_the_time() -> None:
    async def script(server: Server) -> None:
        peer = await server.begin(heartbeat={"intervalMs": 1, "timeoutMs": 1})
        await peer.goodbye()
        assert peer.pings <= 10

    async with serve(script) as server, client_of(server):
        await settle(10)


async def push(peer: Peer, first: int, last: int) -> None:
    for n in range(first, last + 1):
        await peer.send("pushed", {"n": n})


async def test_pushed_messages_wait_for_an_application_that_listens() -> None:
    pushed = []

    async def script(server: Server) -> None:
        peer = await server.begin()
        for n in range(1, 51):
            await push(peer, n, n)
            pushed.append(n)
        await peer.goodbye()

    settings = {"max_queued": 4, "ack_every": 1_000}
    async with serve(script, writes=1) as server, client_of(server, **settings) as client:
        seen = []
        async for message in client.messages():
            seen.append(message.content["n"])
            await anyio.sleep(3)
            assert len(pushed) - len(seen) < 10
            if len(seen) == 50:
                break
        assert seen == list(range(1, 51))
        assert client.messages_dropped == 0


async def test_what_waits_for_room_is_neither_counted_nor_lost_in_a_drop() -> None:
    async def script(server: Server) -> None:
        peer = await server.begin()
        await push(peer, 1, 6)
        await settle(1)
        await peer.drop()
        init = await (peer := await server.peer()).resume(3)
        assert init.content["resume"]["seq"] == 3
        await push(peer, 4, 9)
        await peer.answer(await peer.receive())
        await peer.goodbye()

    async with serve(script) as server, client_of(server, max_queued=2) as client:
        messages = client.messages()
        seen = [(await anext(messages)).content["n"]]
        await settle(2)
        await client.send("text")  # so that the client finds out, although it does not read
        await settle(2)
        while len(seen) < 9:
            seen.append((await anext(messages)).content["n"])
        assert seen == list(range(1, 10))


async def test_an_application_that_never_listens_gets_its_answers(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def script(server: Server) -> None:
        peer = await server.begin()
        ask = await peer.receive()
        await push(peer, 1, 10)
        await peer.answer(ask, {"n": 1})
        await peer.goodbye()

    with caplog.at_level(logging.WARNING, "wsframe.client"):
        async with serve(script) as server, client_of(server, max_queued=4) as client:
            began = anyio.current_time()
            assert (await client.request("text")).content == {"n": 1}
            assert anyio.current_time() - began < 0.01
            assert client.messages_dropped == 6
            messages = client.messages()
            assert [(await anext(messages)).content["n"] for _ in range(4)] == [7, 8, 9, 10]
            assert client.status == "open"
    assert caplog.text.count("messages()") == 1


async def test_an_application_that_asks_while_it_listens_is_not_stuck() -> None:
    async def script(server: Server) -> None:
        peer = await server.begin()
        await push(peer, 1, 1)
        ask = await peer.receive()
        await push(peer, 2, 9)
        await peer.answer(ask, {"n": 1})
        await peer.goodbye()

    async with serve(script) as server, client_of(server, max_queued=4) as client:
        messages = client.messages()
        assert (await anext(messages)).content == {"n": 1}
        began = anyio.current_time()
        assert (await client.request("text", timeout_s=20)).content == {"n": 1}
        assert anyio.current_time() - began == pytest.approx(5, abs=0.01)
        assert client.status == "gap"
        assert [(await anext(messages)).content["n"] for _ in range(4)] == [6, 7, 8, 9]
        assert client.messages_dropped == 4


async def test_whoever_stops_listening_holds_nothing_up() -> None:
    async def script(server: Server) -> None:
        peer = await server.begin()
        await push(peer, 1, 1)
        ask = await peer.receive()
        await push(peer, 2, 9)
        await peer.answer(ask, {"n": 1})
        await peer.goodbye()

    async with serve(script) as server, client_of(server, max_queued=4) as client:
        async for _ in client.messages():
            break
        began = anyio.current_time()
        await client.request("text")
        assert anyio.current_time() - began < 0.01


async def test_a_slow_reader_of_a_stream_gets_every_part() -> None:
    async def script(server: Server) -> None:
        peer = await server.begin(heartbeat=HEARTBEAT)
        ask = await peer.receive()
        assert peer.websocket is not None
        frames = []
        for n in range(30):
            part = Message(type="ask", content={"n": n}, reply_to=ask.id, final=n == 29)
            frames.append(peer.websocket.send_text(peer.codec.encode(part)))
        await peer.stream.send(b"".join(frames))  # the client reads them all at once
        await peer.goodbye()
        assert peer.pings > 3

    async with serve(script) as server, client_of(server, max_queued_parts=3) as client:
        seen = []
        async for part in client.stream("ask"):
            seen.append(part.content["n"])
            await anyio.sleep(4)
        assert seen == list(range(29))
        assert len(server.attempts_at) == 1


async def test_a_stream_that_nobody_reads_ends_and_holds_nobody_up_for_long() -> None:
    async def script(server: Server) -> None:
        peer = await server.begin()
        ask = await peer.receive()
        for n in range(30):
            await peer.part(ask, {"n": n})
        other = await peer.receive()
        cancel = await peer.receive()
        assert cancel.content == {"id": ask.id}
        await peer.answer(other, {"n": 1})
        await peer.goodbye()

    async with serve(script) as server, client_of(server, max_queued_parts=3) as client:
        stream = client.stream("ask")
        seen = [(await anext(stream)).content["n"]]
        assert (await client.request("text")).content == {"n": 1}
        with pytest.raises(RequestError) as caught:
            async for part in stream:
                seen.append(part.content["n"])  # noqa: PERF401 - it ends with an error
        assert caught.value.code == "slow_consumer"
        assert seen == list(range(len(seen)))


async def test_errors_and_events_without_a_request_are_not_for_the_application(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def script(server: Server) -> None:
        peer = await server.begin()
        await peer.send("system", {"event": "weather"}, transient=True)
        await peer.send("system", [], transient=True)
        await peer.send("system", {"event": "draining", "reconnectAfterMs": "soon"}, transient=True)
        await peer.send("error", {"code": "invalid_json", "message": "x", "retryable": False})
        await peer.send("text", {"late": True}, reply_to="nobody", final=True)
        await push(peer, 1, 1)
        await peer.goodbye()

    with caplog.at_level(logging.WARNING, "wsframe.client"):
        async with serve(script) as server, client_of(server) as client:
            assert (await anext(client.messages())).content == {"n": 1}
    assert "invalid_json" in caplog.text


async def test_a_message_before_the_answer_to_init_is_passed_on_and_not_counted() -> None:
    async def script(server: Server) -> None:
        peer = await server.peer()
        await peer.accept()
        await push(peer, 0, 0)
        await peer.welcome()
        await push(peer, 1, 1)
        await settle()
        await peer.drop()
        await (peer := await server.peer()).resume(1)
        await peer.goodbye()

    async with serve(script) as server, client_of(server) as client:
        messages = client.messages()
        assert [(await anext(messages)).content["n"] for _ in range(2)] == [0, 1]
        await settle(2)
        assert client.status == "resumed"


@pytest.mark.parametrize("payload", ["{", "[]", '{"type": 5}', b"\x80"])
async def test_what_is_no_message_ends_the_connection_and_not_the_client(
    payload: str | bytes,
) -> None:
    async def script(server: Server) -> None:
        peer = await server.begin()
        assert peer.websocket is not None
        if isinstance(payload, str):
            await peer.stream.send(peer.websocket.send_text(payload.encode()))
        else:
            await peer.stream.send(peer.websocket.send_binary(payload))
        closed = await peer.closed()
        assert closed.code == (1007 if isinstance(payload, str) else 1003)
        await (again := await server.peer()).resume(0)
        await again.goodbye()

    async with serve(script) as server, client_of(server) as client:
        await settle(2)
        assert client.status == "resumed"


async def test_a_message_over_the_limit_ends_the_connection() -> None:
    async def script(server: Server) -> None:
        peer = await server.begin()
        await push(peer, 1, 1)
        await peer.send("pushed", {"text": "x" * 10_000})
        assert (await peer.closed()).code == 1009
        await (again := await server.peer()).resume(1)
        await again.goodbye()

    async with serve(script) as server, client_of(server, max_message_bytes=5_000) as client:
        await settle(2)
        assert client.status == "resumed"
